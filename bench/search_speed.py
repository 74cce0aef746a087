"""How long a search takes: 100,000 chunks in the database, and a million vectors in memory; memory of it."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from _figures import figure

CHUNKS, VECTORS, WIDTH, QUESTIONS = 100_000, 1_000_000, 384, 40


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        database(Path(folder) / "documents.db")
    million()


def database(file: Path) -> None:
    """Median time of a whole search but for the reading of the question by an embedder."""
    from engine.documents.database import DocumentStore
    from engine.documents.search import search

    store = DocumentStore(file)
    words = vocabulary()
    known = _Known()
    fill(store, words, known)
    before = resident()
    draw = random.Random(3)
    took = []
    for _ in range(QUESTIONS):
        question = " ".join(draw.choices(words, weights=zipf(len(words)), k=8))
        began = time.perf_counter()
        search(store, "c", question, embedder=known)
        took.append(time.perf_counter() - began)
    median = statistics.median(took[1:])
    figure(f"search in {CHUNKS:,} chunks, median", f"{1000 * median:.1f} ms", "< 50 ms", median < 0.05)
    figure("search, the slowest but for the first", f"{1000 * max(took[1:]):.1f} ms")
    figure("the first one, which reads the vectors", f"{1000 * took[0]:.0f} ms")
    figure(
        "memory of the process", f"{resident() >> 20} MiB, {before >> 20} before", "< 600 MiB", resident() < 600 << 20
    )
    store.close()


class _Known:
    """Vectors of noise: what they say is no matter for the time they take."""

    identity, width, limit = "noise", WIDTH, 512
    languages: tuple[str, ...] = ("*",)

    def __init__(self) -> None:
        import numpy as np

        self._draw = np.random.default_rng(5)

    def passages(self, texts: list[str]) -> Any:
        import numpy as np

        made = self._draw.normal(size=(len(texts), WIDTH)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    queries = passages

    def count(self, text: str) -> int:
        return len(text.split())

    def close(self) -> None:
        """There is nothing to give back."""


def vocabulary() -> list[str]:
    draw = random.Random(1)
    return ["".join(draw.choices("abcdefghilmnoprstuvw", k=draw.randint(3, 9))) for _ in range(30_000)]


def zipf(count: int) -> list[float]:
    return [1 / (rank + 3) for rank in range(count)]


def fill(store: Any, words: list[str], known: _Known) -> None:
    """Chunks of 120 words, half of them Chinese, by the same tables as the index job's."""
    import numpy as np

    from engine.documents import collection as collections
    from engine.documents.database import sql_of
    from engine.documents.prepare import prepared

    number = collections.number_of(store, collections.create(store, "c")["id"])
    draw, weights = random.Random(2), zipf(len(words))
    letters = [chr(0x4E00 + at) for at in range(3000)]
    with store.transaction() as db:
        collections.make_vectors(db, number)
        db.execute("UPDATE collections SET embedder = 'noise', version = 1 WHERE number = ?", [number])
        db.execute(
            "INSERT INTO files (collection, path, name, suffix, bytes, mtime_ns, added)"
            " VALUES (?, 'f', 'f', '', 1, 1, 1)",
            [number],
        )
        for first in range(0, CHUNKS, 5000):
            texts = [
                " ".join(draw.choices(words, weights, k=120))
                if at % 2
                else "".join(draw.choices(letters, zipf(3000), k=200))
                for at in range(5000)
            ]
            ids = range(first + 1, first + 5001)
            chunks = [(one, number, one, text) for one, text in zip(ids, texts, strict=True)]
            db.conn.executemany("INSERT INTO chunks VALUES (?, ?, 1, ?, '', ?, 0, 0, 1, 1, '[]', 'en')", chunks)
            db.conn.executemany(
                sql_of(number, "INSERT INTO {fts} (rowid, prepared) VALUES (?, ?)"),
                [(one, prepared(text)) for one, text in zip(ids, texts, strict=True)],
            )
            made = known.passages(texts).astype(np.float16)
            db.conn.executemany(
                sql_of(number, "INSERT INTO {vec} VALUES (?, ?)"),
                [(one, row.tobytes()) for one, row in zip(ids, made, strict=True)],
            )


def million() -> None:
    """Recall and time over a million vectors around 2,000 centres, without the database."""
    import numpy as np

    from engine.documents.vectors import AGAIN_LEAST, Segment, VectorIndex, small_of

    draw = np.random.default_rng(4)
    centres = draw.normal(size=(2000, WIDTH)).astype(np.float32)

    def some(count: int) -> Any:
        made = centres[draw.integers(0, 2000, count)] + 0.7 * draw.normal(size=(count, WIDTH)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    questions = some(10)
    index, step = VectorIndex(), 1 << 16
    stored: list[Any] = []
    for first in range(0, VECTORS, step):
        part = some(min(step, VECTORS - first))
        stored.append(part.astype(np.float16))
        index.segments.append(Segment(np.arange(first, first + len(part)), *small_of(part)))
    took, right = [], 0
    for question in questions:
        exact = np.argsort(-np.concatenate([part.astype(np.float32) @ question for part in stored]))[:10]
        began = time.perf_counter()
        found = index.nearest(question, AGAIN_LEAST)
        again = {one: float(stored[one // step][one % step].astype(np.float32) @ question) for one in found.ids}
        best = sorted(again, key=lambda one: -again[one])[:10]
        took.append(time.perf_counter() - began)
        right += len({*best} & {*exact.tolist()})
    recall, median = right / 100, statistics.median(took)
    figure(f"{VECTORS:,} vectors, median", f"{1000 * median:.1f} ms", "< 100 ms", median < 0.1)
    figure("recall@10 against exact", f"{recall:.3f}", ">= 0.98", recall >= 0.98)


def resident() -> int:
    """Bytes of memory of this process."""
    import psutil

    return int(psutil.Process().memory_info().rss)


if __name__ == "__main__":
    main()
