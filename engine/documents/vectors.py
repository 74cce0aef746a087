"""The vector leg: all vectors of a collection in memory, in 8 bits, compared one by one.

Measured, an exact comparison in 8 bits with SIMD needs 2 ms for 100,000 vectors of 384 numbers on one core and 18 ms
for a million; the best few are then compared again as they are stored. So there is no approximate index, and no file
beside the database that could be stale, or keep what was deleted: docs/decisions/027-search.md.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from engine.documents.database import DocumentStore, sql_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Ids = npt.NDArray[np.int64]
    Array = npt.NDArray[np.float32]

LARGEST = 127
AGAIN, AGAIN_LEAST = 4, 50  # times as many as asked for are compared as they are stored, and at least so many
SEGMENT = 1 << 16  # vectors in one array: what is added or deleted moves no more than that
ASKED_AT_ONCE = 500  # ids in one statement


@dataclass(frozen=True)
class Dense:
    """What the leg found: ids and cosines, best first; mean and spread of the cosines of all that were compared."""

    ids: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    mean: float = 0.0
    spread: float = 0.0
    total: int = 0


@dataclass(frozen=True)
class Segment:
    """Some vectors: `ids` ascending, `small` int8 (n, width), and the factor of each row."""

    ids: Ids
    small: npt.NDArray[np.int8]
    scales: Array

    def only(self, kept: npt.NDArray[np.bool_]) -> Segment:
        """The rows that are kept."""
        return self if kept.all() else Segment(self.ids[kept], self.small[kept], self.scales[kept])

    def cosines(self, query: Array) -> Array:
        """(n,) of a query of length 1."""
        import numpy as np

        small, scale = small_of(query[None])
        return np.asarray(products(self.small, small[0]) * (self.scales * scale[0]), np.float32)


class VectorIndex:
    """The vectors of one collection.

    `refresh` brings it to what the table holds: vectors never change under an id, ids are never given twice, and
    another embedder begins anew. One thread at a time.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.segments: list[Segment] = []
        self._state: tuple[str, int] = ("", -1)

    def __len__(self) -> int:
        return sum(len(segment.ids) for segment in self.segments)

    def refresh(self, file: Path, number: int, embedder: str, version: int) -> None:
        """Read what is new since the last time and drop what is gone. Raises sqlite3.DatabaseError."""
        if self._state == (embedder, version):
            return
        if self._state[0] != embedder:
            self.segments = []
        with closing(_reader(file)) as reader:
            reader.execute("BEGIN")
            self._take(reader, number)
        self._state = (embedder, version)

    def nearest(self, query: Array, top: int, allowed: Callable[[int], bool] | None = None) -> Dense:
        """The `top` nearest of those `allowed`, by 8-bit cosines."""
        import numpy as np

        if not self.segments:
            return Dense()
        ids = np.concatenate([segment.ids for segment in self.segments])
        cosines = np.concatenate([segment.cosines(query) for segment in self.segments])
        mean, spread = float(cosines.mean()), float(cosines.std())
        if allowed is not None:
            kept = np.fromiter((allowed(one) for one in ids.tolist()), np.bool_, len(ids))
            ids, cosines = ids[kept], cosines[kept]
        best = np.argpartition(-cosines, top - 1)[:top] if top < len(ids) else np.arange(len(ids))
        best = best[np.argsort(-cosines[best], kind="stable")]
        return Dense(ids[best].tolist(), cosines[best].tolist(), mean, spread, len(ids))

    def _take(self, reader: sqlite3.Connection, number: int) -> None:
        import numpy as np

        sql = sql_of(number, "SELECT chunk FROM {vec} ORDER BY chunk")
        present = np.fromiter((row[0] for row in reader.execute(sql)), np.int64)
        held = [segment.only(np.isin(segment.ids, present)) for segment in self.segments]
        held = [segment for segment in held if len(segment.ids)]
        known = np.concatenate([segment.ids for segment in held]) if held else present[:0]
        new = np.setdiff1d(present, known, assume_unique=True)
        self.segments = _packed([*held, *_read(reader, number, new)])


def find(
    store: DocumentStore,
    number: int,
    state: tuple[str, int],
    query: Array,
    top: int,
    allowed: Callable[[int], bool] | None = None,
) -> Dense:
    """The `top` chunks and questions of collection `number` that are nearest to a question's vector, of length 1.

    `state` is the collection's embedder and version. Raises sqlite3.DatabaseError.
    """
    index = _index_of(store, number)
    with index.lock:
        index.refresh(store.file, number, *state)
        found = index.nearest(query, max(AGAIN * top, AGAIN_LEAST), allowed)
    return _exact(store, number, query, found, top)


