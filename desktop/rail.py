"""The rail at the left: one button a page, narrow with icons or wide with words."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QButtonGroup, QFrame, QMenu, QToolButton, QVBoxLayout

from desktop.icons import icon
from desktop.page import Page
from desktop.text import tr

NARROW, WIDE = 56, 184


class Rail(QFrame):
    """Buttons of `pages`, and a menu of `actions`; `opened(page id)` is called when one is chosen."""

    def __init__(self, pages: list[Page], opened: Callable[[str], object], actions: list[QAction]) -> None:
        super().__init__()
        self.setProperty("kind", "rail")
        self.setAccessibleName(tr("frame.rail"))
        self.buttons: dict[str, QToolButton] = {}
        self._pages = {page.id: page for page in pages if page.place != "none"}
        self._group = QButtonGroup(self)
        self._opened = opened
        self._menu_button = self._more_button(actions)
        box = QVBoxLayout(self)
        box.setContentsMargins(8, 12, 7, 12)
        box.setSpacing(4)
        for place in ("top", "bottom"):
            for page in self._pages.values():
                if page.place == place:
                    box.addWidget(self._button(page))
            if place == "top":
                box.addStretch(1)
        box.addWidget(self._menu_button)
        self.set_wide(False)

    def set_wide(self, wide: bool) -> None:
        """Show words beside the icons, or icons alone."""
        self.setFixedWidth(WIDE if wide else NARROW)
        style = Qt.ToolButtonStyle.ToolButtonTextBesideIcon if wide else Qt.ToolButtonStyle.ToolButtonIconOnly
        for made in (*self.buttons.values(), self._menu_button):
            made.setToolButtonStyle(style)
            made.setFixedSize(WIDE - 16 if wide else 40, 40)

    def choose(self, page: str) -> None:
        """Mark the page on show; none is marked for a page that is not on the rail."""
        self._group.setExclusive(False)
        for name, made in self.buttons.items():
            made.setChecked(name == page)
        self._group.setExclusive(True)
        self.tint()

    def tint(self) -> None:
        """Draw the icons in the colours of the current theme."""
        for name, made in self.buttons.items():
            made.setIcon(icon(self._pages[name].icon, "accent" if made.isChecked() else "dim"))
        self._menu_button.setIcon(icon("ellipsis"))

    def _button(self, page: Page) -> QToolButton:
        made = self._plain_button(page.label, page.shortcut)
        made.setCheckable(True)
        made.clicked.connect(lambda *_: self._opened(page.id))
        self._group.addButton(made)
        self.buttons[page.id] = made
        return made

    def _plain_button(self, words: str, shortcut: str) -> QToolButton:
        made = QToolButton()
        made.setProperty("kind", "rail")
        made.setText("  " + words)
        made.setAccessibleName(words)
        keys = QKeySequence(shortcut).toString(QKeySequence.SequenceFormat.NativeText)
        made.setToolTip(f"{words}  {keys}".strip())
        made.setIconSize(QSize(20, 20))
        made.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        made.setCursor(Qt.CursorShape.PointingHandCursor)
        return made

    def _more_button(self, actions: list[QAction]) -> QToolButton:
        made = self._plain_button(tr("frame.more"), "")
        menu = QMenu(made)
        menu.addActions(actions)
        made.setMenu(menu)
        made.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        return made
