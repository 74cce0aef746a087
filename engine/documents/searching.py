"""Searches for the engine's requests: embedder and reranker are loaded once, and given back when nobody asks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.documents.collection import row_of
from engine.documents.embedders import model_of
from engine.documents.search import Found, search

if TYPE_CHECKING:
    import numpy as np

    from engine.documents.database import DocumentStore
    from engine.documents.embedders import Embedder
    from engine.documents.rerank import Reranker

log = logging.getLogger(__name__)
IDLE_S = 600.0
RERANK_S = 2.0


class Held:
    """One model, loaded by `opening(model id)` when it is first used, closed `idle_s` after the last use."""

    def __init__(self, opening: Callable[[str], Any], idle_s: float = IDLE_S) -> None:
        self._opening, self._idle_s = opening, idle_s
        self._lock = threading.Lock()
        self._key, self._model = "", None
        self._timer: threading.Timer | None = None

    @contextmanager
    def use(self, key: str) -> Iterator[Any]:
        """The model with this id (None if there is none), for this thread alone."""
        with self._lock:
            self._rest()
            if self._model is None or key != self._key:
                self._close()
                self._model, self._key = self._opening(key), key
            try:
                yield self._model
            finally:
                self._timer = threading.Timer(self._idle_s, self.close)
                self._timer.daemon = True
                self._timer.start()

    def close(self) -> None:
        """Give the memory back."""
        with self._lock:
            self._rest()
            self._close()

    def _rest(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None

    def _close(self) -> None:
        if self._model is not None:
            self._model.close()
        self._model, self._key = None, ""


class Searching:
    """One per engine. `close` it before the engine ends."""

    def __init__(self) -> None:
        self._embedders, self._rerankers = Held(_open_embedder), Held(_open_reranker)

    def search(
        self,
        store: DocumentStore,
        collection: str,
        query: str,
        top: int = 10,
        filters: dict[str, Any] | None = None,
        rerank: str = "",
    ) -> Found:
        """As engine.documents.search does it, with the collection's embedder and the reranker that is here.

        `rerank`: "auto" with one while its time allows, "off" without, "" as the collection's setting says.
        An embedder that cannot be loaded is left out, with a note. Raises UserError unknown_collection, bad_filter.
        """
        row = row_of(store, collection)
        wanted = model_of(row["embedder"])
        ranks = (rerank or row["settings"]["rerank"]) == "auto"
        with self.embedder(wanted) as (embedder, notes), self._reranker(ranks) as reranker:
            found = search(store, row["id"], query, top, filters, embedder, reranker, RERANK_S)
        found.notes.extend(notes)
        return found

    def embedded(self, store: DocumentStore, collection: str, texts: list[str]) -> tuple[str, np.ndarray | None]:
        """Vectors (texts, width) of passages by a collection's embedder, and its identity; None where there is none.

        Raises UserError unknown_collection.
        """
        row = row_of(store, collection)
        with self.embedder(model_of(row["embedder"]) if texts else "") as (embedder, _):
            if embedder is None or embedder.identity != row["embedder"]:
                return "", None
            return embedder.identity, embedder.passages(texts)

    def close(self) -> None:
        """Give the memory back."""
        self._embedders.close()
        self._rerankers.close()

    @contextmanager
    def embedder(self, model: str) -> Iterator[tuple[Embedder | None, list[dict[str, Any]]]]:
        """The embedder with this id, for this thread alone; None and a note where it cannot be loaded, None for ""."""
        if not model:
            yield None, []
            return
        try:
            using = self._embedders.use(model)
            embedder = using.__enter__()
        except UserError as error:
            log.warning("embedder %s: %s", model, error)
            yield None, [{"code": "no_embedder", "model": model, "reason": error.to_json()}]
            return
        try:
            yield embedder, []
        finally:
            using.__exit__(None, None, None)

    @contextmanager
    def _reranker(self, wanted: bool) -> Iterator[Reranker | None]:
        if not wanted:
            yield None
            return
        with self._rerankers.use("") as reranker:
            yield reranker


def _open_embedder(model: str) -> Embedder | None:
    from engine.documents.embedders import open_embedder

    return open_embedder(model)


def _open_reranker(model: str) -> Reranker | None:
    from engine.documents.rerank import open_reranker

    try:
        return open_reranker(model)
    except UserError as error:
        log.warning("reranker: %s", error)
        return None
