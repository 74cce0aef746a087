"""A page of the window: the file `pages/NAME.py` holds `PAGE` and, where it has any, `ACTIONS`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtWidgets import QWidget

from desktop.actions import Action
from desktop.text import tr
from desktop.widgets.make import column, label
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


class BrokenPage(PageWidget):
    """Stands for a page that cannot be imported: its own error, not the end of the window."""

    def __init__(self, desk: Desk, name: str, error: ImportError) -> None:
        super().__init__(desk)
        title = label(tr("frame.broken_page", name=name), "heading")
        self.setLayout(column(title, label(str(error), "dim", wrap=True), None, margins=(28, 20, 28, 28)))


def all_pages() -> list[Page]:
    """Every page there is, in the order of the rail."""
    pages = [page for page, _ in _parts()]
    return sorted(pages, key=lambda page: (page.place, page.order))


def page_actions() -> list[Action]:
    """The actions of all pages: opening them, and their own."""
    own = [action for _, actions in _parts() for action in actions]
    return [*(_opening(page) for page in all_pages() if page.place != "none"), *own]


def _parts() -> list[tuple[Page, list[Action]]]:
    return [_part(name) for name in part_names(PACKAGE)]


def _part(name: str) -> tuple[Page, list[Action]]:
    try:
        module = load_part(PACKAGE, name)
    except ImportError as error:
        return Page(name, "bug", 99, partial(_broken, name, error)), []
    return module.PAGE, list(getattr(module, "ACTIONS", ()))


def _broken(name: str, error: ImportError, desk: Desk) -> PageWidget:
    return BrokenPage(desk, name, error)


def _opening(page: Page) -> Action:
    return Action(f"{page.id}.open", page.shortcut, lambda desk: desk.open_page(page.id))
