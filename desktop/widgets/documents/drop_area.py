"""Where files and folders are dropped, or chosen."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFileDialog, QWidget

from desktop.text import tr
from desktop.widgets.drop_target import DropTarget
from desktop.widgets.make import Picture, button, column, label, row


class DropArea(DropTarget):
    """`given(paths)`."""

    given = Signal(list)

    def __init__(self) -> None:
        super().__init__(tr("documents.drop"))
        self._picture = Picture("file-text", "accent", 28)
        self._title, self._words = label(tr("documents.drop"), "heading"), label(tr("documents.drop_hint"), "dim")
        self._words.setWordWrap(True)
        files = button(tr("documents.choose_files"), self.choose_files)
        folder = button(tr("documents.choose_folder"), self.choose_folder, "main")
        told = column(self._title, self._words, spacing=2)
        self.setLayout(row(self._picture, told, files, folder, margins=(18, 14, 18, 14), spacing=12, grow=1))

    def set_small(self, small: bool) -> None:
        """One line, where there are files already."""
        self._picture.setVisible(not small)
        self._words.setVisible(not small)

    def choose_files(self) -> None:
        """Let the person choose files."""
        dialog = QFileDialog(self, tr("documents.choose_files"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFiles)
        dialog.filesSelected.connect(self.given)
        dialog.open()

    def choose_folder(self) -> None:
        """Let the person choose a folder, which is watched from then on."""
        dialog = QFileDialog(self, tr("documents.choose_folder"))
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.filesSelected.connect(self.given)
        dialog.open()

    def dropped(self, paths: list[str]) -> None:
        """Take them."""
        self.given.emit(paths)


class Beginning(QWidget):
    """What stands on the page before there is any collection."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = DropArea()
        inside = QWidget()
        inside.setMaximumWidth(640)
        words = label(tr("documents.begin_text"), "dim", wrap=True)
        inside.setLayout(column(label(tr("documents.begin_title"), "title", wrap=True), words, 8, self.drop))
        self.setLayout(column(None, row(None, inside, None, grow=1), None, margins=(28, 20, 28, 20)))
