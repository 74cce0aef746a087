"""OLMo 1, OLMoE, OLMo 2 and OLMo 3. The last two norm behind a block; OLMo 1's norms hold nothing."""

from __future__ import annotations

from convert.config import Config
from convert.defaults import heads, with_usual
from convert.family import Family, Key, rule
from convert.keys import COMMON
from convert.rules import (
    EMBEDDING,
    EXPERTS,
    FEED_FORWARD,
    HEAD,
    HEAD_NORMS,
    NORMS,
    PERMUTED,
    ROUTER,
    STRAIGHT,
    VALUES,
)

_USUAL = with_usual(rope_theta=10000.0, max_position_embeddings=2048, num_key_value_heads=heads)


def _windows(config: Config) -> list[bool] | None:
    """Three layers of OLMo 3 with a window, then one without; OLMo 2 has none."""
    if config.get("sliding_window") is None:
        return None
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        return [kind == "sliding_attention" for kind in kinds]
    return [(layer + 1) % 4 != 0 for layer in range(config.size("layers"))]


FAMILIES = (
    Family(
        name="1",
        architectures=("OlmoForCausalLM",),
        arch="olmo",
        rules=(EMBEDDING, *PERMUTED, *VALUES, *FEED_FORWARD, *HEAD),
        keys=(
            *COMMON,
            Key("attention.layer_norm_epsilon", kind="f32", default=1e-5),
            Key("attention.clamp_kqv", ("clip_qkv",), "f32"),
        ),
        adjust=_USUAL,
    ),
    Family(
        name="moe",
        architectures=("OlmoeForCausalLM",),
        arch="olmoe",
        rules=(EMBEDDING, *NORMS, *HEAD_NORMS, *STRAIGHT, *VALUES, ROUTER, *EXPERTS, *HEAD),
        keys=(*COMMON, Key("attention.layer_norm_rms_epsilon", kind="f32", default=1e-5)),
        adjust=with_usual(
            rope_theta=10000.0,
            max_position_embeddings=4096,
            num_key_value_heads=heads,
            num_experts=64,
            num_experts_per_tok=8,
        ),
    ),
    Family(
        name="2",
        architectures=("Olmo2ForCausalLM", "Olmo3ForCausalLM"),
        arch="olmo2",
        rules=(
            EMBEDDING,
            rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
            rule("layers.{i}.post_feedforward_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
            *HEAD_NORMS,
            *STRAIGHT,
            *VALUES,
            *FEED_FORWARD,
            *HEAD,
        ),
        keys=(
            *COMMON,
            Key("attention.sliding_window", ("sliding_window",)),
            Key("attention.sliding_window_pattern", kind="[bool]", value=_windows),
        ),
        adjust=with_usual(
            rope_theta=10000.0, max_position_embeddings=2048, num_key_value_heads=heads, rms_norm_eps=1e-5
        ),
    ),
)
