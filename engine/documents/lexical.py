"""The full-text leg: BM25 by FTS5 over prepared text, its questions cut so that it answers in time.

FTS5 weighs every chunk that any word of a question stands in: common words are left out once that is too many.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from engine.documents.database import DocumentStore, sql_of
from engine.documents.prepare import match_any, query_terms, spoken

BUDGET = 20_000  # chunks that are weighed for one question
MOST_WORDS = 64
REMEMBERED = 50_000  # counts of words
_FOUND = "SELECT rowid, rank FROM {fts} WHERE {fts} MATCH ? ORDER BY rank LIMIT ?"
_COUNT = "SELECT doc FROM temp.{fts}_words WHERE term = ?"
_SEE = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.{fts}_words USING fts5vocab('main', '{fts}', 'row')"
_FOUND_ALL = "SELECT rowid, rank FROM {fts} WHERE {fts} MATCH ? ORDER BY rank"


@dataclass(frozen=True)
class Lexical:
    """What the leg found: ids and BM25 scores (higher is better), best first; how often each word it asked for, and
    each word it knows, stands in the collection of `total` chunks."""

    ids: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)  # of all words of the question, 0 for unknown ones
    total: int = 0


class Counts:
    """How many chunks each word stands in, asked once a word as long as the collection stays the same."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._version, self.total = -1, 0
        self._known: dict[str, int] = {}

    def of(self, store: DocumentStore, number: int, version: int) -> Callable[[str], int]:
        """The function that counts for a collection at this version."""
        with self._lock:
            if version != self._version or len(self._known) > REMEMBERED:
                self._known = {}
                self._version, self.total = version, _total(store, number)
        return lambda word: self._count(store, number, word)

    def _count(self, store: DocumentStore, number: int, word: str) -> int:
        if word not in self._known:
            found = store.row(sql_of(number, _COUNT), word)
            self._known[word] = int(found["doc"]) if found else 0
        return self._known[word]


_counts: WeakKeyDictionary[DocumentStore, dict[int, Counts]] = WeakKeyDictionary()
_making = threading.Lock()


def find(
    store: DocumentStore,
    number: int,
    version: int,
    question: str,
    top: int,
    allowed: Callable[[int], bool] | None = None,
) -> Lexical:
    """The `top` best chunks and questions of collection `number` for a question, those that are `allowed`.

    `version` is the collection's, by which counts are kept. Raises sqlite3.DatabaseError.
    """
    known, counts = frequency(store, number, version), _counts_of(store, number)
    seen: dict[str, int] = {}

    def counted(word: str) -> int:
        seen[word] = known(word)
        return seen[word]

    words = query_terms(question, counted, BUDGET)[:MOST_WORDS]
    if not words:
        return Lexical(counts=seen, total=counts.total)
    rows = _rows(store, number, expression(words, seen, spoken(question)), top, allowed)
    return Lexical([row[0] for row in rows], [-row[1] for row in rows], seen, counts.total)


def frequency(store: DocumentStore, number: int, version: int) -> Callable[[str], int]:
    """In how many rows of a collection's index a word stands, asked once a word as long as `version` stays."""
    store.run(sql_of(number, _SEE))
    return _counts_of(store, number).of(store, number, version)


def expression(words: list[str], counts: dict[str, int], said: Mapping[str, str]) -> str:
    """Any of the words, as the question has them (`said`: `spoken` of it). Where the rarest is too common by itself, it
    must stand together with the next rarest."""
    if counts[words[0]] <= BUDGET:
        return match_any(said.get(word, word) for word in words)
    beside = sorted((count, word) for word, count in counts.items() if count and word != words[0])[:3]
    rarest = said.get(words[0], words[0])
    return f'"{rarest}" AND ({match_any(said.get(word, word) for _, word in beside)})' if beside else f'"{rarest}"'


def _rows(
    store: DocumentStore, number: int, expression: str, top: int, allowed: Callable[[int], bool] | None
) -> list[tuple[int, float]]:
    if allowed is None:
        found = store.rows(sql_of(number, _FOUND), expression, top)
        return [(row["rowid"], row["rank"]) for row in found]
    every = ((row["rowid"], row["rank"]) for row in store.rows(sql_of(number, _FOUND_ALL), expression))
    kept = (row for row in every if allowed(row[0]))
    return [row for _, row in zip(range(top), kept, strict=False)]


def _counts_of(store: DocumentStore, number: int) -> Counts:
    with _making:
        return _counts.setdefault(store, {}).setdefault(number, Counts())


def _total(store: DocumentStore, number: int) -> int:
    try:
        found = store.row(sql_of(number, "SELECT COUNT(*) AS rows FROM {fts}_docsize"))
    except sqlite3.OperationalError:
        return 0
    return int(found["rows"]) if found else 0


def forget(store: DocumentStore, number: int) -> None:
    """What is remembered of a collection's words goes; for one that is deleted."""
    with _making:
        held: dict[int, Any] = _counts.get(store, {})
        held.pop(number, None)
    store.run(sql_of(number, "DROP TABLE IF EXISTS temp.{fts}_words"))
