"""A few changed files indexed here and now, in the engine: a job's process takes a second before it reads the first."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from engine.api.folders import home
from engine.api.job import Job
from engine.documents import sync
from engine.documents.deleting import wipe
from engine.documents.index_job import Counts, Indexing
from engine.documents.stale_words import tidy

if TYPE_CHECKING:
    from engine.documents.database import DocumentStore
    from engine.documents.embedders import Embedder
    from engine.documents.reading import Reading

FEW, SMALL = 8, 1 << 20  # files, and bytes of each
_WAITING = "SELECT bytes FROM files WHERE collection = ? AND state = 'waiting' LIMIT ?"


def catch_up(
    store: DocumentStore,
    collection: dict[str, Any],
    reading: Reading,
    using: AbstractContextManager[tuple[Embedder | None, Any]],
) -> dict[str, Any] | None:
    """The result of a short look at the disk as the index job gives it; None where it is a job's work.

    `using` gives the embedder of the collection's vectors.
    """
    number = int(collection["number"])
    if _embeds_anew(collection):
        return None
    found = sync.difference(store, number, sync.scan(store, number))
    sizes = [one.bytes for one in found.new] + [one.bytes for _, one in found.changed]
    sizes += [row["bytes"] for row in store.rows(_WAITING, number, FEW + 1)]
    if len(sizes) > FEW or any(size > SMALL for size in sizes):
        return None
    with using as (embedder, _):
        if (embedder.identity if embedder else "") != collection["embedder"]:
            return None
        counts = Counts(changes=sync.apply(store, number, found) if found else {})
        if counts.changes.get("deleted"):
            wipe(store, [number])
        Indexing(store, collection, embedder, Job(home() / "indexing" / "none.partial", {}), counts).run(reading)
        tidy(store, number)
    return {**vars(counts), "embedder": collection["embedder"]}


def _embeds_anew(collection: dict[str, Any]) -> bool:
    """Whether another embedder is wanted than the one that made the vectors, or the first one has come."""
    from engine.documents.embedders import recommended

    wanted, used = collection["settings"]["embedder"], collection["embedder"]
    return not used.startswith(f"{wanted}:") if wanted else not used and recommended() is not None
