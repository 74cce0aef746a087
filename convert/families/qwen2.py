"""Qwen 1.5, 2, 2.5 and QwQ, and DeepSeek R1's distills of them."""

from __future__ import annotations

from convert.family import Family
from convert.keys import COMMON
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS, STRAIGHT, VALUES

FAMILY = Family(
    architectures=("Qwen2ForCausalLM", "Qwen2Model"),
    arch="qwen2",
    rules=(EMBEDDING, *NORMS, *STRAIGHT, *VALUES, *FEED_FORWARD, *HEAD),
    keys=COMMON,
    vocabulary=("spm", "bpe"),
)
