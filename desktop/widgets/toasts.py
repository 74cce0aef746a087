"""Short messages at the bottom of the window, with Undo."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QVBoxLayout, QWidget

from desktop.widgets.make import button, frame, label, row

SHOWN_MS = 7000
AT_MOST = 3
BOTTOM = 128  # above the composer: a toast must not cover the button that is pressed next
WIDEST = 560


class Toasts(QWidget):
    """Toasts over `parent`, the newest lowest. They wait while the pointer is on them; at most three stand."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(8)
        self._shown: list[QFrame] = []
        parent.installEventFilter(self)
        self.hide()

    def show_text(self, text: str, undo: Callable[[], object] | None = None, undo_words: str = "Undo") -> None:
        """Show a line; `undo` is called at most once."""
        toast = frame("toast")
        words = label(text, wrap=len(text) > 60)
        words.setMaximumWidth(WIDEST - 140)
        buttons = [button(undo_words, lambda: self._undo(toast, undo))] if undo else []
        toast.setLayout(row(words, *buttons, spacing=16, margins=(16, 8, 8 if undo else 16, 8)))
        toast.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        timer = QTimer(toast, singleShot=True, interval=SHOWN_MS)
        timer.timeout.connect(lambda: self._drop_unless_read(toast, timer))
        timer.start()
        self._box.addWidget(toast, alignment=Qt.AlignmentFlag.AlignHCenter)
        self._shown.append(toast)
        while len(self._shown) > AT_MOST:
            self._drop(self._shown[0])
        self._place()
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(toast, text))

    def texts(self) -> list[str]:
        """What stands there now, oldest first."""
        return [words.text() for toast in self._shown for words in toast.findChildren(QLabel)]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Stay at the bottom when the window changes size."""
        if event.type() == QEvent.Type.Resize:
            self._place()
        return super().eventFilter(watched, event)

    def _undo(self, toast: QFrame, undo: Callable[[], object]) -> None:
        if toast in self._shown:
            self._drop(toast)
            undo()

    def _drop_unless_read(self, toast: QFrame, timer: QTimer) -> None:
        if toast.underMouse():
            timer.start()
        else:
            self._drop(toast)

    def _drop(self, toast: QFrame) -> None:
        if toast in self._shown:
            self._shown.remove(toast)
            self._box.removeWidget(toast)
            toast.hide()
            toast.deleteLater()
            self._place()

    def _place(self) -> None:
        parent = self.parentWidget()
        self.setVisible(bool(self._shown))
        if not self._shown or parent is None:
            return
        width = min(WIDEST, parent.width() - 32)
        height = self._box.sizeHint().height()
        self.setGeometry((parent.width() - width) // 2, parent.height() - height - BOTTOM, width, height)
        self.raise_()
