"""The main door: a checkpoint or a GGUF model becomes a GGUF model of another type."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QWidget

from desktop.text import bytes_text, tr
from desktop.widgets.conversion.choosing import bare_name, own_name
from desktop.widgets.conversion.matrix_choice import MatrixChoice
from desktop.widgets.conversion.place import Place
from desktop.widgets.conversion.targets_view import TargetsView, card_of
from desktop.widgets.flow import Flow
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
        self.any_vocabulary = QCheckBox(tr("convert_page.any_vocabulary"))
        self.any_vocabulary.setToolTip(tr("convert_page.any_vocabulary_hint"))
        self.start_button = button(tr("convert_page.start"), self.start, "main")
        self.preview_button = button(tr("convert_page.preview"), self.preview)
        matrix = column(label(tr("convert_page.importance"), "faint"), self.matrix, spacing=2)
        checks = Flow(self.measure, self.any_vocabulary, spacing=16)
        options = card_of(self.place, matrix, checks)
        self.footer, self.summary = frame("footer"), label("", "dim")
        self.summary.setMinimumWidth(1)
        steps = row(self.summary, self.preview_button, self.start_button, margins=(28, 0, 28, 0), grow=0, spacing=12)
        self.footer.setLayout(steps)
        self.footer.setFixedHeight(60)
        self.setLayout(column(self.targets, options, spacing=16))
        self.targets.chosen.connect(self._type_chosen)
        self.place.name.textChanged.connect(self._show_summary)
        self.matrix.changed.connect(lambda: self.targets.set_matrix(self.matrix.used))

    def show_targets(self, source: str, found: dict[str, Any], folder: str, wanted: str = "") -> None:
        """A source and what it can become."""
        self.source, self.found = source, found
        self.place.begin(folder)
        self.any_vocabulary.setVisible(self.kind == "convert")
        self.any_vocabulary.setChecked(False)
        self.start_button.setText(tr("convert_page.start" if self.kind == "convert" else "convert_page.start_quantize"))
        self.targets.show_targets(found, wanted)

    @property
    def kind(self) -> str:
        """The job: convert or quantize."""
        return "convert" if self.found.get("kind") in ("checkpoint", "hub") else "quantize"

    def params(self) -> dict[str, Any]:
        """What the job is told."""
        told: dict[str, Any] = {"source": self.source, "out": self.place.path(), "type": self.targets.type}
        told |= {"report": self.measure.isChecked(), **self.matrix.params()}
        if self.kind == "convert":
            return told | {"override_vocabulary": self.any_vocabulary.isChecked()}
        return told | {"budget_bytes": self.targets.limit_bytes}

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
        return f"{self._stem()} → {self.targets.type}"

    def _cheap_matrix(self) -> dict[str, Any]:
        """A preview measures nothing: a matrix that is not there yet would have to be made for it."""
        told = self.matrix.params()
        return {"imatrix": "", "text": "builtin"} if told["imatrix"] == "auto" else told

    def _stem(self) -> str:
        return bare_name(own_name(self.source, self.found), [row["type"] for row in self.found.get("targets", [])])

    def _show_summary(self, *_: object) -> None:
        chosen = self.targets.row
        size = bytes_text(chosen["bytes"]) if chosen else ""
        self.summary.setText(tr("convert_page.will_write", name=self.place.name.text(), size=size))

    def _type_chosen(self, kind: str) -> None:
        chosen = self.targets.row
        self.matrix.need(bool(chosen and chosen["wanting_importance"]))
        size = f"-{self.targets.limit.value():g}GB" if self.targets.limit_bytes and self.kind == "quantize" else ""
        self.place.propose(f"{self._stem()}-{kind}{size}.gguf")
        self._show_summary()
