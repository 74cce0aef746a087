"""What every page is given: the engine, the settings, the actions, and ways to speak to the person."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from desktop.client import EngineClient
from desktop.text import error_text, set_language
from desktop.theme import theme_keeper
from engine.api.errors import UserError
from engine.api.settings import Settings, load_settings

if TYPE_CHECKING:
    from desktop.actions import Action
    from desktop.page import PageWidget

Undo = Callable[[], object]


class Desk(QObject):
    """The one object pages receive.

    `page_wanted(id, args)` and `toast_wanted(text, undo or None)` are answered by the window.
    """

    settings_changed = Signal()
    language_changed = Signal()
    page_wanted = Signal(str, dict)
    toast_wanted = Signal(str, object)

    def __init__(self, client: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.client = client
        self.settings: Settings = load_settings()
        self.actions: list[Action] = []
        self.find_page: Callable[[str], PageWidget | None] = lambda page: None
        self._language = self.settings.language
        set_language(self._language)
        client.broadcast.connect(self._on_broadcast)

    def set(self, **values: Any) -> None:
        """Change settings: seen at once, stored by the engine; taken back with a word if it refuses."""
        before = {name: getattr(self.settings, name) for name in values}
        try:
            wanted = self.settings.with_values(values)
        except UserError as error:
            self.toast_error(error)
            return
        self._take(wanted)
        self.client.call("settings.set", {"values": values}, error=partial(self._refused, before))

    def toast(self, text: str, undo: Undo | None = None) -> None:
        """A line at the bottom of the window for some seconds, with an Undo button where `undo` is given."""
        self.toast_wanted.emit(text, undo)

    def toast_error(self, error: UserError) -> None:
        """An error that has no better place to stand."""
        self.toast(" ".join(part for part in error_text(error) if part))

    def open_page(self, page: str, **args: Any) -> None:
        """Bring a page to the front; it is given `args` in `opened`."""
        self.page_wanted.emit(page, args)

    def page(self, page: str) -> PageWidget | None:
        """A page's widget, None before its first opening."""
        return self.find_page(page)

    def run(self, action: Action) -> None:
        """Do an action, on its page where it has one."""
        if action.page:
            self.open_page(action.page)
        action.run(self)

    def _refused(self, before: dict[str, Any], error: UserError) -> None:
        if error.code != "engine_died":
            self._take(self.settings.with_values(before))
        self.toast_error(error)

    def _on_broadcast(self, event: dict[str, Any]) -> None:
        if event.get("event") != "settings":
            return
        known = {field.name for field in dataclasses.fields(Settings)}
        values = {name: value for name, value in event["values"].items() if name in known}
        self._take(self.settings.with_values(values))

    def _take(self, settings: Settings) -> None:
        if settings == self.settings:
            return
        self.settings = settings
        theme_keeper().apply(settings.theme, settings.font_size)
        if settings.language != self._language:
            self._language = settings.language
            set_language(settings.language)
            self.language_changed.emit()
        self.settings_changed.emit()
