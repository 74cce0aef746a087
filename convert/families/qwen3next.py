"""Qwen 3 Next: three layers of linear attention to one of full, experts, a layer that looks one token further.

Norms are stored as their distance from one. A checkpoint that was saved without the last layer gets a file without it;
llama.cpp's converter stops there.
"""

from __future__ import annotations

import re

from convert.config import Config
from convert.families.qwen2moe import EXPERT_WIDTHS
from convert.family import Family, Key, rule
from convert.keys import COMMON, partial_rotary
from convert.linear_attention import Heads
from convert.operations import Add, NegativeExp, Squeeze
from convert.rules import (
    EMBEDDING,
    EXPERTS,
    FUSED_EXPERTS,
    GATED_EXPERT,
    OTHER_SENSES,
    ROUTER,
    STRAIGHT,
    TEXT_PREFIXES,
    VALUES,
)

ONE = Add(1.0)
_NAMES = {"fc": "eh_proj", "pre_fc_norm_embedding": "enorm", "pre_fc_norm_hidden": "hnorm", "norm": "shared_head.norm"}
# Everything but the linear layers' own matrices and the feed-forward part.
AROUND = (
    EMBEDDING,
    rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight", ONE),
    rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight", ONE),
    *STRAIGHT,
    rule("layers.{i}.self_attn.q_norm.weight", "blk.{i}.attn_q_norm.weight", ONE),
    rule("layers.{i}.self_attn.k_norm.weight", "blk.{i}.attn_k_norm.weight", ONE),
    *VALUES,
    rule("layers.{i}.linear_attn.norm.weight", "blk.{i}.ssm_norm.weight"),
    rule("layers.{i}.eh_proj.weight", "blk.{i}.nextn.eh_proj.weight"),
    rule("layers.{i}.enorm.weight", "blk.{i}.nextn.enorm.weight", ONE),
    rule("layers.{i}.hnorm.weight", "blk.{i}.nextn.hnorm.weight", ONE),
    rule("layers.{i}.shared_head.norm.weight", "blk.{i}.nextn.shared_head_norm.weight", ONE),
    rule("norm.weight", "output_norm.weight", ONE),
    rule("^lm_head.weight", "output.weight"),
)
_LINEAR = (
    rule(
        "layers.{i}.linear_attn.in_proj_qkvz.weight", ("blk.{i}.attn_qkv.weight", "blk.{i}.attn_gate.weight"), Heads()
    ),
    rule("layers.{i}.linear_attn.in_proj_ba.weight", "blk.{i}.ssm_ba.weight"),
    rule("layers.{i}.linear_attn.conv1d.weight", "blk.{i}.ssm_conv1d.weight", Squeeze(1)),
    rule("layers.{i}.linear_attn.dt_bias", "blk.{i}.ssm_dt.bias"),
    rule("layers.{i}.linear_attn.A_log", "blk.{i}.ssm_a", NegativeExp()),
    rule("layers.{i}.linear_attn.out_proj.weight", "blk.{i}.ssm_out.weight"),
)


def further(config: Config) -> int:
    """Layers that look further ahead: those the checkpoint has, or what its config promises."""
    if not config.names:
        return int(config.get("mtp_num_hidden_layers", default=0))
    places = (re.match(r"(?:model\.)?mtp\.layers\.(\d+)\.", name) for name in config.names)
    return max((int(found[1]) + 1 for found in places if found), default=0)


def appended(config: Config, name: str) -> str:
    """Those layers have names of their own; llama.cpp counts them on."""
    found = re.fullmatch(r"(?:model\.)?mtp\.(?:layers\.(\d+)\.(.+)|(\w+)\.weight)", name)
    if not found:
        return name
    layers = config.size("layers")
    if found[1]:
        return f"model.layers.{layers + int(found[1])}.{found[2]}"
    return f"model.layers.{layers}.{_NAMES.get(found[3], found[3])}.weight"


def linear_layers(config: Config) -> list[bool]:
    """Which layers have linear attention."""
    kinds = config.get("layer_types")
    every = int(config.get("full_attention_interval", default=4))
    if isinstance(kinds, list):
        found = [kind == "linear_attention" for kind in kinds]
    else:
        found = [(place + 1) % every != 0 for place in range(config.size("layers"))]
    return found + [False] * further(config)


LINEAR_KEYS = (
    Key("block_count", value=lambda config: config.size("layers") + further(config)),
    Key("nextn_predict_layers", value=lambda config: further(config) or None),
    Key("ssm.conv_kernel", ("linear_conv_kernel_dim",)),
    Key("ssm.state_size", ("linear_key_head_dim",)),
    Key("ssm.group_count", ("linear_num_key_heads",)),
    Key("ssm.time_step_rank", ("linear_num_value_heads",)),
    Key(
        "ssm.inner_size",
        value=lambda config: config.size("linear_value_head_dim") * config.size("linear_num_value_heads"),
    ),
    Key("attention.recurrent_layers", kind="bool", value=linear_layers),
    Key("full_attention_interval", ("full_attention_interval",), default=4),
    Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.25)),
)

FAMILY = Family(
    architectures=("Qwen3NextForCausalLM",),
    arch="qwen3next",
    rules=(*AROUND, *_LINEAR, ROUTER, *EXPERTS, *FUSED_EXPERTS, *GATED_EXPERT),
    keys=(*COMMON, *EXPERT_WIDTHS, *LINEAR_KEYS),
    prefixes=TEXT_PREFIXES,
    drop=OTHER_SENSES,
    place=appended,
)
