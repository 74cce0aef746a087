"""Qwen 3 MoE: Qwen 3's attention, experts without a shared one."""

from __future__ import annotations

from convert.families.qwen2moe import EXPERT_WIDTHS
from convert.family import Family
from convert.keys import COMMON
from convert.rules import EMBEDDING, EXPERTS, FUSED_EXPERTS, HEAD, HEAD_NORMS, NORMS, ROUTER, STRAIGHT, VALUES

FAMILY = Family(
    architectures=("Qwen3MoeForCausalLM",),
    arch="qwen3moe",
    rules=(EMBEDDING, *NORMS, *STRAIGHT, *HEAD_NORMS, *VALUES, ROUTER, *EXPERTS, *FUSED_EXPERTS, *HEAD),
    keys=(*COMMON, *EXPERT_WIDTHS),
)
