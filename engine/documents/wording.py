"""The words of texts as the index knows them, and how much each of them says."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from engine.documents.prepare import TOKENIZER, prepared, query_words, stop_words

if TYPE_CHECKING:
    from engine.documents.database import DocumentStore

Frequency = Callable[[str], int]
Words = frozenset[str]


def words_of(texts: Sequence[str]) -> list[Words]:
    """The words of each text, stemmed by FTS5 itself, stop words left out; CJK text as its pairs of characters."""
    table = sqlite3.connect(":memory:")
    try:
        table.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize = '{TOKENIZER}')")
        table.execute("CREATE VIRTUAL TABLE seen USING fts5vocab('words', 'instance')")
        rows = ((number, prepared(text)) for number, text in enumerate(texts, 1))
        table.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", rows)
        found: list[set[str]] = [set() for _ in texts]
        for term, number in table.execute("SELECT DISTINCT term, doc FROM seen"):
            found[number - 1].add(term)
    finally:
        table.close()
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
    from engine.documents.database import fts_table

    table = fts_table(number)
    asked = f"SELECT doc FROM temp.told_{table} WHERE term = ?"  # noqa: S608 - a number, no more
    store.run(f"CREATE VIRTUAL TABLE IF NOT EXISTS temp.told_{table} USING fts5vocab(main, {table}, row)")
    chunks = store.row("SELECT COUNT(*) AS chunks FROM chunks WHERE collection = ?", number)

    def frequency(word: str) -> int:
        row = store.row(asked, word)
        return int(row["doc"]) if row else 0

    return Weights(frequency, int(chunks["chunks"]) if chunks else 0)
