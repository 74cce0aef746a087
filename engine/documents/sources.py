"""Where a conversation's answers come from: one or several collections, whole or some of their files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.core import Core
from engine.documents.ask import Sources
from engine.documents.collection import row_of
from engine.documents.whole import Whole
from engine.documents.wording import Weights, weights_in

if TYPE_CHECKING:
    from engine.api.messages import DocumentUse
    from engine.documents.search import Hit

TOP = 10


def sources_of(core: Core, uses: Sequence[DocumentUse], system: str = "") -> Sources:
    """All that `uses` name, searched as one. Raises UserError unknown_collection."""
    store = core.documents.store
    rows = [row_of(store, use["collection"]) for use in uses]
    told = [row["settings"]["system"] for row in rows]

    def search(question: str) -> list[Hit]:
        found = (core.searching.search(store, use["collection"], question, TOP, _filters(use)) for use in uses)
        each = [one.hits for one in found]
        return sorted((hit for hits in each for hit in hits), key=lambda hit: -hit.score)[:TOP]

    words = [weights_in(store, row["number"]) for row in rows]
    together = words[0] if len(words) == 1 else _together(words)
    whole = Whole(store, [(row["number"], use["files"]) for row, use in zip(rows, uses, strict=True)])
    return Sources(search, together, "\n\n".join(filter(None, [system, *told])), whole)


def _filters(use: DocumentUse) -> dict[str, Any]:
    return {"files": use["files"]} if use["files"] else {}


def _together(words: Sequence[Weights]) -> Weights:
    return Weights(lambda word: sum(one.frequency(word) for one in words), sum(one.chunks for one in words))
