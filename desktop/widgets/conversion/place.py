"""Where something will be written: a folder and a name."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QGridLayout, QLineEdit, QWidget

from desktop.text import tr
from desktop.widgets.conversion.choosing import safe_name
from desktop.widgets.make import button, label


class Place(QWidget):
    """`folder` and `name` fields. A name the person wrote is left alone; else it follows what is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.folder, self.name = QLineEdit(), QLineEdit()
        self.folder.setAccessibleName(tr("convert_page.folder"))
        self.name.setAccessibleName(tr("convert_page.name"))
        self._own = False
        self.name.textEdited.connect(self._edited)
        self._choose = button(tr("convert_page.browse"), self.choose_folder, name=tr("convert_page.browse_folder"))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(2)
        for place, (title, field) in enumerate((("name", self.name), ("folder", self.folder))):
            grid.addWidget(label(tr(f"convert_page.{title}"), "faint"), 0, place)
            grid.addWidget(field, 1, place)
            grid.setColumnStretch(place, 1)
        grid.addWidget(self._choose, 1, 2)

    def begin(self, folder: str) -> None:
        """A new source: its folder, and a name that follows again."""
        self._own = False
        self.folder.setText(folder)
        self.folder.setCursorPosition(0)

    def propose(self, name: str) -> None:
        """The name that fits what is chosen now."""
        if not self._own:
            self.name.setText(safe_name(name))
            self.name.setCursorPosition(0)

    def path(self) -> str:
        """The whole path, "" where there is no name."""
        name = self.name.text().strip()
        return str(Path(self.folder.text().strip() or ".").expanduser() / safe_name(name)) if name else ""

    def choose_folder(self) -> None:
        """Let the person choose where."""
        dialog = QFileDialog(self, tr("convert_page.browse_folder"), self.folder.text())
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.fileSelected.connect(self.folder.setText)
        dialog.open()

    def _edited(self, text: str) -> None:
        self._own = bool(text.strip())
