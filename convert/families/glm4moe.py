"""GLM-4.5, 4.6 and 4.7: experts chosen by a sigmoid with a correction, a layer that looks one token further.

A checkpoint that was saved without that layer gets a file without it; llama.cpp's converter promises it all the same.
"""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.keys import COMMON, gating, partial_rotary
from convert.next_token import MORE_LAYERS
from convert.rules import (
    EMBEDDING,
    EXPERTS,
    FEED_FORWARD,
    FUSED_EXPERTS,
    HEAD,
    HEAD_NORMS,
    NEXT_TOKEN,
    OTHER_SENSES,
    ROUTER,
    SHARED_EXPERTS,
    STRAIGHT,
    TEXT_PREFIXES,
    VALUES,
)

SIGMOID = 2


FAMILY = Family(
    architectures=("Glm4MoeForCausalLM", "Glm4vMoeForConditionalGeneration"),
    arch="glm4moe",
    rules=(
        EMBEDDING,
        rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        *STRAIGHT,
        *HEAD_NORMS,
        *VALUES,
        *FEED_FORWARD,
        ROUTER,
        rule("layers.{i}.mlp.gate.e_score_correction_bias", "blk.{i}.exp_probs_b.bias"),
        *EXPERTS,
        *FUSED_EXPERTS,
        *SHARED_EXPERTS,
        *NEXT_TOKEN,
        *HEAD,
    ),
    keys=(
        *COMMON,
        *MORE_LAYERS,
        Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.5)),
        Key("expert_feed_forward_length", ("moe_intermediate_size",)),
        Key("expert_shared_count", ("n_shared_experts",), default=0),
        Key("leading_dense_block_count", ("first_k_dense_replace",)),
        Key("expert_gating_func", value=lambda config: gating(config) or SIGMOID),
        Key("expert_weights_scale", ("routed_scaling_factor",), "f32"),
        Key("expert_weights_norm", ("norm_topk_prob",), "bool"),
    ),
    prefixes=TEXT_PREFIXES,
    drop=OTHER_SENSES,
)
