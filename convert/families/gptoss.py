"""GPT-OSS. Its experts are published in MXFP4, which llama.cpp computes with: they are moved, not rounded again.

Gate and up lie in alternating rows. Fine-tunes in 16 bits have all experts in one tensor, turned round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from convert.config import Config
from convert.defaults import with_usual
from convert.family import Entries, Family, Key, rule
from convert.keys import COMMON
from convert.mxfp4 import Mxfp4
from convert.operations import Array, Chain, Laid, Sizes, Transpose, laid
from convert.rules import EMBEDDING, HEAD, STRAIGHT, VALUES

MIXED_MXFP4 = 38  # llama.cpp's number of such a file's kind


@dataclass(frozen=True)
class EverySecond:
    """Along the second axis: what stands at even places, what stands at odd ones."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(arrays[0][:, 0::2]), laid(arrays[0][:, 1::2])]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        even, odd = arrays
        shape = (even.shape[0], 2 * even.shape[1], *even.shape[2:])
        return [laid(np.stack([even, odd], axis=2).reshape(shape))]


def _kind(config: Config, entries: Entries) -> Entries:
    """A file of 16 or 32 bits whose experts stay in MXFP4 is of that kind."""
    packed = config.get("quantization_config.quant_method") == "mxfp4"
    if packed and entries.get("general.file_type", ("", None))[1] in (0, 1, 32):
        return {**entries, "general.file_type": ("u32", MIXED_MXFP4)}
    return entries


_EXPERTS = "layers.{i}.mlp.experts."
_HALVES = ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight")
_BIASES = ("blk.{i}.ffn_gate_exps.bias", "blk.{i}.ffn_up_exps.bias")

FAMILY = Family(
    architectures=("GptOssForCausalLM",),
    arch="gpt-oss",
    rules=(
        EMBEDDING,
        rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
        rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.post_attention_norm.weight"),
        *STRAIGHT,
        *VALUES,
        rule("layers.{i}.self_attn.sinks", "blk.{i}.attn_sinks.weight"),
        rule("layers.{i}.mlp.router.{end}", "blk.{i}.ffn_gate_inp.{end}"),
        rule((_EXPERTS + "gate_up_proj_blocks", _EXPERTS + "gate_up_proj_scales"), _HALVES, Mxfp4(parts=2)),
        rule((_EXPERTS + "down_proj_blocks", _EXPERTS + "down_proj_scales"), "blk.{i}.ffn_down_exps.weight", Mxfp4()),
        rule(_EXPERTS + "gate_up_proj", _HALVES, Chain((Transpose(), EverySecond()))),
        rule(_EXPERTS + "down_proj", "blk.{i}.ffn_down_exps.weight", Transpose()),
        rule(_EXPERTS + "gate_up_proj_bias", _BIASES, EverySecond()),
        rule(_EXPERTS + "down_proj_bias", "blk.{i}.ffn_down_exps.bias"),
        *HEAD,
    ),
    keys=(
        *COMMON,
        Key("attention.sliding_window", ("sliding_window",)),
        Key("expert_feed_forward_length", ("intermediate_size",)),
    ),
    adjust=with_usual(
        num_hidden_layers=36,
        num_local_experts=128,
        num_experts_per_tok=4,
        head_dim=64,
        num_key_value_heads=8,
        sliding_window=128,
        rope_theta=150000.0,
        max_position_embeddings=131072,
        rms_norm_eps=1e-5,
        rope_scaling={
            "rope_type": "yarn",
            "factor": 32.0,
            "beta_fast": 32.0,
            "beta_slow": 1.0,
            "original_max_position_embeddings": 4096,
        },
    ),
    entries=_kind,
)
