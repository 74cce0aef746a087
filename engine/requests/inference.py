"""Requests that use a model without a conversation: vectors, ranking, and counting words as it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from engine.api.job import Cancelled
from engine.core import Call, Core
from engine.loading import using
from engine.remotes.addresses import is_remote
from engine.remotes.failures import cannot
from engine.remotes.vectors import embed_remotely
from engine.resident import Resident

T = TypeVar("T")


@dataclass(frozen=True)
class Embedded:
    """A vector a text, in their order, and how many tokens were read."""

    vectors: list[list[float]]
    tokens: int


@dataclass(frozen=True)
class Ranked:
    """A score a document, in their order (0 to 1, unless raw), and how many tokens were read."""

    scores: list[float]
    tokens: int


def embed(
    core: Core,
    model: str,
    inputs: Sequence[str | list[int]],
    cancelled: threading.Event,
    pooling: str = "",
    normalize: bool = True,
) -> Embedded:
    """Vectors of texts, or of tokens as they are. `pooling` is mean, cls, last or "" for the model's own.

    Blocks; for any thread. Raises UserError unknown_model, model_wont_fit, context_too_long, empty_text, bad_tokens,
    bad_pooling, out_of_memory, for remote models those of `embed_remotely`; Cancelled.
    """
    if is_remote(model):
        if pooling or not normalize:
            raise cannot("pooling")
        return Embedded(*embed_remotely(model, inputs, cancelled))
    with core.residents.use(model, _quiet, cancelled) as resident:
        return _embed(resident, inputs, cancelled, pooling, normalize)


def rerank(
    core: Core, model: str, query: str, documents: Sequence[str], cancelled: threading.Event, raw: bool = False
) -> Ranked:
    """How well each document answers the query: 0 to 1, or with `raw` the number that the model gave.

    Raises as `embed`, and UserError no_rerank for a model that is no reranker.
    """
    with core.residents.use(model, _quiet, cancelled) as resident:
        return _rerank(resident, query, documents, cancelled, raw)


def embed_texts(
    core: Core, call: Call, model: str, texts: list[str], pooling: str = "", normalize: bool = True
) -> dict[str, Any]:
    """The request models.embed."""
    with using(core, call, model) as resident:
        done = _embed(resident, texts, call.cancelled, pooling, normalize)
    return {"vectors": done.vectors, "tokens": done.tokens}


def rerank_documents(
    core: Core, call: Call, model: str, query: str, documents: list[str], raw: bool = False
) -> dict[str, Any]:
    """The request models.rerank."""
    with using(core, call, model) as resident:
        done = _rerank(resident, query, documents, call.cancelled, raw)
    return {"scores": done.scores, "tokens": done.tokens}


def tokenize(core: Core, call: Call, model: str, text: str, special: bool = True) -> dict[str, Any]:
    """The tokens of a text as it is; with `special` control tokens written in it are read as such."""
    with using(core, call, model) as resident:
        return {"tokens": resident.tokenize(text, special)}


def detokenize(core: Core, call: Call, model: str, tokens: list[int]) -> dict[str, Any]:
    """The text of tokens; numbers that are none are left out."""
    with using(core, call, model) as resident:
        return {"text": resident.detokenize(tokens)}


def count(core: Core, call: Call, model: str, text: str) -> dict[str, Any]:
    """How many tokens a text takes as a prompt."""
    with using(core, call, model) as resident:
        resident.refuse(text)
        return {"count": resident.count(text)}


def _embed(
    resident: Resident,
    inputs: Sequence[str | list[int]],
    cancelled: threading.Event,
    pooling: str,
    normalize: bool,
) -> Embedded:
    embedder = resident.embedder()
    embedder.refuse_endless([one for one in inputs if isinstance(one, str)])
    tokens = _each(lambda one: embedder.tokens(one) if isinstance(one, str) else one, inputs, cancelled)
    vectors = resident.scheduler.run(_until(cancelled, embedder.embed(tokens, pooling, normalize)))
    return Embedded(vectors, sum(map(len, tokens)))


def _rerank(resident: Resident, query: str, documents: Sequence[str], cancelled: threading.Event, raw: bool) -> Ranked:
    embedder = resident.embedder()
    embedder.check_head()
    embedder.refuse_endless([max(query, document, key=len) for document in documents])
    pairs = _each(lambda document: embedder.pair(query, document), documents, cancelled)
    scores = resident.scheduler.run(_until(cancelled, embedder.rerank(pairs, raw)))
    return Ranked(scores, sum(map(len, pairs)))


def _each(cut: Callable[[Any], list[int]], texts: Sequence[Any], cancelled: threading.Event) -> list[list[int]]:
    """Cut texts into tokens, which takes a second for some megabytes."""
    found = []
    for text in texts:
        if cancelled.is_set():
            raise Cancelled
        found.append(cut(text))
    return found


def _until(cancelled: threading.Event, work: Generator[None, None, T]) -> Generator[None, None, T]:
    """The same work, given up between two steps once nobody wants it. Raises Cancelled."""
    try:
        while not cancelled.is_set():
            try:
                next(work)
            except StopIteration as end:
                result: T = end.value
                return result
            yield
        raise Cancelled
    finally:
        work.close()


def _quiet(done: float) -> None:
    """Nobody watches the loading."""
