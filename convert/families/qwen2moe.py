"""Qwen 1.5 MoE and Qwen 2 MoE: many small experts beside one that every token goes through, with a gate of its own."""

from __future__ import annotations

from convert.family import Family, Key
from convert.keys import COMMON
from convert.rules import (
    EMBEDDING,
    EXPERTS,
    FUSED_EXPERTS,
    GATED_EXPERT,
    HEAD,
    NORMS,
    ROUTER,
    STRAIGHT,
    VALUES,
)

EXPERT_WIDTHS = (
    Key("expert_feed_forward_length", ("moe_intermediate_size",)),
    Key("expert_shared_feed_forward_length", ("shared_expert_intermediate_size",)),
)

FAMILY = Family(
    architectures=("Qwen2MoeForCausalLM",),
    arch="qwen2moe",
    rules=(EMBEDDING, *NORMS, *STRAIGHT, *VALUES, ROUTER, *EXPERTS, *FUSED_EXPERTS, *GATED_EXPERT, *HEAD),
    keys=(*COMMON, *EXPERT_WIDTHS),
)
