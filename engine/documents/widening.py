"""What a model is given besides the best passages found: all of a small document, passages spread over a large one that
is asked about as a whole, or what stands beside a passage whose best sentence is at its edge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from engine.documents.evidence import Evidence, Weighed
from engine.documents.prompting import passage, room_of
from engine.documents.strength import about_whole

if TYPE_CHECKING:
    from engine.documents.search import Hit

SMALL = 4096  # tokens: more is not read for a question that a few passages answer, where ever so much would fit
CHARACTERS = 8  # a token has fewer, so that what has more than this many does not even have to be read
FEWEST = 24  # tokens of a passage
NEIGHBOURS = 2


class Passages(Protocol):
    """All passages of what was chosen; see engine.documents.whole."""

    def __len__(self) -> int:
        """How many there are."""

    def all(self, characters: int) -> list[Hit]:
        """Every one in reading order; none if they have more than so many characters."""

    def spread(self, many: int) -> list[Hit]:
        """At most `many` at even distances."""

    def beside(self, hit: Hit, step: int) -> list[Hit]:
        """The passage that is `step` further on, if there is one."""


Size = Callable[["Hit"], int]


def sizes(count: Callable[[str], int]) -> Size:
    """Tokens of a passage as it is given."""
    return lambda hit: count(passage(10, hit))


def widened(question: str, whole: Passages, size: Size, context: int) -> tuple[list[Hit], list[dict[str, Any]]]:
    """All passages where they fit a context of so many tokens; where they do not, and the question is about the whole,
    as many at even distances, and a note; else none."""
    asked = about_whole(question)
    room = room_of(context) if asked else min(room_of(context), SMALL)
    every = whole.all(room * CHARACTERS)
    if every and sum(map(size, every)) <= room:
        return every, []
    if not asked or not len(whole):
        return [], []
    some = _spread(whole, size, room)
    return some, [{"code": "passages_spread", "given": len(some), "of": len(whole)}]


def beside(
    chosen: Sequence[Hit],
    passages: Sequence[Weighed],
    found: Sequence[Evidence],
    whole: Passages,
    size: Size,
    room: int,
) -> list[Hit]:
    """Passages beside those whose best sentence is their first or last, the best first, as far as there is room."""
    room -= sum(map(size, chosen))
    best = {one.passage: one for one in reversed(found)}
    known, kept = {hit.chunk for hit in chosen}, list["Hit"]()
    for one in sorted(best.values(), key=lambda one: -one.score):
        for hit in _over_the_edge(chosen[one.passage], passages[one.passage], one, whole):
            if len(kept) < NEIGHBOURS and hit.chunk not in known and size(hit) <= room:
                known.add(hit.chunk)
                kept.append(hit)
                room -= size(hit)
    return kept


def _over_the_edge(hit: Hit, cut: Weighed, best: Evidence, whole: Passages) -> list[Hit]:
    if not best.share:
        return []
    before = whole.beside(hit, -1) if best.start == cut.spans[0][0] else []
    return before + (whole.beside(hit, 1) if best.end == cut.spans[-1][1] else [])


def _spread(whole: Passages, size: Size, room: int) -> list[Hit]:
    many = max(1, min(len(whole), room // FEWEST))
    while True:
        some = whole.spread(many)
        taken = sum(map(size, some))
        if taken <= room or many == 1:
            return some
        many = max(1, min(many - 1, many * room // taken))
