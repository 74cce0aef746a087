"""The main door: a checkpoint or a GGUF model becomes a GGUF model of another type."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QWidget

from desktop.text import bytes_text, tr
from desktop.widgets.conversion.choosing import bare_name, own_name
from desktop.widgets.conversion.extras import Extras
from desktop.widgets.conversion.matrix_choice import MatrixChoice
from desktop.widgets.conversion.place import Place
from desktop.widgets.conversion.targets_view import TargetsView, card_of
from desktop.widgets.make import button, column, frame, label, row


class GgufForm(QWidget):
    """`start_wanted(kind, params, title)` and `preview_wanted(kind, params)`. `footer` is for the page's lower edge."""

    start_wanted = Signal(str, dict, str)
    preview_wanted = Signal(str, dict)

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, Any] = {}
        self.source = ""
        self.targets, self.matrix, self.place = TargetsView(), MatrixChoice(), Place()
        self.measure = QCheckBox(tr("convert_page.measure"))
        self.measure.setChecked(True)
        self.measure.setToolTip(tr("convert_page.measure_hint"))
        self.extras = Extras()
        self.start_button = button(tr("convert_page.start"), self.start, "main")
        self.preview_button = button(tr("convert_page.preview"), self.preview)
        matrix = column(label(tr("convert_page.importance"), "faint"), self.matrix, spacing=2)
        options = card_of(self.place, matrix, self.measure, self.extras)
        self.footer, self.summary = frame("footer"), label("", "dim")
        self.summary.setMinimumWidth(1)
        steps = row(self.summary, self.preview_button, self.start_button, margins=(28, 0, 28, 0), grow=0, spacing=12)
        self.footer.setLayout(steps)
        self.footer.setFixedHeight(60)
        self.setLayout(column(self.targets, options, spacing=16))
        self.targets.chosen.connect(self._type_chosen)
        self.place.name.textChanged.connect(self._show_summary)
        self.extras.split.toggled.connect(lambda split: self.measure.setEnabled(not split))
        self.matrix.changed.connect(lambda: self.targets.set_matrix(self.matrix.used))

    def show_targets(self, source: str, found: dict[str, Any], folder: str, wanted: str = "") -> None:
        """A source and what it can become."""
        self.source, self.found = source, found
        self.place.begin(folder)
        self.extras.show_source(self.kind, found)
        self.start_button.setText(tr("convert_page.start" if self.kind == "convert" else "convert_page.start_quantize"))
        self.targets.show_targets(found, wanted)

    @property
    def kind(self) -> str:
        """The job: convert or quantize."""
        return "convert" if self.found.get("kind") in ("checkpoint", "hub") else "quantize"

    def params(self) -> dict[str, Any]:
        """What the job is told."""
        told: dict[str, Any] = {"source": self.source, "out": self.place.path(), "type": self.targets.type}
        report = self.measure.isChecked() and not self.extras.splits
        told |= {"report": report, **self.matrix.params(), **self.extras.told()}
        return told if self.kind == "convert" else told | {"budget_bytes": self.targets.limit_bytes}

    def start(self) -> None:
        """Begin, if a type and a name are there."""
        if self.targets.type and self.place.path():
            self.start_wanted.emit(self.kind, self.params(), self.title())

    def preview(self) -> None:
        """Show it tensor by tensor first."""
        if self.targets.type and self.place.path():
            self.preview_wanted.emit(self.kind, self.params() | {"budget_bytes": 0, **self._cheap_matrix()})

    def title(self) -> str:
        """What the job is called."""
        return f"{self._stem()} → {self._wanted(self.targets.type)}"

    def _wanted(self, kind: str) -> str:
        return f"{self.targets.limit.value():g} GB" if self._mixed else kind

    def _cheap_matrix(self) -> dict[str, Any]:
        """A preview measures nothing: a matrix that is not there yet would have to be made for it."""
        told = self.matrix.params()
        return {"imatrix": "", "text": "builtin"} if told["imatrix"] == "auto" else told

    def _stem(self) -> str:
        return bare_name(own_name(self.source, self.found), [row["type"] for row in self.found.get("targets", [])])

    @property
    def _mixed(self) -> bool:
        """Whether types will be mixed until it is small enough: a checkpoint gets the best type that is."""
        return bool(self.targets.limit_bytes) and self.kind == "quantize"

    def _show_summary(self, *_: object) -> None:
        chosen = self.targets.row
        size = bytes_text(chosen["bytes"]) if chosen else ""
        if self._mixed:
            size = tr("convert_page.at_most", size=bytes_text(self.targets.limit_bytes))
        self.summary.setText(tr("convert_page.will_write", name=self.place.name.text(), size=size))
        self.preview_button.setEnabled(not self._mixed)  # which types they are shows when they are measured

    def _type_chosen(self, kind: str) -> None:
        chosen = self.targets.row
        self.matrix.need(bool(chosen and chosen["wanting_importance"]))
        self.place.propose(f"{self._stem()}-{self._wanted(kind)}.gguf".replace(" ", ""))
        self._show_summary()
