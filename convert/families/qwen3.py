"""Qwen 3 and its embedders: norms on the heads of queries and keys, no biases."""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key
from convert.keys import COMMON
from convert.pooling import pooling
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, HEAD_NORMS, NORMS, STRAIGHT, VALUES

BLOCKS = (*NORMS, *STRAIGHT, *HEAD_NORMS, *VALUES, *FEED_FORWARD)
KEYS = (*COMMON, Key("pooling_type", value=pooling))


def is_reranker(config: Config) -> bool:
    """Qwen3-Reranker has the architecture of a chat model; only its name or its card's title tells it apart."""
    names = (str(config.get("_name_or_path", default="")), config.folder.name if config.folder else "")
    return any("qwen3-reranker" in name.lower() for name in names) or "# qwen3-reranker" in _card(config)


def _card(config: Config) -> str:
    if config.folder is None:
        return ""
    try:
        with (config.folder / "README.md").open(encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20).lower()
    except OSError:
        return ""


FAMILY = Family(
    architectures=("Qwen3ForCausalLM", "Qwen3Model"),
    arch="qwen3",
    rules=(EMBEDDING, *BLOCKS, *HEAD),
    keys=KEYS,
    vocabulary=("spm", "bpe"),
    accepts=lambda config: not is_reranker(config),
)
