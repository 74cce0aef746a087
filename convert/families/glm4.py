"""GLM-4 0414 and GLM-Z1: four norms a layer, half of each head turned, in pairs."""

from __future__ import annotations

from convert.families.glm import FUSED_FEED_FORWARD
from convert.family import Family, Key, rule
from convert.keys import COMMON, partial_rotary
from convert.rules import EMBEDDING, HEAD, NORMS, STRAIGHT, VALUES

FAMILY = Family(
    architectures=("Glm4ForCausalLM",),
    arch="glm4",
    rules=(
        EMBEDDING,
        *NORMS,
        rule("layers.{i}.post_self_attn_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        rule("layers.{i}.post_mlp_layernorm.weight", "blk.{i}.post_ffw_norm.weight"),
        *STRAIGHT,
        *VALUES,
        *FUSED_FEED_FORWARD,
        *HEAD,
    ),
    keys=(*COMMON, Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.5))),
)
