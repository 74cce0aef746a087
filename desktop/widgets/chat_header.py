"""Above a conversation: its title, the model, how full the context is, and the panel's switch."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QKeyEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QPushButton, QSizePolicy

from desktop.text import tr
from desktop.widgets.context_meter import ContextMeter
from desktop.widgets.make import icon_button, row
from desktop.widgets.model_picker import ModelPicker

NARROW = 640  # px: below this the header says less


class TitleField(QLineEdit):
    """A line that ends with Enter or Esc."""

    cancelled = Signal()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.cancelled.emit()
        else:
            super().keyPressEvent(event)


class TitleButton(QPushButton):
    """Elides its text by itself: a QPushButton would cut off both ends."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setProperty("kind", "titleWord")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def set_whole(self, text: str) -> None:
        """The text, as much of it as fits."""
        self._whole = text
        room = max(40, self.width() - 24)
        self.setText(self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room))

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.set_whole(self._whole)


class ChatHeader(QFrame):
    """`renamed(title)` when the title was changed, `panel_wanted` for the settings panel."""

    renamed = Signal(str)
    panel_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "topbar")
        self.setFixedHeight(52)
        self._title = ""
        self.title = TitleButton()
        self.title.clicked.connect(self.start_renaming)
        self.field = TitleField()
        self.field.setAccessibleName(tr("chat.action_rename"))
        self.field.returnPressed.connect(self._renamed)
        self.field.cancelled.connect(self._stop)
        self.field.editingFinished.connect(self._stop)
        self.field.hide()
        self.picker = ModelPicker()
        self.meter = ContextMeter()
        self.panel_button = icon_button("sliders-horizontal", tr("chat.action_panel"), self.panel_wanted.emit)
        line = row(margins=(12, 0, 12, 0))
        line.addWidget(self.title, 1)
        line.addWidget(self.field, 1)
        for widget in (self.picker, self.meter, self.panel_button):
            line.addWidget(widget)
        self.setLayout(line)
        self.set_title("", stored=False)

    def set_title(self, title: str, *, stored: bool) -> None:
        """The conversation's title; one that is not stored yet cannot be renamed."""
        self._title = title or tr("chat.untitled")
        self.title.setEnabled(stored)
        self.title.setToolTip(tr("chat.rename_hint", title=self._title) if stored else "")
        self.title.setAccessibleName(tr("chat.title_name", title=self._title))
        self.title.set_whole(self._title)

    def start_renaming(self) -> None:
        """Turn the title into a field."""
        if self.title.isEnabled():
            self.field.setText(self._title)
            self.title.hide()
            self.field.show()
            self.field.setFocus(Qt.FocusReason.OtherFocusReason)
            self.field.selectAll()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.picker.set_narrow(self.width() < NARROW)
        self.meter.set_narrow(self.width() < NARROW)

    def _renamed(self) -> None:
        text = self.field.text().strip()
        if text and text != self._title:
            self.renamed.emit(text)
        self._stop()

    def _stop(self) -> None:
        if self.field.isVisible():
            self.field.hide()
            self.title.show()
