"""The best candidates ranked again by a cross-encoder, which reads question and passage together.

Slow by its nature, so it has a time to keep: what the first passages took says whether all of them can be read in it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from engine.api.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine.documents.embedders.session import Session
    from engine.documents.search import Hit
    from engine.llama.embed import Embedder as Llama
    from engine.llama.model import Model
    from models.registry import Installed

DEPTH = 24  # candidates that are read
FIRST, BATCH = 2, 8
LONGEST = 1024  # tokens of a question with its passage
WORDS_OF_QUESTION = 2000  # characters: what is left of a huge question


class Reranker(Protocol):
    """Scores 0 to 1 of passages for a question; `depth`: how many are worth reading. One thread at a time."""

    depth: int

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers."""

    def close(self) -> None:
        """Give the memory back."""


def reranked(reranker: Reranker, question: str, hits: list[Hit], seconds: float) -> tuple[list[Hit], bool]:
    """The first `depth` hits by what the reranker says, the rest after them; as they were, and False, where that would
    take longer than `seconds`."""
    began = time.monotonic()
    asked, texts = question[:WORDS_OF_QUESTION], [_text(hit) for hit in hits[: reranker.depth]]
    scores = list(reranker.scores(asked, texts[:FIRST]))
    each = (time.monotonic() - began) / len(scores)
    if each * len(texts) > seconds:
        return hits, False
    while len(scores) < len(texts):
        if time.monotonic() - began > seconds:
            return hits, False
        scores += reranker.scores(asked, texts[len(scores) : len(scores) + BATCH])
    order = sorted(range(len(scores)), key=lambda at: -scores[at])
    first = [_ranked(hits[at], scores[at], rank) for rank, at in enumerate(order, 1)]
    return first + hits[len(first) :], True


def _text(hit: Hit) -> str:
    return f"{hit.heading}\n{hit.text}" if hit.heading else hit.text


def _ranked(hit: Hit, score: float, rank: int) -> Hit:
    return replace(hit, score=score, legs=hit.legs | {"rerank": {"rank": rank, "score": score}})


def open_reranker(model: str = "", threads: int = 0) -> Reranker | None:
    """Load an installed reranker; "" is one that is here, None if there is none.

    Raises UserError unknown_model, vanished_model, damaged_model, unsupported_embedder, no_rerank, no_onnxruntime.
    """
    from models import registry

    found = registry.find(model) if model else _here()
    if found is None:
        return None
    if found.path.suffix.lower() == ".gguf":
        return _open_gguf(found, threads)
    return _open_onnx(found, threads)


def _here() -> Installed | None:
    from engine.documents.embedders.checkpoint import ranks
    from models import encoder, registry

    for model in registry.installed():
        if model.path.is_dir() and encoder.is_encoder(model.path) and ranks(model.path):
            return model
        if "rerank" in f"{model.id} {model.name}".lower() and model.path.is_file():
            return model
    return None


class OnnxReranker:
    """A cross-encoder run by onnxruntime."""

    depth = DEPTH

    def __init__(self, session: Session) -> None:
        self._session = session

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers, 0 to 1."""
        found = [0.0] * len(passages)
        for places, out, _ in self._session.run([(question, passage) for passage in passages]):
            for at, row in zip(places, out, strict=True):
                found[at] = probability([float(value) for value in row])
        return found

    def close(self) -> None:
        """Give the memory back."""
        del self._session


class GgufReranker:
    """A cross-encoder run by llama.cpp."""

    depth = DEPTH

    def __init__(self, model: Model, llama: Llama) -> None:
        self._model, self._llama = model, llama

    def scores(self, question: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers, 0 to 1."""
        from engine.documents.embedders.gguf import cut, finished

        pairs = [cut(self._llama.pair(question, passage), self._llama.limit) for passage in passages]
        return finished(self._llama.rerank(pairs))

    def close(self) -> None:
        """Give the memory back."""
        self._llama.close()
        self._model.close()


def probability(outputs: list[float]) -> float:
    """One number of a head is a logit; of two, the second says yes."""
    import math

    logit = outputs[0] if len(outputs) == 1 else outputs[1] - outputs[0]
    return 1 / (1 + math.exp(-max(-700.0, min(700.0, logit))))


def _open_onnx(model: Installed, threads: int) -> OnnxReranker:
    from engine.documents.embedders import checkpoint
    from engine.documents.embedders.onnx import limit_of
    from engine.documents.embedders.session import TOKENIZER, Session, graph_of

    folder = model.path.parent if model.path.is_file() else model.path
    if not checkpoint.ranks(folder):
        raise _no_rerank(model.name)
    limit = min(limit_of(folder), LONGEST)
    return OnnxReranker(Session(graph_of(model.path, model.folder), folder / TOKENIZER, limit, threads))


def _open_gguf(model: Installed, threads: int) -> GgufReranker:
    from engine.llama.embed import Embedder as Llama
    from engine.llama.load import LoadSettings, load

    loaded: Any = load(model.path, LoadSettings(context_size=LONGEST, threads=threads))
    llama = Llama(loaded, model.path)
    try:
        llama.check_head()
    except UserError:
        loaded.close()
        raise
    return GgufReranker(loaded, llama)


def _no_rerank(name: str) -> UserError:
    return UserError(
        "no_rerank",
        f"{name} cannot rank documents: it has no ranking head.",
        "Get a reranker, for example bge-reranker-v2-m3 or Qwen3-Reranker.",
        name=name,
    )
