"""Styles and list numbers of a Word document: what is a heading, what is a list item, and with which number."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.documents.office.list_numbers import written
from engine.documents.office.markup import attribute, child, children, descendants, whole_number

if TYPE_CHECKING:
    from lxml.etree import _Element

HEADING = re.compile(r"(?:heading|标题|標題|überschrift|titre|título)\s*([1-9])", re.IGNORECASE)
OFF = ("0", "false", "off", "none")


@dataclass
class Style:
    """A style, what it inherits included. `level`: 1-9 of a heading, 0 of none."""

    name: str = ""
    level: int = 0
    number: str = ""
    number_level: int = 0
    hidden: bool = False


@dataclass(frozen=True)
class Level:
    """A level of a list: how its number looks and where it starts."""

    kind: str = "decimal"
    text: str = ""
    start: int = 1


@dataclass
class Numbering:
    """The lists of a document, and how far each has counted."""

    levels: dict[str, dict[int, Level]] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)
    counts: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    seen: set[str] = field(default_factory=set)
    restarts: dict[str, dict[int, int]] = field(default_factory=dict)

    def next(self, number: str, level: int) -> str:
        """The number of the next item, as written before it; "-" for a bullet, "" for a list that is not there."""
        if number not in self.lists:
            return ""
        shapes = self.levels.get(number, {})
        shape = shapes.get(level, Level())
        counts = self._counts(number)
        counts[level] = counts[level] + 1 if level in counts else shape.start
        for deeper in [one for one in counts if one > level]:
            del counts[deeper]
        return self._text(shapes, shape, counts)

    def _counts(self, number: str) -> dict[int, int]:
        """Lists of one definition go on counting together, unless one says where it restarts."""
        counts = self.counts[self.lists[number]]
        if number not in self.seen:
            self.seen.add(number)
            for level, start in self.restarts.get(number, {}).items():
                counts[level] = start - 1
        return counts

    def _text(self, shapes: dict[int, Level], shape: Level, counts: dict[int, int]) -> str:
        if shape.kind in ("bullet", "none"):
            return "-" if shape.kind == "bullet" else ""

        def place(match: re.Match[str]) -> str:
            level = int(match[1]) - 1
            one = shapes.get(level, Level())
            return written(counts.get(level, one.start), one.kind)

        return re.sub("%([1-9])", place, shape.text).strip()


def read_styles(root: _Element | None) -> dict[str, Style]:
    """Style id -> style; "" is the default paragraph style."""
    elements = {attribute(one, "styleId"): one for one in children(root, "style")}
    styles = {name: _style(name, elements, 0) for name in elements}
    default = next((n for n, e in elements.items() if attribute(e, "default") == "1" and _is_paragraph(e)), "")
    styles[""] = styles.get(default, Style())
    return styles


def _is_paragraph(element: _Element) -> bool:
    return attribute(element, "type") == "paragraph"


def _style(name: str, elements: dict[str, _Element], depth: int) -> Style:
    element = elements.get(name)
    if element is None or depth > 20:
        return Style()
    based = attribute(child(element, "basedOn"), "val")
    style = _style(based, elements, depth + 1) if based else Style()
    style.name = attribute(child(element, "name"), "val")
    named = HEADING.match(style.name)
    properties = child(element, "pPr")
    outline = child(properties, "outlineLvl")
    if named:
        style.level = int(named[1])
    elif outline is not None:
        style.level = outline_level(outline)
    elif style.name.lower() == "title" or style.name == "标题":
        style.level = 1
    style.number, style.number_level = numbered(properties, style)
    style.hidden = is_on(child(element, "rPr", "vanish"), style.hidden)
    return style


def outline_level(outline: _Element) -> int:
    """1-9 as a heading's level; 0 for body text, which Word writes as 9."""
    return (whole_number(attribute(outline, "val"), 9) + 1) % 10


def numbered(properties: _Element | None, style: Style) -> tuple[str, int]:
    """List id and level (0-8) of a paragraph's properties, those of its style where it has none; "" for no list."""
    told = child(properties, "numPr")
    if told is None:
        return style.number, style.number_level
    number = attribute(child(told, "numId"), "val", style.number)
    level = whole_number(attribute(child(told, "ilvl"), "val", str(style.number_level)))
    return ("" if number == "0" else number), min(max(level, 0), 8)


def is_on(switch: _Element | None, otherwise: bool = False) -> bool:
    """A property like w:vanish: there means on, unless it says off."""
    return otherwise if switch is None else attribute(switch, "val").lower() not in OFF


def read_numbering(root: _Element | None, styles: dict[str, Style]) -> Numbering:
    """The lists of numbering.xml."""
    numbering = Numbering()
    abstract = {attribute(one, "abstractNumId"): one for one in children(root, "abstractNum")}
    linked = {attribute(child(one, "styleLink"), "val"): key for key, one in abstract.items()}
    for one in children(root, "num"):
        number = attribute(one, "numId")
        key = attribute(child(one, "abstractNumId"), "val")
        link = attribute(child(abstract.get(key), "numStyleLink"), "val")
        key = linked.get(link, key) if link else key
        numbering.lists[number] = key
        numbering.levels[number] = _levels(abstract.get(key)) | _levels_of_overrides(one)
        numbering.restarts[number] = _restarts(one)
        _levels_of_styles(abstract.get(key), number, styles)
    return numbering


def _levels(element: _Element | None) -> dict[int, Level]:
    return {whole_number(attribute(one, "ilvl")): _level(one) for one in children(element, "lvl")}


def _level(element: _Element) -> Level:
    kind = attribute(next(descendants(element, "numFmt"), None), "val", "decimal")
    start = whole_number(attribute(child(element, "start"), "val", "1"), 1)
    return Level(kind, attribute(child(element, "lvlText"), "val"), start)


def _levels_of_overrides(element: _Element) -> dict[int, Level]:
    return {level: shape for one in children(element, "lvlOverride") for level, shape in _levels(one).items()}


def _restarts(element: _Element) -> dict[int, int]:
    told = {
        whole_number(attribute(one, "ilvl")): child(one, "startOverride") for one in children(element, "lvlOverride")
    }
    return {level: whole_number(attribute(one, "val"), 1) for level, one in told.items() if one is not None}


def _levels_of_styles(element: _Element | None, number: str, styles: dict[str, Style]) -> None:
    """A level may name the style it belongs to; the style then need not say the level."""
    for one in children(element, "lvl"):
        style = styles.get(attribute(child(one, "pStyle"), "val"))
        if style is not None and style.number == number:
            style.number_level = whole_number(attribute(one, "ilvl"))
