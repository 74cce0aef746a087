"""Search in a collection: both legs, put together, ranked again where that helps, with the numbers behind it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.documents import lexical, vectors
from engine.documents.collection import has_vectors, row_of
from engine.documents.database import QUESTIONS_FROM, DocumentStore
from engine.documents.feedback import BEST, moved
from engine.documents.fusion import KNOWN, Leg, coverage, fused
from engine.documents.lexical import Lexical
from engine.documents.prepare import has_cjk, query_words
from engine.documents.rerank import reranked
from engine.documents.vectors import Dense

if TYPE_CHECKING:
    from engine.documents.embedders import Embedder
    from engine.documents.rerank import Reranker

POOL = 100  # candidates of each leg, at least
LONGEST_QUESTION = 10_000  # characters
CJK_LANGUAGES = {"zh", "ja", "ko"}
FILTERS = ("files", "folders", "suffixes", "after", "before")
_HIT = """
    SELECT chunks.id, chunks.file, chunks.number, chunks.page, chunks.start, chunks."end", chunks.heading, chunks.text,
        chunks.boxes, chunks.language, files.name, files.path
    FROM chunks JOIN files ON files.id = chunks.file WHERE chunks.id IN (SELECT value FROM json_each(?))"""
_LANGUAGES = "SELECT id, language FROM chunks WHERE id IN (SELECT value FROM json_each(?))"
_OWNERS = "SELECT id, chunk FROM questions WHERE id IN (SELECT value FROM json_each(?))"
_ALLOWED = "SELECT chunks.id FROM chunks JOIN files ON files.id = chunks.file WHERE chunks.collection = ?"
_ASKED = "SELECT id FROM questions WHERE chunk IN (SELECT value FROM json_each(?))"
_ONE_OF = {
    "files": "files.id IN (SELECT value FROM json_each(?))",
    "folders": "files.folder IN (SELECT value FROM json_each(?))",
}
_BESIDE = """
    SELECT id, number, text, page, start, "end" FROM chunks
    WHERE file = ? AND number BETWEEN ? AND ? AND number <> ? ORDER BY number"""


@dataclass(frozen=True)
class Hit:
    """A chunk that was found. `score` 0 to 1; `legs`: for "lexical", "dense" and "rerank" the rank and score there;
    `start` and `end` are characters of the file's text."""

    chunk: int
    file: int
    number: int
    name: str
    path: str
    page: int
    start: int
    end: int
    heading: str
    text: str
    boxes: list[dict[str, Any]]
    language: str
    score: float
    legs: dict[str, dict[str, float]]


