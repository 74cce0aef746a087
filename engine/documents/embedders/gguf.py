"""Embedders run by llama.cpp in this process: any GGUF file that makes vectors."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, TypeVar

from engine.documents.embedders import ANY, Prefixed, Profile, identity_of, not_an_embedder, profile_of

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from engine.llama.embed import Embedder as Llama
    from engine.llama.model import Model
    from models.registry import Installed

    Array = npt.NDArray[np.float32]

T = TypeVar("T")
LONGEST = 2048  # tokens: a passage is never longer, and a context's memory grows with it


class GgufEmbedder(Prefixed):
    """See Embedder. Loads its own copy of the weights; the engine's models stay as they are."""

    def __init__(self, model: Model, llama: Llama, identity: str, pooling: str, profile: Profile) -> None:
        self.identity, self.limit = identity, min(llama.limit, LONGEST)
        self._model, self._llama, self._pooling, self._profile = model, llama, pooling, profile
        self.languages = profile.languages or (ANY,)
        self.width = self._vectors(["."]).shape[1]

    def count(self, text: str) -> int:
        """Tokens of a text, without prefix and framing."""
        return len(self._model.tokenize(text, special=False))

    def close(self) -> None:
        """Give the memory back."""
        self._llama.close()
        self._model.close()

    def _vectors(self, texts: list[str]) -> Array:
        import numpy as np

        if not texts:
            return np.zeros((0, self.width), np.float32)
        tokens = [cut(self._llama.tokens(text or " "), self.limit) for text in texts]
        return np.asarray(finished(self._llama.embed(tokens, self._pooling)), np.float32)


def open_gguf(model: Installed, threads: int = 0) -> GgufEmbedder:
    """Raises UserError as engine.llama.load does, and not_an_embedder for a model that ranks."""
    from engine.llama.embed import Embedder as Llama
    from engine.llama.embed import has_head
    from engine.llama.load import LoadSettings, load

    profile = profile_of(model.id, model.name, model.origin)
    if has_head(model.path):
        raise not_an_embedder(model.name)
    loaded = load(model.path, LoadSettings(context_size=LONGEST, threads=threads))
    llama = Llama(loaded, model.path)
    pooling = profile.pooling or llama.pooling
    return GgufEmbedder(loaded, llama, identity_of(model, model.path, pooling, profile), pooling, profile)


def cut(tokens: list[int], limit: int) -> list[int]:
    """No longer than `limit`, the end that frames a text kept."""
    return tokens if len(tokens) <= limit else [*tokens[: limit - 1], tokens[-1]]


def finished(work: Generator[None, None, T]) -> T:
    """The result of work that is written in steps for a shared thread."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: T = end.value
            return result
