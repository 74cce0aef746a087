"""What else a GGUF model can be told to become: in several files, tensors of other types, measured on another text."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QCheckBox, QDoubleSpinBox, QWidget

from desktop.text import tr
from desktop.widgets.conversion.fields import Field, lines_of
from desktop.widgets.conversion.fold import Fold
from desktop.widgets.make import row

GB = 1e9
FIELDS = (
    Field("overrides", "words"),
    Field("keep_split", "check", on=True),
    Field("report_text", "file"),
    Field("report_chunks", "tokens"),
    Field("imatrix_chunks", "tokens"),
    Field("override_vocabulary", "check"),
    Field("keep_source", "check", on=True),
)


class Extras(Fold):
    """The parts of the main form that few people need. `lines` by name; `split` and `limit` belong together."""

    def __init__(self) -> None:
        super().__init__()
        self.job = ""
        self.lines = lines_of(FIELDS)
        self.split = QCheckBox(tr("convert_page.split"))
        self.limit = QDoubleSpinBox(decimals=1, minimum=0.1, maximum=500.0, value=4.0, suffix=" GB")
        self.limit.lineEdit().setTextMargins(8, 0, 0, 0)
        self.limit.setAccessibleName(tr("convert_page.split"))
        self.split.setToolTip(tr("convert_page.split_hint"))
        self.split.setAccessibleDescription(tr("convert_page.split_hint"))
        self.limit.setEnabled(False)
        self.split.toggled.connect(self.limit.setEnabled)
        self._split_row = QWidget()
        self._split_row.setLayout(row(self.split, self.limit, None))
        self.box.addWidget(self._split_row)
        for line in self.lines.values():
            self.box.addWidget(line)

    def show_source(self, job: str, found: dict[str, Any]) -> None:
        """Offer what there is for this job and source; nothing is chosen any more."""
        self.job = job
        parts = bool(job == "quantize" and found.get("files", 0) > 1)
        shown = {"keep_split": parts, "override_vocabulary": job == "convert", "keep_source": found["kind"] == "hub"}
        for name, line in self.lines.items():
            line.setVisible(shown.get(name, True))
        self._split_row.setVisible(job == "convert")
        self.split.setChecked(False)
        override = self.lines["override_vocabulary"].control
        if isinstance(override, QCheckBox):
            override.setChecked(False)

    @property
    def splits(self) -> bool:
        """Whether several files are wanted; those are not measured."""
        return self.job == "convert" and self.split.isChecked()

    def told(self) -> dict[str, Any]:
        """What the job is told."""
        found: dict[str, Any] = {}
        for line in self.lines.values():
            found |= line.told()
        if "overrides" in found:
            found["overrides"] = [override(text) for text in found["overrides"]]
        return found | ({"split_bytes": round(self.limit.value() * GB)} if self.splits else {})


def override(text: str) -> list[str]:
    """[pattern, type] of "PATTERN=TYPE"; what is no such pair is left for the engine to refuse."""
    pattern, _, kind = text.rpartition("=")
    return [pattern.strip(), kind.strip()]
