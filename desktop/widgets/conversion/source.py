"""Where one says what is to be converted, and what it turned out to be."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QFrame, QLineEdit

from desktop.text import bytes_text, count_text, find, language, tr
from desktop.widgets.conversion.reading import sentences
from desktop.widgets.drop_target import DropTarget
from desktop.widgets.flow import Flow
from desktop.widgets.make import Picture, button, clear, column, frame, label, row

FILES = "*.gguf *.safetensors *.json *.bin *.onnx"
PICTURES = {"gguf": "box", "hub": "cloud", "checkpoint": "folder", "adapter": "plug", "onnx": "box"}


class SourceField(DropTarget):
    """`given(source)`: a path that was dropped, chosen or typed, or a name on a hub."""

    given = Signal(str)

    def __init__(self) -> None:
        super().__init__(tr("convert_page.drop"))
        self.field = QLineEdit(placeholderText=tr("convert_page.field"), clearButtonEnabled=True)
        self.field.setAccessibleName(tr("convert_page.field"))
        self.field.returnPressed.connect(self._typed)
        self.look_button = button(tr("convert_page.look"), self._typed, "main")
        words = column(
            label(tr("convert_page.drop"), "heading", wrap=True), label(hint_words(), "dim", wrap=True), spacing=2
        )
        head = row(Picture("arrow-left-right", "accent", 28), words, spacing=14, grow=1)
        choose = Flow(
            button(tr("convert_page.choose_folder"), self.choose_folder),
            button(tr("convert_page.choose_file"), self.choose_file),
        )
        typed = row(self.field, self.look_button, grow=0)
        self.setLayout(column(head, choose, typed, spacing=14, margins=(20, 18, 20, 18)))

    def choose_folder(self) -> None:
        """Let the person choose a checkpoint's or an adapter's folder."""
        dialog = QFileDialog(self, tr("convert_page.choose_folder"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self.given)
        dialog.open()

    def choose_file(self) -> None:
        """Let the person choose a model's file."""
        dialog = QFileDialog(self, tr("convert_page.choose_file"), "", f"{tr('convert_page.model_files')} ({FILES})")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.given)
        dialog.open()

    def dropped(self, paths: list[str]) -> None:
        """Take the first of them."""
        self.given.emit(paths[0])

    def _typed(self) -> None:
        if text := self.field.text().strip():
            self.given.emit(text)


def hint_words() -> str:
    """What may be dropped."""
    return tr("convert_page.drop_hint")


class SourceCard(QFrame):
    """What a source is; where nothing can be made of it, why, and what to do instead.

    `nearest_wanted(name)` names a model as people say it.
    """

    change_wanted = Signal()
    nearest_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self._picture = Picture("folder", "accent", 26)
        self.name, self.facts = label("", "heading", wrap=True), label("", "dim", wrap=True)
        self.refused = frame("notice")
        self.refusal = label("", wrap=True)
        self._ways = Flow()
        self.refused.setLayout(column(self.refusal, self._ways, margins=(14, 10, 14, 10)))
        change = button(tr("convert_page.change"), self.change_wanted.emit)
        head = row(self._picture, column(self.name, self.facts, spacing=2), change, spacing=14, grow=1)
        self.setLayout(column(head, self.refused, margins=(18, 14, 18, 14), spacing=12))

    def show_source(self, found: dict[str, Any]) -> None:
        """Show what `convert.look` found."""
        self._picture.show_picture(PICTURES.get(found["kind"], "box"))
        self.name.setText(str(found["name"]))
        self.facts.setText("\u00a0· ".join(part.replace(" ", "\u00a0") for part in fact_words(found)))
        self._show_refusal(found)

    def _show_refusal(self, found: dict[str, Any]) -> None:
        refused = found.get("refused")
        nothing = not found["can"] and not refused
        ready = found["can"] == ["download"]
        self.refused.setVisible(bool(refused) or nothing or ready)
        clear(self._ways)
        if ready:
            self.refusal.setText(tr("convert_page.hub_gguf"))
            self._offer(str(found["name"]))
        if nothing:
            self.refusal.setText(tr("convert_page.onnx_already" if found["kind"] == "onnx" else "convert_page.nothing"))
        if not refused:
            return
        self.refusal.setText(refusal_words(found, refused))
        if nearest := str(refused.get("nearest") or ""):
            self._offer(nearest)

    def _offer(self, name: str) -> None:
        words = tr("convert_page.take_nearest", name=name)
        self._ways.addWidget(button(words, lambda: self.nearest_wanted.emit(name), "small"))


def refusal_words(found: dict[str, Any], refused: dict[str, Any]) -> str:
    """Why it cannot become a GGUF model, and what works."""
    reason = str(refused.get(f"reason_{language()}") or refused.get("reason") or "")
    name = found["architecture"] or found["name"]
    parts = [tr("convert_page.refused", name=name)]
    parts.append(reason if reason else tr("convert_page.refused_unknown"))
    if "projector" in found["can"]:
        parts.append(tr("convert_page.way_projector"))
    if "onnx" in found["can"]:
        parts.append(tr("convert_page.way_onnx"))
    if nearest := refused.get("nearest"):
        parts.append(tr("convert_page.way_nearest", name=nearest))
    return sentences(parts)


def fact_words(found: dict[str, Any]) -> list[str]:
    """Kind, family, architecture, parameters, size, type, how it is packed, context, licence: what is known."""
    family, architecture = str(found["family"]), str(found["architecture"])
    parts = [tr(f"convert_page.kind_{found['kind']}")] if find(f"convert_page.kind_{found['kind']}") else []
    parts += [tr("convert_page.family", name=family)] if family else []
    new = architecture and architecture.casefold() not in (family.casefold(), "lora")
    parts += [architecture] if new else []
    parts += [tr("convert_page.parameters", count=parameters_text(found["parameters"]))] if found["parameters"] else []
    parts += [str(found["dtype"])] if found["dtype"] else []
    parts += [tr("convert_page.packed", method=found["quantized"])] if found["quantized"] else []
    parts += [tr("convert_page.files", count=found["files"])] if found["files"] > 1 else []
    parts += [bytes_text(found["bytes"])] if found["bytes"] else []
    parts += [tr("convert_page.context", count=count_text(found["context"]))] if found["context"] else []
    parts += [tr("convert_page.base", name=found["base"])] if found.get("base") else []
    return [*parts, str(found["license"]) or tr("convert_page.licence_unknown")]


def parameters_text(count: int) -> str:
    """ "135 M", "7.6 B"."""
    if count >= 1_000_000_000:
        return f"{count / 1e9:.1f} B"
    if count < 1000:
        return str(count)
    return f"{count / 1e6:.0f} M" if count >= 1_000_000 else f"{count / 1e3:.0f} K"