def stored(store: DocumentStore, number: int, ids: Sequence[int]) -> list[Array]:
    """The vectors of some chunks, of those that have one."""
    return [_vector(blob) for _, blob in _stored(store, number, ids)]


def forget(store: DocumentStore, number: int) -> None:
    """What is held of a collection's vectors goes; for one that is deleted."""
    with _making:
        _indexes.get(store, {}).pop(number, None)


_indexes: WeakKeyDictionary[DocumentStore, dict[int, VectorIndex]] = WeakKeyDictionary()
_making = threading.Lock()


def _index_of(store: DocumentStore, number: int) -> VectorIndex:
    with _making:
        return _indexes.setdefault(store, {}).setdefault(number, VectorIndex())


def _exact(store: DocumentStore, number: int, query: Array, found: Dense, top: int) -> Dense:
    """The best few compared with what is stored; those deleted meanwhile drop out."""
    rows = [row for part in _parts(found.ids) for row in _stored(store, number, part)]
    scored = sorted(((_cosine(blob, query), -one) for one, blob in rows), reverse=True)[:top]
    return Dense([-one for _, one in scored], [score for score, _ in scored], found.mean, found.spread, found.total)


def _stored(store: DocumentStore, number: int, ids: Sequence[int]) -> list[tuple[int, bytes]]:
    sql = sql_of(number, "SELECT chunk, vector FROM {vec} WHERE chunk IN (SELECT value FROM json_each(?))")
    return [(row["chunk"], row["vector"]) for row in store.rows(sql, json.dumps(list(ids)))]


def _cosine(blob: bytes, query: Array) -> float:
    vector = _vector(blob)
    return float(vector @ query) if len(vector) == len(query) else -1.0


def _vector(blob: bytes) -> Array:
    import numpy as np

    return np.frombuffer(blob, np.float16).astype(np.float32)


def products(small: npt.NDArray[np.int8], query: npt.NDArray[np.int8]) -> Array:
    """Dot products of int8 rows with an int8 vector: (n,)."""
    import numpy as np

    try:
        from numkong import cdist
    except ImportError:  # no wheel for this machine: slower, and more memory for a moment
        plain: Array = small.astype(np.float32) @ query.astype(np.float32)
        return plain
    return np.asarray(cdist(np.ascontiguousarray(query[None]), small, "dot"), np.float32).reshape(-1)


def small_of(vectors: Array) -> tuple[npt.NDArray[np.int8], Array]:
    """Rows as int8, and the factor that each is to be multiplied with."""
    import numpy as np

    most = np.abs(vectors).max(1, initial=1e-9)
    return np.rint(vectors * (LARGEST / most)[:, None]).astype(np.int8), (most / LARGEST).astype(np.float32)


def _read(reader: sqlite3.Connection, number: int, ids: Ids) -> list[Segment]:
    """Vectors of ids that are stored, ascending. All are read in order if most are wanted."""
    found: list[Segment] = []
    for part in _parts(ids.tolist(), SEGMENT):
        sql = sql_of(number, "SELECT chunk, vector FROM {vec} WHERE chunk BETWEEN ? AND ? ORDER BY chunk")
        wanted = set(part)
        rows = [row for row in reader.execute(sql, (part[0], part[-1])) if row[0] in wanted]
        found += _segments(rows)
    return found


def _segments(rows: list[tuple[int, bytes]]) -> list[Segment]:
    import numpy as np

    if not rows:
        return []
    width = len(rows[0][1])
    rows = [row for row in rows if len(row[1]) == width]
    vectors = np.frombuffer(b"".join(row[1] for row in rows), np.float16).reshape(len(rows), -1)
    return [Segment(np.asarray([row[0] for row in rows], np.int64), *small_of(vectors.astype(np.float32)))]


def _packed(segments: list[Segment]) -> list[Segment]:
    """Small neighbours joined, so that an index job's many small steps do not leave many small arrays."""
    import numpy as np

    packed: list[Segment] = []
    for one in segments:
        if packed and len(packed[-1].ids) + len(one.ids) <= SEGMENT:
            last = packed.pop()
            ids, small = np.concatenate([last.ids, one.ids]), np.concatenate([last.small, one.small])
            packed.append(Segment(ids, small, np.concatenate([last.scales, one.scales])))
        else:
            packed.append(one)
    return packed


def _parts(ids: list[int], size: int = ASKED_AT_ONCE) -> list[list[int]]:
    return [ids[at : at + size] for at in range(0, len(ids), size)]


def _reader(file: Path) -> sqlite3.Connection:
    """A connection of its own: reading a million vectors must not hold the store's lock for seconds."""
    reader = sqlite3.connect(file, timeout=60)
    reader.execute("PRAGMA query_only = ON")
    return reader
