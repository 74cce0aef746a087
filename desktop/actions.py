"""Everything a person can do, as values. One list feeds the shortcuts, the menus and the command palette."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from desktop.text import tr

if TYPE_CHECKING:
    from desktop.desk import Desk


@dataclass(frozen=True)
class Action:
    """One thing a person can do.

    `id` is "AREA.name"; its words are `AREA.action_name`. `shortcut` is Qt's spelling ("Ctrl+N"), "" for none.
    `page`, where given, is opened before `run(desk)` is called; `desk.page(page)` then is its widget.
    """

    id: str
    shortcut: str
    run: Callable[[Desk], None]
    page: str | None = None

    @property
    def label(self) -> str:
        """The action's words in the current language."""
        area, _, name = self.id.partition(".")
        return tr(f"{area}.action_{name}")
