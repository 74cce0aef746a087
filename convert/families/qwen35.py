"""Qwen 3.5 and 3.6, dense and MoE: Qwen 3 Next's layers in matrices of their own, three positions a token.

The language model of one that sees is the same network under another prefix.
"""

from __future__ import annotations

from convert.families.qwen2moe import EXPERT_WIDTHS
from convert.families.qwen3next import AROUND, LINEAR_KEYS, appended
from convert.family import Family, Key, rule
from convert.keys import COMMON
from convert.linear_attention import ValueColumns, ValueRows
from convert.operations import Chain, NegativeExp, Squeeze
from convert.rules import (
    EXPERTS,
    FEED_FORWARD,
    FUSED_EXPERTS,
    GATED_EXPERT,
    OTHER_SENSES,
    ROUTER,
    TEXT_PREFIXES,
)

_SECTIONS = [11, 11, 10]  # what the published code takes where config.json is silent
_LINEAR = (
    rule("layers.{i}.linear_attn.in_proj_qkv.weight", "blk.{i}.attn_qkv.weight", ValueRows(behind=True)),
    rule("layers.{i}.linear_attn.in_proj_z.weight", "blk.{i}.attn_gate.weight", ValueRows()),
    rule("layers.{i}.linear_attn.in_proj_b.weight", "blk.{i}.ssm_beta.weight", ValueRows(1)),
    rule("layers.{i}.linear_attn.in_proj_a.weight", "blk.{i}.ssm_alpha.weight", ValueRows(1)),
    rule(
        "layers.{i}.linear_attn.conv1d.weight",
        "blk.{i}.ssm_conv1d.weight",
        Chain((Squeeze(1), ValueRows(behind=True))),
    ),
    rule("layers.{i}.linear_attn.dt_bias", "blk.{i}.ssm_dt.bias", ValueRows(1)),
    rule("layers.{i}.linear_attn.A_log", "blk.{i}.ssm_a", Chain((ValueRows(1), NegativeExp()))),
    rule("layers.{i}.linear_attn.out_proj.weight", "blk.{i}.ssm_out.weight", ValueColumns()),
)
_KEYS = (
    *LINEAR_KEYS,
    Key(
        "rope.dimension_sections",
        kind="[i32]",
        value=lambda config: [*config.rope.get("mrope_section", _SECTIONS), 0, 0][:4],
    ),
)

FAMILIES = (
    Family(
        architectures=("Qwen3_5ForCausalLM", "Qwen3_5ForConditionalGeneration"),
        arch="qwen35",
        rules=(*AROUND, *_LINEAR, *FEED_FORWARD),
        keys=(*COMMON, *_KEYS),
        prefixes=TEXT_PREFIXES,
        drop=OTHER_SENSES,
        place=appended,
        name="dense",
    ),
    Family(
        architectures=("Qwen3_5MoeForCausalLM", "Qwen3_5MoeForConditionalGeneration"),
        arch="qwen35moe",
        rules=(*AROUND, *_LINEAR, ROUTER, *EXPERTS, *FUSED_EXPERTS, *GATED_EXPERT),
        keys=(*COMMON, *EXPERT_WIDTHS, *_KEYS),
        prefixes=TEXT_PREFIXES,
        drop=OTHER_SENSES,
        place=appended,
        name="moe",
    ),
)
