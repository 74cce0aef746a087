"""What can be done from anywhere: palette, look, language, help."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QApplication, QWidget

from desktop.about import About
from desktop.actions import Action
from desktop.desk import Desk
from desktop.palette import Palette
from desktop.text import language
from desktop.theme import theme
from engine.api.folders import logs_folder


def _window() -> QWidget:
    active = QApplication.activeWindow()
    return active.window() if active else QApplication.topLevelWidgets()[0]


def _palette(desk: Desk) -> None:
    Palette(desk, _window()).show()


def _about(desk: Desk) -> None:
    About(desk, _window()).show()


def _other_theme(desk: Desk) -> None:
    desk.set(theme="light" if theme().dark else "dark")


def _other_language(desk: Desk) -> None:
    desk.set(language="en" if language() == "zh" else "zh")


def _resize_text(desk: Desk, by: int) -> None:
    size = desk.settings.font_size + by
    if 11 <= size <= 22:
        desk.set(font_size=size)


def _open_logs(desk: Desk) -> None:
    logs_folder().mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(logs_folder())))


FRAME_ACTIONS = [
    Action("frame.palette", "Ctrl+Shift+P", _palette),
    Action("frame.rail", "Ctrl+B", lambda desk: desk.set(rail_wide=not desk.settings.rail_wide)),
    Action("frame.theme", "Ctrl+Shift+L", _other_theme),
    Action("frame.language", "", _other_language),
    Action("frame.larger", "Ctrl+=", lambda desk: _resize_text(desk, 1)),
    Action("frame.smaller", "Ctrl+-", lambda desk: _resize_text(desk, -1)),
    Action("frame.restart", "", lambda desk: desk.client.restart()),
    Action("frame.logs", "", _open_logs),
    Action("frame.about", "", _about),
    Action("frame.quit", "Ctrl+Q", lambda desk: _quit()),
]
MENU = ("frame.palette", "frame.rail", "frame.theme", "frame.language", "frame.logs", "frame.about", "frame.quit")


def _quit() -> None:
    _window().close()
