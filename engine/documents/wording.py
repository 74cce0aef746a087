"""The words of texts as the index knows them, and how much each of them says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from engine.documents.prepare import query_words, stop_words, tokenizing

if TYPE_CHECKING:
    from engine.documents.database import DocumentStore

_COUNTED = """
    SELECT version, (SELECT COUNT(*) FROM chunks WHERE collection = collections.number) AS chunks
    FROM collections WHERE number = ?"""
Frequency = Callable[[str], int]
Words = frozenset[str]


def words_of(texts: Sequence[str]) -> list[Words]:
    """The words of each text, stemmed by FTS5 itself, stop words left out; CJK text as its pairs of characters."""
    found: list[set[str]] = [set() for _ in texts]
    with tokenizing(texts) as table:
        for term, number in table.execute("SELECT DISTINCT term, doc FROM instances"):
            found[number - 1].add(term)
    return [frozenset(word for word in words if word not in stop_words()) for words in found]


class Weights:
    """How much a word says: its inverse document frequency (Robertson and Spärck Jones 1976, as BM25 has it).

    `frequency(word)` -> the number of chunks with it, of `chunks` in all.
    """

    def __init__(self, frequency: Frequency, chunks: int) -> None:
        self.frequency, self.chunks = frequency, max(1, chunks)
        self._known: dict[str, float] = {}

    def of(self, word: str) -> float:
        """Never below a tenth: a word that stands everywhere still counts."""
        if word not in self._known:
            count = min(self.frequency(word), self.chunks)
            self._known[word] = max(0.1, math.log(1 + (self.chunks - count + 0.5) / (count + 0.5)))
        return self._known[word]

    @property
    def full(self) -> float:
        """The weight of a word that stands nowhere: the most there is."""
        return math.log(1 + (self.chunks + 0.5) / 0.5)

    def total(self, words: Iterable[str]) -> float:
        """The weight of several words together."""
        return sum(self.of(word) for word in words)

    def share(self, asked: Words, there: Words) -> float:
        """How much of what is asked is there, 0 to 1; 0 if nothing is asked."""
        return self.total(asked & there) / self.total(asked) if asked else 0.0


def asked_words(question: str) -> Words:
    """What a question asks for. Single CJK characters count only where there is nothing longer."""
    words = query_words(question)
    return frozenset(word for word in words if len(word) > 1) or frozenset(words)


def weights_in(store: DocumentStore, number: int) -> Weights:
    """What words say in the collection of that number."""
    from engine.documents.lexical import frequency

    row = store.row(_COUNTED, number) or {"version": 0, "chunks": 0}
    return Weights(frequency(store, number, int(row["version"])), int(row["chunks"]))
