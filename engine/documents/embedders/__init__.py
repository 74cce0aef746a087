"""Embedders: models that turn texts into vectors for search, whatever runs them; one runtime a file."""

from __future__ import annotations

import hashlib
import tomllib
from abc import abstractmethod
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from engine.api.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from models.registry import Installed

ANY = "*"
PROBED = 1 << 20  # bytes at each end of a weights file that tell it from another


class Embedder(Protocol):
    """Texts as vectors of `width` numbers and length 1.

    `identity` names model, weights, pooling and prefixes: vectors of two identities are never compared. `limit` in
    tokens; longer texts are cut there. `languages` it knows, ("*",) for any. One thread at a time.
    """

    identity: str
    width: int
    limit: int
    languages: tuple[str, ...]

    def queries(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Questions: (texts, width)."""

    def passages(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """What is searched: (texts, width)."""

    def count(self, text: str) -> int:
        """Tokens of a text, without prefix and framing."""

    def close(self) -> None:
        """Give the memory back."""


@dataclass(frozen=True)
class Profile:
    """How a model wants its texts. `pooling` and `languages` are empty where its own files are to say."""

    query: str = ""
    passage: str = ""
    pooling: str = ""
    languages: tuple[str, ...] = ()
    rank: int = 10


class Prefixed:
    """Puts what the profile says before each text; `_vectors(texts)` is the runtime's."""

    _profile: Profile

    def queries(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Questions: (texts, width)."""
        return self._vectors([self._profile.query + text for text in texts])

    def passages(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """What is searched: (texts, width)."""
        return self._vectors([self._profile.passage + text for text in texts])

    @abstractmethod
    def _vectors(self, texts: list[str]) -> npt.NDArray[np.float32]: ...


@cache
def _profiles() -> tuple[tuple[tuple[str, ...], Profile], ...]:
    data = tomllib.loads(Path(__file__).with_name("profiles.toml").read_text(encoding="utf-8"))
    return tuple((tuple(one.pop("match")), _profile(one)) for one in data["profile"])


def _profile(data: dict[str, Any]) -> Profile:
    return Profile(**data | {"languages": tuple(data.get("languages", ()))})


def profile_of(*names: str) -> Profile:
    """The profile for a model by its id, name or origin; a plain one for models that nobody described."""
    text = " ".join(names).lower()
    return next((found for words, found in _profiles() if any(word in text for word in words)), Profile())


def open_embedder(model: str = "", threads: int = 0) -> Embedder | None:
    """Load an installed embedder; "" is the best one that is here, None if there is none.

    `threads` 0 = one a core. Raises UserError unknown_model, vanished_model, damaged_model, unsupported_embedder,
    not_an_embedder, no_onnxruntime and those of loading a GGUF file.
    """
    from models import registry

    found = registry.find(model) if model else recommended()
    if found is None:
        return None
    if found.path.suffix.lower() == ".gguf":
        from engine.documents.embedders.gguf import open_gguf

        return open_gguf(found, threads)
    from engine.documents.embedders.onnx import open_onnx

    return open_onnx(found, threads)


def recommended() -> Installed | None:
    """The installed embedder that serves best: those that know every language first."""
    from models import registry

    ranked = [(_rank(model), model) for model in registry.installed() if model.path.exists() and embeds(model)]
    return max(ranked, key=lambda pair: (pair[0], pair[1].id), default=(0, None))[1]


def _rank(model: Installed) -> int:
    return profile_of(model.id, model.name, model.origin).rank


def embeds(model: Installed) -> bool:
    """Whether an installed model makes vectors for search, and is no reranker."""
    from engine.documents.embedders.checkpoint import ranks
    from models import encoder

    if model.path.suffix.lower() == ".gguf":
        from models import rows

        try:
            return rows.header(model.path).kind == "embedding" and "rerank" not in model.name.lower()
        except UserError:
            return False
    return encoder.is_encoder(model.path) and not ranks(model.path)


def identity_of(model: Installed, weights: Path, pooling: str, profile: Profile) -> str:
    """Which vectors these are."""
    asked = hashlib.sha256(f"{profile.query}\0{profile.passage}".encode()).hexdigest()[:8]
    return f"{model.id}:{fingerprint(weights)}:{pooling}:{asked}"


def model_of(identity: str) -> str:
    """The id of the model that an embedder's identity begins with, "" for none."""
    return identity.rsplit(":", 3)[0]


def fingerprint(path: Path) -> str:
    """Tells a weights file from another without reading gigabytes: its size, beginning and end."""
    with path.open("rb") as file:
        size = path.stat().st_size
        known = hashlib.sha256(str(size).encode() + file.read(PROBED))
        file.seek(max(0, size - PROBED))
        known.update(file.read(PROBED))
    return known.hexdigest()[:16]


def not_an_embedder(name: str) -> UserError:
    """The error for a model that writes, or ranks."""
    return UserError(
        "not_an_embedder",
        f"{name} makes no vectors for search.",
        "Choose an embedding model, for example multilingual-e5-small.",
        name=name,
    )
