"""Styles of OpenDocument files: which lists count how, and which text is hidden."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.documents.office.list_numbers import written
from engine.documents.office.markup import attribute, child, children, descendants, local, whole_number

if TYPE_CHECKING:
    from lxml.etree import _Element

HEADINGS = "outline"  # the list style that numbers headings; it has no name of its own


@dataclass(frozen=True)
class Level:
    """How the numbers of one list level look; no `kind`: it has none. `levels`: how many are said ("2.1" says two)."""

    kind: str = ""
    before: str = ""
    after: str = ""
    start: int = 1
    levels: int = 1
    bullet: bool = False


@dataclass
class Styles:
    """List style -> level (1-10) -> look; names of styles whose text or table is not shown; paragraph -> list style."""

    lists: dict[str, dict[int, Level]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    titles: set[str] = field(default_factory=set)
    numbered: dict[str, str] = field(default_factory=dict)

    def mark(self, style: str, level: int, counts: dict[int, int]) -> str:
        """The number of the next item, as written before it; `counts` goes on."""
        looks = self.lists.get(style, {})
        look = looks.get(level, Level(bullet=True))
        counts[level] = counts[level] + 1 if level in counts else look.start
        for deeper in [one for one in counts if one > level]:
            del counts[deeper]
        if look.bullet or not look.kind:
            return "-" if look.bullet else ""
        said = range(max(1, level - look.levels + 1), level + 1)
        numbers = [_number(looks.get(one, Level()), counts.get(one)) for one in said]
        return look.before + ".".join(number for number in numbers if number) + look.after


def _number(look: Level, count: int | None) -> str:
    return written(look.start if count is None else count, look.kind) if look.kind else ""


def read_styles(roots: Iterable[_Element | None]) -> Styles:
    """The styles of styles.xml and content.xml together."""
    styles = Styles()
    for root in roots:
        for one in descendants(root, "list-style", "outline-style"):
            name = HEADINGS if local(one) == "outline-style" else attribute(one, "name")
            styles.lists[name] = dict(_level(level) for level in one)
        for one in descendants(root, "style"):
            _read_style(styles, one)
    return styles


def _read_style(styles: Styles, element: _Element) -> None:
    name, parent = attribute(element, "name"), attribute(element, "parent-style-name")
    shown = (child(element, "text-properties"), child(element, "table-properties"))
    if attribute(shown[0], "display") == "none" or attribute(shown[1], "display") == "false":
        styles.hidden.add(name)
    if name == "Title" or parent == "Title" or parent in styles.titles:
        styles.titles.add(name)
    listed = attribute(element, "list-style-name") or styles.numbered.get(parent, "")
    if listed:
        styles.numbered[name] = listed


def _level(element: _Element) -> tuple[int, Level]:
    bullet = local(element) in ("list-level-style-bullet", "list-level-style-image")
    look = Level(
        attribute(element, "num-format"),
        attribute(element, "num-prefix"),
        attribute(element, "num-suffix"),
        whole_number(attribute(element, "start-value", "1"), 1),
        whole_number(attribute(element, "display-levels", "1"), 1),
        bullet,
    )
    return whole_number(attribute(element, "level", "1"), 1), look


def items_of(element: _Element) -> Iterable[_Element]:
    """Items of a list; its header has no number."""
    return children(element, "list-item", "list-header")
