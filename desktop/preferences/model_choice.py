"""Choosing one of the installed models as a setting, and what there is to say of the one that guesses ahead."""

from __future__ import annotations

from PySide6.QtWidgets import QComboBox

from desktop.remote_words import is_remote
from desktop.text import bytes_text, error_text, tr
from engine.api.errors import UserError
from engine.api.messages import FitReport, ModelRow


class ModelChoice(QComboBox):
    """The models that can write, small ones first; "" stands for none. A chosen one that is gone keeps its place."""

    def __init__(self, none: str) -> None:
        super().__init__()
        self._none, self._chosen = none, ""
        self.set_models([])

    def set_models(self, models: list[ModelRow]) -> None:
        """Offer these, with what was chosen still chosen."""
        self.clear()
        self.addItem(self._none, "")
        for model in sorted((m for m in models if can_write_here(m)), key=lambda m: m["bytes"]):
            self.addItem(f"{model['name']}\u00a0· {bytes_text(model['bytes'])}", model["id"])
        self.choose(self._chosen)

    def choose(self, model: str) -> None:
        """Show this as the chosen one."""
        self._chosen = model
        if self.findData(model) < 0:
            self.addItem(model, model)
        self.setCurrentIndex(self.findData(model))


def can_write_here(model: ModelRow) -> bool:
    """Whether a model is in this machine and writes text."""
    writes = model["kind"] in ("chat", "base") and not model["problem"]
    return bool(model["installed"] and writes and not is_remote(model))


def draft_words(model: ModelRow | None, report: FitReport | None) -> tuple[str, str]:
    """(tone, what the draft does for the model in use); ("", "") where there is none."""
    if model is None or report is None:
        return "", ""
    if "draft_problem" in report:
        told = error_text(UserError.from_json(report["draft_problem"]))
        return "amber", " ".join(part for part in told if part)
    if "draft" in report:
        return "dim", tr("settings.draft_fits", model=model["name"], size=bytes_text(report["draft"]))
    return "", ""
