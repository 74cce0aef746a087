"""A dashed field that files and folders are dropped on."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFrame

from desktop.widgets.make import restyle


class DropTarget(QFrame):
    """What is dropped comes to `dropped`."""

    def __init__(self, name: str) -> None:
        """`name`: what it is called where it cannot be seen."""
        super().__init__()
        self.setProperty("kind", "dropHere")
        self.setAcceptDrops(True)
        self.setAccessibleName(name)

    def dropped(self, paths: list[str]) -> None:
        """Take what lies on this computer of it; never nothing."""

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files and folders are welcome."""
        if event.mimeData().hasUrls():
            event.setDropAction(Qt.DropAction.CopyAction)
            event.accept()
            restyle(self, "over", True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """Carried away again."""
        restyle(self, "over", False)

    def dropEvent(self, event: QDropEvent) -> None:
        """Take them."""
        restyle(self, "over", False)
        event.acceptProposedAction()
        if paths := dropped_paths(event):
            self.dropped(paths)


def dropped_paths(event: QDropEvent) -> list[str]:
    """What lies on this computer of what was dropped."""
    return [url.toLocalFile() for url in event.mimeData().urls() if url.isLocalFile()]
