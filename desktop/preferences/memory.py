"""What the chosen context, KV cache and attention would take of the memory, for the model in use."""

from __future__ import annotations

from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame

from desktop.desk import Desk
from desktop.model_card import marked_line
from desktop.model_words import TONES, fit_words
from desktop.preferences.model_choice import can_write_here
from desktop.text import bytes_text, count_text, tr
from desktop.widgets.make import clear, column, label, row
from desktop.widgets.share_bar import Part, ShareBar
from engine.api.messages import FitReport, ModelRow

COLOURS = {"weights": "accent", "kv_cache": "amber", "compute": "faint"}
SELDOM = {"projector": "text", "draft": "red"}  # shown where there is one


class MemoryCost(QFrame):
    """Follows the settings and the models; asks the engine, and shows its answer.

    `models_read(rows)` and `reported(row, report)` tell others of it; None where there is no model to judge.
    """

    models_read = Signal(list)
    reported = Signal(object, object)

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.setProperty("kind", "inset")
        self._desk = desk
        self._models: list[ModelRow] = []
        self._asked = 0  # the newest question; answers to older ones are not shown
        self.name = label("", "heading")
        self.verdict = column()
        self.bar = ShareBar()
        self.parts = {name: Part(colour, tr(f"settings.memory_{name}")) for name, colour in (COLOURS | SELDOM).items()}
        self.note = label("", "dim", wrap=True)
        legend = row(*self.parts.values(), None, spacing=18)
        head = column(self.name, self.verdict, spacing=2)
        self.setLayout(column(head, self.bar, legend, self.note, margins=(16, 12, 16, 12), spacing=10))
        self.hide()
        desk.settings_changed.connect(self.ask)
        desk.client.broadcast.connect(self._broadcast)

    def fetch(self) -> None:
        """Read which models there are, then what the one in use would take."""
        self._desk.client.call("models.list", result=self._take_models, owner=self)

    def ask(self) -> None:
        """Have the engine count what the settings of now take."""
        model = model_in_use(self._models, self._desk.settings.default_model)
        if model is None:
            self._show_nothing()
            return
        self._asked += 1
        chosen = self._desk.settings
        params = {
            "model": model["id"],
            "context": chosen.context_size,
            "kv_type": chosen.kv_type,
            "flash_attention": chosen.flash_attention,
            "extend_context": chosen.extend_context,
            "parallel": chosen.parallel,
            "draft_model": chosen.draft_model if chosen.guess_ahead else "",
        }
        answered = partial(self._take_report, self._asked, model)
        self._desk.client.call("models.fit", params, result=answered, error=lambda _: self._show_nothing(), owner=self)

    def show_report(self, model: ModelRow, report: FitReport) -> None:
        """Say what it would take."""
        self.name.setText(model["name"])
        clear(self.verdict)
        self.verdict.addLayout(marked_line(TONES[report["fit"]], fit_words(report)))
        sizes = parts_of(report)
        whole = max(report["available"], sum(sizes.values()), 1)
        self.bar.set_parts([(size / whole, (COLOURS | SELDOM)[name]) for name, size in sizes.items()])
        for name, part in self.parts.items():
            part.amount.setText(bytes_text(sizes.get(name, 0)))
            part.setVisible(name in sizes)
        note = context_note(model, report, self._desk.settings.context_size)
        self.note.setText(note)
        self.note.setVisible(bool(note))
        told = [f"{tr(f'settings.memory_{name}')} {bytes_text(size)}" for name, size in sizes.items()]
        self.setAccessibleName(" · ".join([model["name"], fit_words(report), *told]))
        self.show()
        self.reported.emit(model, report)

    def _show_nothing(self) -> None:
        self._asked += 1
        self.hide()
        self.reported.emit(None, None)

    def _take_models(self, result: dict[str, Any]) -> None:
        self._models = result["models"]
        self.models_read.emit(self._models)
        self.ask()

    def _take_report(self, asked: int, model: ModelRow, report: FitReport) -> None:
        if asked == self._asked:
            self.show_report(model, report)

    def _broadcast(self, event: dict[str, Any]) -> None:
        if event.get("event") == "models" and self.isVisible():
            self.fetch()


def model_in_use(models: list[ModelRow], default: str) -> ModelRow | None:
    """The model new conversations get if it runs here, else the smallest that is installed; None if none is."""
    here = [m for m in models if can_write_here(m)]
    chosen = next((m for m in here if m["id"] == default), None)
    return chosen or min(here, key=lambda m: (m["kind"] == "base", m["bytes"]), default=None)


def parts_of(report: FitReport) -> dict[str, int]:
    """Bytes of each part, those that there are not left out."""
    usual = {"weights": report["weights"], "kv_cache": report["kv_cache"], "compute": report["compute"]}
    seldom = {"projector": report["projector"], "draft": report.get("draft", 0)}
    return usual | {name: size for name, size in seldom.items() if size}


def context_note(model: ModelRow, report: FitReport, wanted: int) -> str:
    """What happens to a context beyond the one the model was trained for; "" if it is none."""
    trained = model["context"]
    if trained and report["context"] < wanted:
        return tr("settings.memory_cut", model=model["name"], trained=count_text(trained))
    if trained and report["context"] > trained:
        return tr("settings.memory_stretched", model=model["name"], trained=count_text(trained))
    return ""
