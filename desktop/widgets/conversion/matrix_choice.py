"""Which importance matrix helps a small type: none, one measured on some text, or one from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QComboBox, QFileDialog

from desktop.text import tr

FILES = "*.gguf *.imatrix *.txt *.md"
TEXTS = (".txt", ".md")


class MatrixChoice(QComboBox):
    """Its entries are kinds: none, builtin, file, collection. `changed()`."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName(tr("convert_page.importance"))
        self.file = ""
        self.needed = False
        self._collections: list[dict[str, Any]] = []
        self._fill(("none", ""))
        self.activated.connect(self._activated)

    @property
    def chosen(self) -> tuple[str, str]:
        """(kind, path or id)."""
        kind, value = self.currentData() or ("none", "")
        return str(kind), str(value)

    @property
    def used(self) -> bool:
        """Whether there will be one."""
        return self.chosen[0] != "none"

    def params(self) -> dict[str, Any]:
        """What a job is told: `imatrix`, and `text` for one that is measured."""
        kind, value = self.chosen
        if kind == "none":
            return {"imatrix": ""}
        if kind == "file" and not value.lower().endswith(TEXTS):
            return {"imatrix": value}
        texts: dict[str, Any] = {"builtin": "builtin", "collection": {"collection": value}, "file": value}
        return {"imatrix": "auto", "text": texts[kind]}

    def show_collections(self, rows: list[dict[str, Any]]) -> None:
        """Offer these collections of documents."""
        self._collections = [row for row in rows if row["indexed"]]
        self._fill(self.chosen)

    def need(self, needed: bool) -> None:
        """A type that is garbage without one: `none` goes, the built-in text stands for it."""
        if needed != self.needed:
            self.needed = needed
            kept = self.chosen
            self._fill(("builtin", "") if needed and kept[0] == "none" else kept)
            self.changed.emit()

    def choose_file(self) -> None:
        """Ask for an importance matrix, or a text to measure one on."""
        dialog = QFileDialog(self, tr("convert_page.importance_file"), "", f"{tr('convert_page.importance')} ({FILES})")
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.take_file)
        dialog.rejected.connect(lambda: self._fill(("builtin" if self.needed else "none", "")))
        dialog.rejected.connect(self.changed)
        dialog.open()

    def take_file(self, path: str) -> None:
        """This file from now on."""
        self.file = path
        self._fill(("file", path))
        self.changed.emit()

    def _activated(self, _: int) -> None:
        if self.chosen == ("file", ""):
            self.choose_file()
        else:
            self.changed.emit()

    def _fill(self, keep: tuple[str, str]) -> None:
        self.clear()
        if not self.needed:
            self.addItem(tr("convert_page.importance_none"), ("none", ""))
        self.addItem(tr("convert_page.importance_builtin"), ("builtin", ""))
        for row in self._collections:
            self.addItem(tr("convert_page.importance_collection", name=row["name"]), ("collection", str(row["id"])))
        if self.file:
            self.addItem(Path(self.file).name, ("file", self.file))
        self.addItem(tr("convert_page.importance_choose"), ("file", ""))
        places = (place for place in range(self.count()) if tuple(self.itemData(place)) == keep)
        self.setCurrentIndex(next(places, 0))
