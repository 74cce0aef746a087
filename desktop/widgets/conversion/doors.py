"""The other doors: what can be made of a source besides a GGUF model, each as the few things it needs to be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QWidget

from desktop.text import tr
from desktop.widgets.conversion.choosing import bare_name, own_name
from desktop.widgets.conversion.fields import Field, connect_method, lines_of
from desktop.widgets.conversion.fold import Fold
from desktop.widgets.conversion.place import Place
from desktop.widgets.conversion.targets_view import card_of
from desktop.widgets.make import button, column, label, row

FLOATS = ("f16", "bf16", "f32")
METHODS = ("linear", "slerp", "ties", "dare")
CHANGES = ("ties", "dare")  # these merge what was changed of a base


@dataclass(frozen=True)
class Door:
    """`offered` is the word of `can` that opens it; `out` is the end of the proposed name; `source` the parameter;
    `fields` are on show, `more` behind a word."""

    id: str
    job: str
    offered: str
    out: str
    fields: tuple[Field, ...] = ()
    source: str = "source"
    kinds: tuple[str, ...] = ("checkpoint", "gguf", "adapter", "onnx")
    more: tuple[Field, ...] = ()


TYPE = Field("type", "choice", FLOATS)
BASE = Field("base", "folder", needed=True)
TEXT, REPORT = Field("text", "file"), Field("report", "check", on=True)
CHUNKS, REPORT_CHUNKS = Field("chunks", "tokens"), Field("report_chunks", "tokens")
REPORT_TEXT = Field("report_text", "file")
OTHERS = (
    Field("method", "choice", METHODS),
    Field("others", "folders", needed=True),
    Field("base", "folder", needed=True, only=CHANGES),
)
SHARES = (Field("weights", "words"), Field("densities", "words", only=CHANGES))
RESIDUAL = (Field("of", "file", needed=True), Field("rank", "share"), REPORT)
WEIGHED = (Field("imatrix", "file"), REPORT_TEXT, REPORT_CHUNKS)
GGUF, CHECKPOINT = ("gguf",), ("checkpoint",)
DOORS = (
    Door("projector", "convert", "projector", "", (Field("type", "choice", (*FLOATS, "q8_0")),), kinds=CHECKPOINT),
    Door("onnx", "onnx", "onnx", "-onnx", (Field("int8", "check"), Field("int4", "check"))),
    Door("to_hf", "to_hf", "to_hf", "-hf", (TYPE,)),
    Door("adapter", "adapter", "adapter", "-lora.gguf", (BASE, TYPE), kinds=("adapter",)),
    Door("merge_adapter", "merge", "merge_adapter", "-merged", (BASE,), source=""),
    Door("merge", "merge", "merge", "-merged", OTHERS, source="", more=SHARES),
    Door(
        "prune",
        "prune",
        "prune",
        "-pruned.gguf",
        (Field("count", "count"), REPORT),
        "model",
        GGUF,
        (TEXT, CHUNKS, REPORT_TEXT, REPORT_CHUNKS),
    ),
    Door("lowrank", "lowrank", "lowrank", "-lowrank", (Field("rank", "share"),)),
    Door("residual", "lowrank", "residual", "-residual.gguf", RESIDUAL, more=WEIGHED),
    Door("imatrix", "imatrix", "imatrix", "-imatrix.gguf", (TEXT,), "model", GGUF, (CHUNKS,)),
    Door("compare", "compare", "compare", "", (Field("b", "file", needed=True), TEXT), "a", GGUF, (CHUNKS,)),
)


def doors_for(found: dict[str, Any]) -> list[Door]:
    """The doors that are open to a source; what lies on a hub is fetched when one is gone through."""
    return [door for door in DOORS if door.offered in found["can"] and found["kind"] in (*door.kinds, "hub")]


class DoorForm(QWidget):
    """The form of one door. `start_wanted(kind, params, title)`."""

    start_wanted = Signal(str, dict, str)

    def __init__(self, door: Door, source: str, found: dict[str, Any], folder: str) -> None:
        super().__init__()
        self.door, self.source, self.found = door, source, found
        self.place = Place()
        self.place.begin(folder)
        self.name = proposed(door, source, found)
        self.place.propose(self.name)
        self.lines = lines_of((*door.fields, *door.more))
        self.fields = {name: line.control for name, line in self.lines.items()}
        self.missing = label("", "red", wrap=True)
        self.missing.hide()
        self.start_button = button(tr(f"convert_page.door_{door.id}_start"), self.start, "main")
        self._build()

    def _build(self) -> None:
        words = label(tr(f"convert_page.door_{self.door.id}_hint"), "dim", wrap=True)
        heading = column(label(tr(f"convert_page.door_{self.door.id}"), "heading"), words, spacing=2)
        asked = [self.lines[field.name] for field in self.door.fields]
        more = [Fold(*(self.lines[field.name] for field in self.door.more))] if self.door.more else []
        parts = (*asked, self.place, *more, self.missing, row(self.start_button, None))
        self.setLayout(column(card_of(heading, *parts)))
        self.place.setVisible(bool(self.name))
        connect_method(self.lines)

    def params(self) -> dict[str, Any]:
        """What the job is told."""
        told: dict[str, Any] = {}
        for line in self.lines.values():
            told |= line.told()
        told |= {self.door.source: self.source} if self.door.source else {}
        told |= {"out": self.place.path()} if self.name else {}
        shape: Callable[[dict[str, Any]], dict[str, Any]] = getattr(self, f"_{self.door.id}", lambda one: one)
        return shape(told)

    def start(self) -> None:
        """Begin, if all is there that is needed."""
        lost = [name for name, line in self.lines.items() if line.field.needed and not line.told()]
        lost = [name for name in lost if not self.lines[name].isHidden()]
        if self.name and not self.place.path():
            lost.append("out")
        names = tr("convert_page.comma").join(tr(f"convert_page.field_{name}") for name in lost)
        self.missing.setText(tr("convert_page.missing", names=names) if lost else "")
        self.missing.setVisible(bool(lost))
        if not lost:
            title = f"{self.found['name']} → {tr(f'convert_page.door_{self.door.id}')}"
            self.start_wanted.emit(self.door.job, self.params(), title)

    def _projector(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"projector": True}

    def _merge_adapter(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"method": "adapter", "models": [{"path": self.source}]}

    def _merge(self, told: dict[str, Any]) -> dict[str, Any]:
        paths = [self.source, *told.pop("others", ())]
        said = {"weight": told.pop("weights", []), "density": told.pop("densities", [])}
        models: list[dict[str, Any]] = [{"path": path} for path in paths]
        for name, values in said.items():
            for model, value in zip(models, values, strict=False):
                model[name] = value.replace(",", ".")
        return told | {"models": models}

    def _prune(self, told: dict[str, Any]) -> dict[str, Any]:
        count = told.pop("count")
        return {"text": "builtin"} | told | {"layers": count}

    def _lowrank(self, told: dict[str, Any]) -> dict[str, Any]:
        return told | {"rank": told["rank"] / 100}

    _residual = _lowrank

    def _imatrix(self, told: dict[str, Any]) -> dict[str, Any]:
        return {"text": "builtin"} | told

    def _compare(self, told: dict[str, Any]) -> dict[str, Any]:
        return {"text": "builtin"} | told


def proposed(door: Door, source: str, found: dict[str, Any]) -> str:
    """The name to begin with, "" where nothing is written. What keeps the source's type keeps its name too."""
    if door.id == "projector":
        return f"mmproj-{bare_name(own_name(source, found), [])}.gguf"
    types = [] if door.id == "prune" else [str(found["dtype"])]
    return bare_name(own_name(source, found), types) + door.out if door.out else ""
