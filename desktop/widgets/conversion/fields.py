"""One thing a form asks, as a control with words and a good value."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFileDialog, QLineEdit, QSpinBox, QWidget

from desktop.text import tr
from desktop.widgets.make import button, column, label, row
from engine.api.hub_names import hub_name

PATHS = ("file", "folder")
TOKENS = 512  # of a chunk


@dataclass(frozen=True)
class Field:
    """`kind` is folder, file, folders or words (several with ; between), choice, check, count, share, or tokens (so
    many that are read, 0 for the usual number). `only`: the methods it is for. `on`: a check is ticked at first."""

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    needed: bool = False
    only: tuple[str, ...] = ()
    on: bool = False


class FieldLine(QWidget):
    """The field's words above its control; of a path with a button to choose it."""

    def __init__(self, field: Field) -> None:
        super().__init__()
        self.field = field
        words, hint = tr(f"convert_page.field_{field.name}"), tr(f"convert_page.field_{field.name}_hint")
        self.control = _control(field, words, hint)
        self.control.setAccessibleName(words)
        self.control.setToolTip(hint)
        self.control.setAccessibleDescription(hint)
        if isinstance(self.control, QCheckBox):
            self.setLayout(row(self.control, None))
            return
        inside = row(self.control, None)
        if field.kind in (*PATHS, "folders"):
            browse = button(tr("convert_page.browse"), self.browse, name=f"{words}: …")
            inside = row(self.control, browse, grow=0)
        elif isinstance(self.control, QLineEdit):
            inside = row(self.control)
        self.setLayout(column(label(words, "faint"), inside, spacing=2))

    def value(self) -> Any:
        """What it holds now; a path as a whole one, "" where nothing was written."""
        if isinstance(self.control, QCheckBox):
            return self.control.isChecked()
        if isinstance(self.control, QComboBox):
            return self.control.currentData()
        if isinstance(self.control, QSpinBox | QDoubleSpinBox):
            return self.control.value()
        text = self.control.text().strip() if isinstance(self.control, QLineEdit) else ""
        if self.field.kind in ("folders", "words"):
            parts = [part.strip() for part in text.split(";") if part.strip()]
            return [_folder(part) for part in parts] if self.field.kind == "folders" else parts
        if self.field.kind == "folder":
            return _folder(text) if text else ""
        return _whole(text) if text and self.field.kind == "file" else text

    def told(self) -> dict[str, Any]:
        """What a job is told: nothing where nothing was said."""
        value = self.value()
        usual = value in ("", []) or (self.field.kind == "tokens" and value == 0)
        if self.field.kind == "tokens":
            value = max(1, round(value / TOKENS))
        return {} if usual or self.isHidden() else {self.field.name: value}

    def browse(self) -> None:
        """Let the person choose a file or a folder."""
        dialog = QFileDialog(self, tr(f"convert_page.field_{self.field.name}"))
        file = self.field.kind == "file"
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile if file else QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self.take)
        dialog.open()

    def take(self, path: str) -> None:
        """This path; of several one more."""
        if isinstance(self.control, QLineEdit):
            before = self.control.text().strip() if self.field.kind == "folders" else ""
            self.control.setText(f"{before}; {path}" if before else path)


def _folder(text: str) -> str:
    """A checkpoint's folder, or its name on a hub."""
    return hub_name(text) or _whole(text)


def _whole(path: str) -> str:
    return str(Path(path).expanduser().absolute())


def _control(field: Field, words: str, hint: str) -> QWidget:
    if field.kind == "check":
        box = QCheckBox(words)
        box.setChecked(field.on)
        return box
    if field.kind == "choice":
        return _choice(field)
    if field.kind in ("count", "share", "tokens"):
        number = {"count": _count, "share": _share, "tokens": _tokens}[field.kind]()
        number.lineEdit().setTextMargins(8, 0, 0, 0)
        return number
    return QLineEdit(placeholderText=hint)


def _choice(field: Field) -> QComboBox:
    made = QComboBox()
    for choice in field.choices:
        made.addItem(tr(f"convert_page.choice_{choice}"), choice)
    return made


def _count() -> QSpinBox:
    return QSpinBox(minimum=1, maximum=1000)


def _share() -> QDoubleSpinBox:
    return QDoubleSpinBox(decimals=1, minimum=1.0, maximum=99.9, value=90.0, suffix=" %")


def _tokens() -> QSpinBox:
    made = QSpinBox(minimum=0, maximum=512_000, singleStep=4096)
    made.setSpecialValueText(tr("convert_page.usual_tokens"))
    made.setGroupSeparatorShown(True)
    return made


def lines_of(fields: tuple[Field, ...]) -> dict[str, FieldLine]:
    """The fields' lines, by name."""
    return {field.name: FieldLine(field) for field in fields}


def connect_method(lines: dict[str, FieldLine]) -> None:
    """Fields that are only for some methods are there for those only."""
    method = lines["method"].control if "method" in lines else None
    if not isinstance(method, QComboBox):
        return
    show = partial(_show_for, lines, method)
    method.currentIndexChanged.connect(show)
    show()


def _show_for(lines: dict[str, FieldLine], method: QComboBox, *_: object) -> None:
    for line in lines.values():
        line.setVisible(not line.field.only or method.currentData() in line.field.only)
