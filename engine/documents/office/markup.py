"""XML of strangers: no entities, no network, no huge trees. Names are compared without their namespaces.

The formats read here use the same local names in their transitional and strict namespaces, so one reader does for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lxml.etree import _Element


class DoctypeError(ValueError):
    """The XML declares entities, which no document needs and attacks are made of."""


def parsed(data: bytes) -> _Element:
    """The root element. Raises ValueError or SyntaxError (lxml's) for what is no XML or declares entities."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_pis=True)
    root = etree.fromstring(data, parser)
    refuse_entities(root)
    return root


def refuse_entities(root: _Element) -> None:
    """Raises DoctypeError if the document of `root` declares entities of its own."""
    declared: Any = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise DoctypeError("the XML declares entities")


def local(element: _Element) -> str:
    """The name without its namespace; "" for comments and entities."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: _Element | None, name: str, otherwise: str = "") -> str:
    """An attribute by its local name, whatever its namespace."""
    if element is None:
        return otherwise
    plain = element.get(name)
    if plain is not None:
        return str(plain)
    for key, value in element.attrib.items():
        if str(key).endswith("}" + name):
            return str(value)
    return otherwise


def child(element: _Element | None, *path: str) -> _Element | None:
    """The first descendant along a path of local names."""
    for name in path:
        if element is None:
            return None
        element = next((one for one in element if local(one) == name), None)
    return element


def children(element: _Element | None, *names: str) -> Iterator[_Element]:
    """Child elements with one of these local names."""
    if element is not None:
        yield from (one for one in element if local(one) in names)


def descendants(element: _Element | None, *names: str) -> Iterator[_Element]:
    """All elements below with one of these local names, in document order."""
    if element is not None:
        yield from element.iter(*("{*}" + name for name in names))


def whole_number(text: str, otherwise: int = 0) -> int:
    """An integer attribute; what is no number, or absurdly long, counts as `otherwise`."""
    try:
        return int(text) if len(text) < 19 else otherwise
    except ValueError:
        return otherwise
