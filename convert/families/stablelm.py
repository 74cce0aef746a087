"""StableLM 3B 4E1T, Zephyr, 2 1.6B and 12B, Stable Code."""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.keys import CONTEXT, partial_rotary, unusual_base
from convert.operations import Stack
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD_BIASED, NORMS_BIASED, STRAIGHT, VALUES

FAMILY = Family(
    architectures=("StableLmForCausalLM", "StableLMEpochForCausalLM"),
    arch="stablelm",
    rules=(
        EMBEDDING,
        *NORMS_BIASED,
        *STRAIGHT,
        *VALUES,
        rule("layers.{i}.self_attn.q_layernorm.norms.{e}.weight", "blk.{i}.attn_q_norm.weight", Stack()),
        rule("layers.{i}.self_attn.k_layernorm.norms.{e}.weight", "blk.{i}.attn_k_norm.weight", Stack()),
        *FEED_FORWARD,
        *HEAD_BIASED,
    ),
    keys=(
        Key("context_length", CONTEXT),
        Key("embedding_length", ("hidden_size",)),
        Key("block_count", value=lambda config: config.size("layers")),
        Key("feed_forward_length", ("intermediate_size",)),
        Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.25)),
        Key("rope.freq_base", kind="f32", value=unusual_base),
        Key("attention.head_count", value=lambda config: config.size("heads")),
        Key("attention.head_count_kv", value=lambda config: config.size("kv_heads")),
        Key("use_parallel_residual", ("use_parallel_residual",), "bool", default=True),
        Key("attention.layer_norm_epsilon", ("layer_norm_eps", "norm_eps"), "f32", default=1e-5),
    ),
    vocabulary=("bpe", "tiktoken"),
)
