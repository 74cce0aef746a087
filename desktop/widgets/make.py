"""Small builders, so that pages read as what they show: labels, buttons, cards, rows."""

from __future__ import annotations

import html
from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QLayout, QPushButton, QToolButton, QVBoxLayout, QWidget

from desktop.icons import icon, pixmap
from desktop.theme import theme_keeper


def label(text: str, kind: str = "", *, wrap: bool = False) -> QLabel:
    """A label; `kind` is one of title, heading, dim, faint, good, amber, red, badge. The text is never HTML."""
    made = QLabel(text)
    made.setTextFormat(Qt.TextFormat.PlainText)
    made.setWordWrap(wrap)
    if kind:
        made.setProperty("kind", kind)
    return made


def button(text: str, clicked: Callable[[], object], kind: str = "", *, name: str = "") -> QPushButton:
    """A button with words; `kind` is one of main, quiet, danger, chip. `name` is for screen readers."""
    made = QPushButton(text)
    made.setProperty("kind", kind)
    made.setAccessibleName(name or text)
    made.setCursor(Qt.CursorShape.PointingHandCursor)
    made.setCheckable(kind == "chip")
    made.clicked.connect(lambda *_: clicked())
    return made


class IconButton(QToolButton):
    """A button with an icon alone, tinted by the theme; `name` is its tooltip and its name for screen readers."""

    def __init__(self, picture: str, name: str, clicked: Callable[[], object], *, size: int = 18) -> None:
        super().__init__()
        self._picture, self._size = picture, size
        self.setIconSize(QSize(size, size))
        self.setToolTip(name)
        self.setAccessibleName(name)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.clicked.connect(lambda *_: clicked())
        theme_keeper().changed.connect(self.tint)
        self.tint()

    def tint(self) -> None:
        """Draw the icon in the colours of the current theme."""
        self.setIcon(icon(self._picture, "dim", self._size))


def icon_button(picture: str, name: str, clicked: Callable[[], object], *, size: int = 18) -> IconButton:
    """A button with the icon `picture` alone, called `name`."""
    return IconButton(picture, name, clicked, size=size)


class Picture(QLabel):
    """An icon that only shows, in a colour of the theme."""

    def __init__(self, picture: str, colour: str, size: int) -> None:
        super().__init__()
        self._picture, self._colour, self._size = picture, colour, size
        theme_keeper().changed.connect(self.tint)
        self.tint()

    def show_picture(self, picture: str) -> None:
        """Show another icon."""
        self._picture = picture
        self.tint()

    def tint(self) -> None:
        """Draw the icon in the colours of the current theme."""
        self.setPixmap(pixmap(self._picture, self._colour, self._size, self.devicePixelRatioF()))


def frame(kind: str) -> QFrame:
    """A frame of the style sheet: card, topbar, side, panel, notice, problem, line."""
    made = QFrame()
    made.setProperty("kind", kind)
    return made


def row(
    *items: QWidget | QLayout | int | None,
    spacing: int = 8,
    margins: tuple[int, int, int, int] = (0, 0, 0, 0),
    grow: int = -1,
) -> QHBoxLayout:
    """Items side by side; a number is a fixed gap, None takes up the free room, and so does item number `grow`."""
    made = QHBoxLayout()
    _fill(made, items, spacing, margins)
    if grow >= 0:
        made.setStretch(grow, 100)
    return made


def column(
    *items: QWidget | QLayout | int | None, spacing: int = 8, margins: tuple[int, int, int, int] = (0, 0, 0, 0)
) -> QVBoxLayout:
    """Items one below the other; a number is a fixed gap, None takes up the free room."""
    made = QVBoxLayout()
    _fill(made, items, spacing, margins)
    return made


def _fill(
    box: QHBoxLayout | QVBoxLayout,
    items: tuple[QWidget | QLayout | int | None, ...],
    spacing: int,
    margins: tuple[int, int, int, int],
) -> None:
    box.setSpacing(spacing)
    box.setContentsMargins(*margins)
    for item in items:
        if item is None:
            box.addStretch(1)
        elif isinstance(item, int):
            box.addSpacing(item)
        elif isinstance(item, QLayout):
            box.addLayout(item)
        else:
            box.addWidget(item)


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Set a property the style sheet goes by, and let it look again."""
    widget.setProperty(name, value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def tip(text: str) -> str:
    """`text` for a tooltip, which Qt would else read as HTML where it looks like it: names come from anywhere."""
    return f"<qt>{html.escape(text)}</qt>" if text else ""


def clear(layout: QLayout) -> None:
    """Take everything out of a layout and delete it."""
    while (item := layout.takeAt(0)) is not None:
        if widget := item.widget():
            widget.hide()
            widget.deleteLater()
        elif inner := item.layout():
            clear(inner)