@dataclass(frozen=True)
class Found:
    """`timings` in seconds; `trust` how far each leg counted, 0 to 1; `notes` are {"code", …} for the person."""

    hits: list[Hit] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    trust: dict[str, float] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the pipe."""
        return asdict(self)


def search(
    store: DocumentStore,
    collection: str,
    query: str,
    top: int = 10,
    filters: dict[str, Any] | None = None,
    embedder: Embedder | None = None,
    reranker: Reranker | None = None,
    rerank_s: float = 2.0,
) -> Found:
    """The `top` chunks of a collection (its id or name) for a question, best first.

    `filters`: {"files": ids, "folders": ids, "suffixes": [".pdf"], "after": s, "before": s} (times of change, Unix). An
    `embedder` other than the one of the vectors is left out, with a note. `rerank_s`: what the `reranker` may take.
    Raises UserError unknown_collection, bad_filter.
    """
    return _Search(store, row_of(store, collection), query[:LONGEST_QUESTION], max(1, top), filters or {}).run(
        embedder, reranker, rerank_s
    )


def neighbours(store: DocumentStore, hit: Hit, many: int = 1) -> list[dict[str, Any]]:
    """The chunks just before and after one in its file: {id, number, text, page, start, end}."""
    return store.rows(_BESIDE, hit.file, hit.number - many, hit.number + many, hit.number)


def hits_of(store: DocumentStore, chunks: list[int]) -> list[Hit]:
    """Chunks as hits that nobody searched for, in the same order; those that are gone are left out."""
    rows = {row["id"]: row for row in store.rows(_HIT, json.dumps(chunks))}
    return [_hit(rows[chunk], 0.0, {}) for chunk in chunks if chunk in rows]


class _Search:
    """One question on its way through the legs."""

    def __init__(
        self, store: DocumentStore, row: dict[str, Any], query: str, top: int, filters: dict[str, Any]
    ) -> None:
        self._store, self._row, self._number = store, row, int(row["number"])
        self._query, self._top, self._pool = query, top, max(POOL, top)
        self._timings: dict[str, float] = {}
        self._notes: list[dict[str, Any]] = []
        self._allowed = _allowed(store, self._number, filters)
        self._vector: Any = None

    def run(self, embedder: Embedder | None, reranker: Reranker | None, rerank_s: float) -> Found:
        """See `search`."""
        words = self._lexical()
        legs = self._legs(words, self._dense(embedder), embedder)
        ranking, trust = fused(legs)
        if legs["dense"].scores and trust["lexical"] > 0:  # else nothing would move it
            legs = self._legs(words, self._nearer(ranking, trust["lexical"]), embedder)
            ranking, trust = fused(legs)
        ranked = [(chunk, score) for chunk, score in ranking if score > 0]
        told = {name: leg.told() for name, leg in legs.items()}
        hits = self._hits(ranked[: max(self._top, reranker.depth if reranker else 0)], told)
        if reranker and len(hits) > 1:
            with self._timed("rerank_s"):
                hits, done = reranked(reranker, self._query, hits, rerank_s)
            if not done:
                self._notes.append({"code": "rerank_skipped"})
        return Found(hits[: self._top], self._timings, trust, self._notes)

    def _lexical(self) -> Lexical:
        with self._timed("lexical_s"):
            version = int(self._row["version"])
            return lexical.find(self._store, self._number, version, self._query, self._pool, self._allowed)

    def _dense(self, embedder: Embedder | None) -> Dense:
        if not embedder or not self._fits(embedder):
            return Dense()
        with self._timed("embed_s"):
            self._vector = embedder.queries([self._query])[0]
        return self._nearest()

    def _nearer(self, ranking: list[tuple[int, float]], words: float) -> Dense:
        """The vector leg once more, with the question moved towards what was found first."""
        best = vectors.stored(self._store, self._number, [chunk for chunk, _ in ranking[:BEST]])
        self._vector = moved(self._vector, best, words)
        return self._nearest()

    def _nearest(self) -> Dense:
        with self._timed("dense_s"):
            state = (str(self._row["embedder"]), int(self._row["version"]))
            return vectors.find(self._store, self._number, state, self._vector, self._pool, self._allowed)

    def _fits(self, embedder: Embedder) -> bool:
        """Whether its vectors can be compared with those stored, and it knows the question's language."""
        if embedder.identity != self._row["embedder"] or not has_vectors(self._store, self._number):
            self._notes.append({"code": "other_embedder"})
            return False
        if not query_words(self._query):
            return False
        if not knows(embedder.languages, "zh" if has_cjk(self._query) else "en"):
            self._notes.append({"code": "unknown_language", "language": "zh" if has_cjk(self._query) else "en"})
            return False
        return True

    def _legs(self, words: Lexical, near: Dense, embedder: Embedder | None) -> dict[str, Leg]:
        """Both legs by chunk. Passages in a language that the embedder does not know are out of its leg, unless the
        words of the question say nothing either: a poor guess is better than none."""
        told = Leg(self._by_chunk(words.ids, words.scores), counts=words.counts, total=words.total)
        close = self._by_chunk(near.ids, near.scores)
        if embedder and close and "*" not in embedder.languages and coverage(told) >= KNOWN / 2:
            rows = self._store.rows(_LANGUAGES, json.dumps(list(close)))
            known = {row["id"] for row in rows if knows(embedder.languages, row["language"])}
            close = {chunk: score for chunk, score in close.items() if chunk in known}
        return {"lexical": told, "dense": Leg(close, mean=near.mean, spread=near.spread, total=near.total)}

    def _by_chunk(self, ids: list[int], scores: list[float]) -> dict[int, float]:
        """Questions stand for the chunks they are answered by; the best score of each counts."""
        asked = [one for one in ids if one >= QUESTIONS_FROM]
        owners = {row["id"]: row["chunk"] for row in self._store.rows(_OWNERS, json.dumps(asked))} if asked else {}
        found: dict[int, float] = {}
        for one, score in zip(ids, scores, strict=True):
            chunk = owners.get(one, 0) if one >= QUESTIONS_FROM else one
            if chunk:
                found.setdefault(chunk, score)
        return found

    def _hits(self, ranked: list[tuple[int, float]], told: dict[str, dict[int, dict[str, float]]]) -> list[Hit]:
        rows = {row["id"]: row for row in self._store.rows(_HIT, json.dumps([chunk for chunk, _ in ranked]))}
        return [
            _hit(rows[chunk], score, {name: places[chunk] for name, places in told.items() if chunk in places})
            for chunk, score in ranked
            if chunk in rows  # deleted meanwhile
        ]

    @contextmanager
    def _timed(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self._timings[name] = self._timings.get(name, 0.0) + time.perf_counter() - began


def knows(languages: tuple[str, ...], language: str) -> bool:
    """Whether an embedder of `languages` can be asked in one; languages of Latin letters count as one here."""
    if "*" in languages or not language:
        return True
    if language in CJK_LANGUAGES:
        return language in languages
    return any(one not in CJK_LANGUAGES for one in languages)


def _hit(row: dict[str, Any], score: float, legs: dict[str, dict[str, float]]) -> Hit:
    values = {name: row[name] for name in ("file", "number", "name", "path", "page", "start", "end", "heading", "text")}
    return Hit(
        chunk=row["id"], boxes=json.loads(row["boxes"]), language=row["language"], score=score, legs=legs, **values
    )


def _allowed(store: DocumentStore, number: int, filters: dict[str, Any]) -> Callable[[int], bool] | None:
    """Which ids may be found; None for all. Raises UserError bad_filter."""
    wanted = {name: value for name, value in filters.items() if value}
    if not wanted:
        return None
    clauses, values = _clauses(wanted)
    chunks = [row["id"] for row in store.rows(" AND ".join([_ALLOWED, *clauses]), number, *values)]
    asked = [row["id"] for row in store.rows(_ASKED, json.dumps(chunks))]
    return frozenset(chunks + asked).__contains__


def _clauses(wanted: dict[str, Any]) -> tuple[list[str], list[Any]]:
    clauses: list[str] = []
    values: list[Any] = []
    for name, value in wanted.items():
        if name in ("files", "folders") and _whole(value):
            clauses.append(_ONE_OF[name])
            values.append(json.dumps(value))
        elif name == "suffixes" and isinstance(value, list) and all(isinstance(one, str) for one in value):
            clauses.append("lower(files.suffix) IN (SELECT value FROM json_each(?))")
            values.append(json.dumps(["." + one.lower().lstrip(".") for one in value]))
        elif name in ("after", "before") and isinstance(value, int | float) and not isinstance(value, bool):
            clauses.append(f"files.mtime_ns {'>=' if name == 'after' else '<'} ?")
            values.append(int(value * 1e9))
        else:
            raise _bad_filter(name)
    return clauses, values


def _whole(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, int) and abs(one) < 1 << 62 for one in value)


def _bad_filter(name: str) -> UserError:
    return UserError(
        "bad_filter",
        f"The search cannot be narrowed by {name[:60]!r} like this.",
        f"Filters are: {', '.join(FILTERS)}.",
        name=name[:60],
        known=", ".join(FILTERS),
    )
