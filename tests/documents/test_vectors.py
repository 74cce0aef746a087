"""The vector leg: as exact as comparing floats, and always what the table holds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from engine.documents import collection as collections
from engine.documents import vectors
from engine.documents.database import DocumentStore, sql_of

WIDTH = 48
Array = npt.NDArray[np.float32]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    made = DocumentStore(tmp_path / "documents.db")
    yield made
    made.close()


def unit(count: int, seed: int = 1) -> Array:
    made = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True))


def collection(store: DocumentStore) -> int:
    number = collections.number_of(store, collections.create(store, "c")["id"])
    with store.transaction() as db:
        collections.make_vectors(db, number)
    return number


def put(store: DocumentStore, number: int, first: int, rows: Array) -> None:
    stored = [(first + at, row.astype(np.float16).tobytes()) for at, row in enumerate(rows)]
    with store.transaction() as db:
        db.conn.executemany(sql_of(number, "INSERT INTO {vec} (chunk, vector) VALUES (?, ?)"), stored)


def test_the_nearest_are_the_nearest(store: DocumentStore) -> None:
    number, rows = collection(store), unit(3000)
    put(store, number, 1, rows)
    hits = []
    for query in unit(20, seed=2):
        found = vectors.find(store, number, ("e", 1), query, 10)
        exact = np.argsort(-(rows @ query))[:10] + 1
        hits.append(len(set(exact.tolist()) & set(found.ids)))
        assert found.scores == sorted(found.scores, reverse=True)
        np.testing.assert_allclose(found.scores[0], (rows @ query).max(), atol=2e-3)
        np.testing.assert_allclose([found.mean, found.spread], [(rows @ query).mean(), (rows @ query).std()], atol=2e-3)
    assert sum(hits) >= 198


def test_it_follows_the_table(store: DocumentStore) -> None:
    number, rows = collection(store), unit(100)
    put(store, number, 1, rows[:50])
    assert vectors.find(store, number, ("e", 1), rows[7], 1).ids == [8]
    put(store, number, 51, rows[50:])
    store.run(sql_of(number, "DELETE FROM {vec} WHERE chunk = 8"))
    assert vectors.find(store, number, ("e", 2), rows[60], 1).ids == [61]
    found = vectors.find(store, number, ("e", 2), rows[7], 100)
    assert 8 not in found.ids and len(found.ids) == 99


def test_another_embedder_begins_anew(store: DocumentStore) -> None:
    number, rows = collection(store), unit(20)
    put(store, number, 1, rows)
    assert vectors.find(store, number, ("e", 1), rows[3], 1).ids == [4]
    store.run(sql_of(number, "DELETE FROM {vec}"))
    put(store, number, 1, rows[::-1])
    assert vectors.find(store, number, ("f", 2), rows[3], 1).ids == [17]


def test_filters_leave_only_what_is_allowed(store: DocumentStore) -> None:
    number, rows = collection(store), unit(200)
    put(store, number, 1, rows)
    found = vectors.find(store, number, ("e", 1), rows[0], 10, {5, 9, 300}.__contains__)
    assert sorted(found.ids) == [5, 9] and found.total == 2
    assert vectors.find(store, number, ("e", 1), rows[0], 10, set[int]().__contains__).ids == []


def test_nothing_and_nonsense(store: DocumentStore) -> None:
    number = collection(store)
    assert vectors.find(store, number, ("e", 1), unit(1)[0], 5).ids == []
    put(store, number, 1, unit(3))
    store.run(sql_of(number, "INSERT INTO {vec} (chunk, vector) VALUES (9, x'0000')"))
    assert sorted(vectors.find(store, number, ("e", 2), unit(1)[0], 5).ids) == [1, 2, 3]
    vectors.forget(store, number)
    assert len(vectors.find(store, number, ("e", 2), unit(1)[0], 5).ids) == 3


def test_without_the_library_the_numbers_are_the_same() -> None:
    rows = np.random.default_rng(0).integers(-127, 128, (50, WIDTH)).astype(np.int8)
    exact = rows.astype(np.int64) @ rows[3].astype(np.int64)
    assert vectors.products(rows, rows[3]).tolist() == exact.tolist()
