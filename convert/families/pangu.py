"""openPangu-Embedded: LLaMA's network with biases on all four matrices of attention, heads turned in halves."""

from __future__ import annotations

from convert.family import Family, Key
from convert.keys import COMMON, ROPE_DIMENSION, VOCABULARY_SIZE
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS, STRAIGHT, VALUES, without_tied_head

FAMILY = Family(
    architectures=("PanguEmbeddedForCausalLM",),
    arch="pangu-embedded",
    rules=(EMBEDDING, *NORMS, *STRAIGHT, *VALUES, *FEED_FORWARD, *HEAD),
    keys=(
        *COMMON,
        VOCABULARY_SIZE,
        ROPE_DIMENSION,
        Key("attention.key_length", value=lambda config: config.size("head_dim")),
        Key("attention.value_length", value=lambda config: config.size("head_dim")),
    ),
    vocabulary=("spm", "llama_hf"),
    place=without_tied_head,
)
