"""Documents as a whole: all their passages in reading order, passages spread over them, and what stands beside one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from engine.documents.search import Hit, hits_of

if TYPE_CHECKING:
    from engine.documents.database import DocumentStore

_OF = " FROM chunks JOIN files ON files.id = chunks.file WHERE chunks.collection = ?"
_FILES = " AND chunks.file IN (SELECT value FROM json_each(?))"
_ORDER = " ORDER BY chunks.file, chunks.number"
_BESIDE = "SELECT id FROM chunks WHERE file = ? AND number = ?"


class Whole:
    """All passages of some collections, or of some of their files: [(number of the collection, ids of files)]."""

    def __init__(self, store: DocumentStore, chosen: Sequence[tuple[int, Sequence[int]]]) -> None:
        self._store, self._chosen = store, chosen

    def __len__(self) -> int:
        """How many passages there are."""
        return self._sum("COUNT(*)")

    def all(self, characters: int) -> list[Hit]:
        """Every passage in reading order; none if together they have more than so many characters."""
        return [] if self._sum("SUM(length(chunks.text))") > characters else hits_of(self._store, self._ids())

    def spread(self, many: int) -> list[Hit]:
        """At most `many` passages at even distances, the first one always, in reading order."""
        ids = self._ids()
        many = min(many, len(ids))
        return hits_of(self._store, [ids[at * len(ids) // many] for at in range(many)])

    def beside(self, hit: Hit, step: int) -> list[Hit]:
        """The passage of the same file that is `step` further on, if there is one."""
        return hits_of(self._store, [row["id"] for row in self._store.rows(_BESIDE, hit.file, hit.number + step)])

    def _sum(self, of: str) -> int:
        return sum(int(row["found"] or 0) for row in self._rows(f"SELECT {of} AS found"))

    def _ids(self) -> list[int]:
        return [row["id"] for row in self._rows("SELECT chunks.id AS id", _ORDER)]

    def _rows(self, what: str, order: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for number, files in self._chosen:
            narrowed, values = (_FILES, [json.dumps(list(files))]) if files else ("", [])
            found += self._store.rows(f"{what}{_OF}{narrowed}{order}", number, *values)
        return found
