"""The other doors: what can be made of a source besides a GGUF model, each as the few things it needs to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QDoubleSpinBox, QFileDialog, QLineEdit, QSpinBox, QWidget

from desktop.text import tr
from desktop.widgets.conversion.choosing import bare_name, own_name
from desktop.widgets.conversion.place import Place
from desktop.widgets.conversion.targets_view import card_of
from desktop.widgets.make import button, column, label, row

FLOATS = ("f16", "bf16", "f32")
METHODS = ("linear", "slerp", "ties", "dare")


@dataclass(frozen=True)
class Field:
    """One thing a door asks: `kind` is folder, file, folders, choice, check, count or share."""

    name: str
    kind: str
    choices: tuple[str, ...] = ()
    needed: bool = False


@dataclass(frozen=True)
class Door:
    """`offered` is the word of `can` that opens it; `out` is the end of the proposed name; `source` the parameter."""

    id: str
    job: str
    offered: str
    out: str
    fields: tuple[Field, ...] = ()
    source: str = "source"
    kinds: tuple[str, ...] = ("checkpoint", "gguf", "adapter", "onnx")


TYPE = Field("type", "choice", FLOATS)
BASE = Field("base", "folder", needed=True)
OTHERS = (Field("method", "choice", METHODS), Field("others", "folders", needed=True), Field("base", "folder"))
REPORT = Field("report", "check")
DOORS = (
    Door("onnx", "onnx", "onnx", "-onnx", (Field("int8", "check"), Field("int4", "check"))),
    Door("to_hf", "to_hf", "to_hf", "-hf", (TYPE,)),
    Door("adapter", "adapter", "adapter", "-lora.gguf", (BASE, TYPE), kinds=("adapter",)),
    Door("merge_adapter", "merge", "merge_adapter", "-merged", (BASE,), source=""),
    Door("merge", "merge", "merge", "-merged", OTHERS, source=""),
    Door("prune", "prune", "prune", "-pruned.gguf", (Field("count", "count"), REPORT), "model", ("gguf",)),
    Door("lowrank", "lowrank", "lowrank", "-lowrank", (Field("rank", "share"), Field("report", "check")), "source"),
    Door("imatrix", "imatrix", "imatrix", "-imatrix.gguf", (Field("text", "file"),), "model", ("gguf",)),
    Door("compare", "compare", "compare", "", (Field("b", "file", needed=True), Field("text", "file")), "a", ("gguf",)),
)


def doors_for(found: dict[str, Any]) -> list[Door]:
    """The doors that are open to a source."""
    return [door for door in DOORS if door.offered in found["can"] and found["kind"] in door.kinds]


class DoorForm(QWidget):
    """The form of one door. `start_wanted(kind, params, title)`."""

    start_wanted = Signal(str, dict, str)

    def __init__(self, door: Door, source: str, found: dict[str, Any], folder: str) -> None:
        super().__init__()
        self.door, self.source, self.found = door, source, found
        self.place = Place()
        self.place.begin(folder)
        self.place.propose(bare_name(own_name(source, found), []) + door.out)
        self.place.setVisible(bool(door.out))
        self.fields: dict[str, QWidget] = {}
        self.missing = label("", "red", wrap=True)
        self.missing.hide()
        heading = label(tr(f"convert_page.door_{door.id}"), "heading")
        words = label(tr(f"convert_page.door_{door.id}_hint"), "dim", wrap=True)
        asked = [self._line(field) for field in door.fields]
        self.start_button = button(tr(f"convert_page.door_{door.id}_start"), self.start, "main")
        parts = (*asked, self.place, self.missing, row(self.start_button, None))
        self.setLayout(column(card_of(column(heading, words, spacing=2), *parts)))

    def value(self, name: str) -> Any:
        """What a field holds now."""
        field = self.fields[name]
        if isinstance(field, QCheckBox):
            return field.isChecked()
        if isinstance(field, QComboBox):
            return field.currentData()
        if isinstance(field, QSpinBox | QDoubleSpinBox):
            return field.value()
        return field.text().strip() if isinstance(field, QLineEdit) else None

    def params(self) -> dict[str, Any]:
        """What the job is told."""
        told = {name: self.value(name) for name in self.fields}
        told = {name: value for name, value in told.items() if value != ""}
        told |= {self.door.source: self.source} if self.door.source else {}
        told |= {"out": self.place.path()} if self.door.out else {}
        shape: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, f"_{self.door.id}", lambda one: one)
        return shape(told)

    def start(self) -> None:
        """Begin, if all is there that is needed."""
        lost = [field.name for field in self.door.fields if field.needed and not self.value(field.name)]
        if self.door.out and not self.place.path():
            lost.append("out")
        names = tr("convert_page.comma").join(tr(f"convert_page.field_{name}") for name in lost)
        self.missing.setText(tr("convert_page.missing", names=names) if lost else "")
        self.missing.setVisible(bool(lost))
        if not lost:
            title = f"{self.found['name']} → {tr(f'convert_page.door_{self.door.id}')}"
            self.start_wanted.emit(self.door.job, self.params(), title)

    def _merge_adapter(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"method": "adapter", "models": [{"path": self.source}]}

    def _merge(self, told: dict[str, Any]) -> dict[str, Any]:
        paths = [self.source, *(part.strip() for part in told.pop("others").split(";") if part.strip())]
        return told | {"models": [{"path": path} for path in paths]}

    def _prune(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"layers": told.pop("count"), "text": "builtin"}

    def _lowrank(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"rank": told["rank"] / 100}

    def _imatrix(self, told: dict[str, Any]) -> dict[str, Any]:
        return {"text": "builtin"} | told

    def _compare(self, told: dict[str, Any]) -> dict[str, Any]:
        return {"text": "builtin"} | told

    def _line(self, field: Field) -> QWidget:
        words, hint = tr(f"convert_page.field_{field.name}"), tr(f"convert_page.field_{field.name}_hint")
        made = self.fields[field.name] = _control(field, words, hint)
        made.setAccessibleName(words)
        if field.kind == "check":
            made.setToolTip(hint)
            return made
        holder, inside = QWidget(), row(made, None)
        if isinstance(made, QLineEdit):
            browse = button(tr("convert_page.browse"), partial(self._browse, field), name=f"{words}: …")
            inside = row(made, browse, grow=0)
        holder.setLayout(column(label(words, "faint"), inside, spacing=2))
        return holder

    def _browse(self, field: Field) -> None:
        dialog = QFileDialog(self, tr(f"convert_page.field_{field.name}"))
        folder = field.kind in ("folder", "folders")
        dialog.setFileMode(QFileDialog.FileMode.Directory if folder else QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(partial(self._take, field))
        dialog.open()

    def _take(self, field: Field, path: str) -> None:
        line = self.fields[field.name]
        if isinstance(line, QLineEdit):
            before = line.text().strip() if field.kind == "folders" else ""
            line.setText(f"{before}; {path}" if before else path)


def _control(field: Field, words: str, hint: str) -> QWidget:
    """The control of one field, with a good value."""
    if field.kind == "check":
        box = QCheckBox(words)
        box.setChecked(field.name == "report")
        return box
    if field.kind == "choice":
        made = QComboBox()
        for choice in field.choices:
            made.addItem(tr(f"convert_page.choice_{choice}"), choice)
        return made
    if field.kind in ("count", "share"):
        number = QSpinBox(minimum=1, maximum=1000) if field.kind == "count" else _share()
        number.lineEdit().setTextMargins(8, 0, 0, 0)
        return number
    return QLineEdit(placeholderText=hint)


def _share() -> QDoubleSpinBox:
    return QDoubleSpinBox(decimals=1, minimum=1.0, maximum=99.9, value=90.0, suffix=" %")
