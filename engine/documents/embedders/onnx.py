"""Embedders run by onnxruntime: a folder in Hugging Face layout with safetensors, or with an ONNX file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from engine.documents.embedders import ANY, Prefixed, Profile, checkpoint, identity_of, not_an_embedder, profile_of
from engine.documents.embedders.session import TOKENIZER, Session, graph_of
from models.encoder import WEIGHTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from models.registry import Installed

    Array = npt.NDArray[np.float32]

USUAL_LIMIT = 512
SENTENCES = "sentence_bert_config.json"
KNOWN, MANY = 2000, 100_000  # pieces of a script that say it was learnt; pieces in all that say every script was


class OnnxEmbedder(Prefixed):
    """See Embedder."""

    def __init__(self, session: Session, identity: str, pooling: str, profile: Profile) -> None:
        self.identity, self.limit = identity, session.limit
        self._session, self._pooling, self._profile = session, pooling, profile
        self.languages = profile.languages or languages_of(session.words())
        self.width = self._vectors(["."]).shape[1]

    def count(self, text: str) -> int:
        """Tokens of a text, without prefix and framing."""
        return self._session.count(text)

    def close(self) -> None:
        """Give the memory back."""
        del self._session

    def _vectors(self, texts: list[str]) -> Array:
        import numpy as np

        made: Array = np.zeros((len(texts), getattr(self, "width", 0)), np.float32)
        for places, out, lengths in self._session.run(texts):
            rows = out if out.ndim == 2 else pooled(out, lengths, self._pooling)
            if not made.shape[1]:
                made = np.zeros((len(texts), rows.shape[1]), np.float32)
            made[places] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
        return made


def open_onnx(model: Installed, threads: int = 0) -> OnnxEmbedder:
    """Raises UserError damaged_model, unsupported_embedder, not_an_embedder, no_onnxruntime."""
    folder = model.path.parent if model.path.is_file() else model.path
    if checkpoint.ranks(folder):
        raise not_an_embedder(model.name)
    profile = profile_of(model.id, model.name, model.origin)
    graph = graph_of(model.path, model.folder)
    pooling = profile.pooling or checkpoint.pooling_of(folder)
    weights = folder / WEIGHTS
    identity = identity_of(model, weights if weights.is_file() else graph, pooling, profile)
    return OnnxEmbedder(Session(graph, folder / TOKENIZER, limit_of(folder), threads), identity, pooling, profile)


def limit_of(folder: Path) -> int:
    """Tokens a text may have: what sentence-transformers' file says, else what the network has places for."""
    most = checkpoint.read(folder).limit if checkpoint.is_encoder(folder) else _places(folder)
    try:
        said = json.loads((folder / SENTENCES).read_text(encoding="utf-8"))["max_seq_length"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return most
    return min(most, said) if isinstance(said, int) and said > 8 else most


def _places(folder: Path) -> int:
    """Tokens that the graph of an ONNX file has places for, as its config says."""
    from models import encoder

    if not encoder.is_encoder(folder):
        return USUAL_LIMIT
    read = encoder.read(folder)
    unused = 2 if read.architecture in checkpoint.ROBERTA else 0
    return read.context - unused if read.context > unused else USUAL_LIMIT


def pooled(states: Array, lengths: npt.NDArray[np.int32], pooling: str) -> Array:
    """(texts, length, width) -> (texts, width)."""
    import numpy as np

    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return states[np.arange(len(states)), lengths - 1]
    mask = (np.arange(states.shape[1]) < lengths[:, None])[:, :, None]
    return np.asarray((states * mask).sum(1) / lengths[:, None], np.float32)


def languages_of(words: list[str]) -> tuple[str, ...]:
    """What a vocabulary says of the languages: most tokenizers hold a few characters of each script anyway."""
    from engine.documents.prepare import CJK_RUN

    if len(words) > MANY:
        return (ANY,)
    chinese = sum(CJK_RUN.search(word) is not None for word in words) > KNOWN
    english = sum(word.isascii() and word.isalpha() and len(word) > 2 for word in words) > KNOWN
    return tuple(name for name, known in (("en", english), ("zh", chinese)) if known) or ("en",)
