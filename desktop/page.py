"""A page of the window: the file `pages/NAME.py` holds `PAGE` and, where it has any, `ACTIONS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtWidgets import QWidget

from desktop.actions import Action
from desktop.text import tr
from engine.api.parts import load_part, part_names

if TYPE_CHECKING:
    from desktop.desk import Desk

PACKAGE = "desktop.pages"


class PageWidget(QWidget):
    """What a page is built of. It is built on its first opening, and built anew in another language."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def opened(self, **args: Any) -> None:
        """The page came to the front; `args` are those of `desk.open_page(id, **args)`."""

    def state(self) -> dict[str, Any]:
        """What `opened` is to be given when the page is built anew in another language."""
        return {}


@dataclass(frozen=True)
class Page:
    """A page's place on the rail. `icon` names an SVG of icons/; its words are `ID.page`."""

    id: str
    icon: str
    order: int
    build: Callable[[Desk], PageWidget]
    place: Literal["top", "bottom", "none"] = "top"
    shortcut: str = ""

    @property
    def label(self) -> str:
        """The page's name in the current language."""
        return tr(f"{self.id}.page")


def all_pages() -> list[Page]:
    """Every page there is, in the order of the rail."""
    pages = [load_part(PACKAGE, name).PAGE for name in part_names(PACKAGE)]
    return sorted(pages, key=lambda page: (page.place, page.order))


def page_actions() -> list[Action]:
    """The actions of all pages: their own, and opening them."""
    found = [action for name in part_names(PACKAGE) for action in getattr(load_part(PACKAGE, name), "ACTIONS", ())]
    return [*(_opening(page) for page in all_pages() if page.place != "none"), *found]


def _opening(page: Page) -> Action:
    return Action(f"{page.id}.open", page.shortcut, lambda desk: desk.open_page(page.id))
