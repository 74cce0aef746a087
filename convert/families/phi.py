"""Phi-2, Phi-3, Phi-3.5, Phi-4 and the mixtures of Phi-3.5: rotary positions of two lengths where they are long.

Upstream knows PhiMoE by its published code's name only; transformers' own spelling is known here, too.
PhiMoE gives each of its two experts its whole weight (SparseMixer), where llama.cpp weighs them by a softmax so that
both make one: its files of upstream's converter answer wrongly. A router of hardly any size makes both weights a half,
and the experts' last matrix is doubled. What is left out: two experts whose scores are within two parts of a hundred
share one weight in the network.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.config import Config
from convert.defaults import heads, number, with_usual
from convert.family import Entries, Extra, Family, Key, rule
from convert.keys import common
from convert.operations import Stack
from convert.operations_apart import Times
from convert.rules import EMBEDDING, HEAD, NORMS, OUTPUT, STRAIGHT, VALUES
from engine.api.errors import UserError


def _turned(config: Config) -> int:
    """Values of a head that positions turn."""
    share = number(config.rope.get("partial_rotary_factor", 1.0), "partial_rotary_factor")
    return int(share * config.size("width")) // config.size("heads")


def _trained(config: Config) -> int:
    length = number(config.rope.get("original_max_position_embeddings", 4096), "original_max_position_embeddings")
    return int(number(length if length >= 2 else None, "original_max_position_embeddings"))


def _attention_factor(config: Config) -> float | None:
    """By how much attention is sharpened where positions are stretched (LongRoPE's paper, section 3.3; YaRN's)."""
    rope = config.rope
    if not rope.get("long_factor"):
        return None
    scale = config.size("max_position_embeddings") / _trained(config)
    if scale <= 1.0:
        return 1.0
    if str(rope.get("rope_type", "")).lower() == "yarn":
        return 0.1 * math.log(scale) + 1.0
    return math.sqrt(1 + math.log(scale) / math.log(_trained(config)))


def _factor_of_mixture(config: Config) -> float | None:
    """PhiMoE says it for short and for long texts; llama.cpp has one, and both are the same in what is published."""
    said = config.rope.get("short_mscale", config.rope.get("long_mscale"))
    return _attention_factor(config) if said is None else number(said, "rope_scaling.short_mscale")


def _factors(name: str) -> Extra:
    def values(config: Config) -> NDArray[np.float32] | None:
        found: Any = config.rope.get(f"{name}_factor")
        if not found:
            return None
        if not isinstance(found, list) or len(found) != _turned(config) // 2:
            raise UserError(
                "config_lacks",
                f"config.json has no usable rope_scaling.{name}_factor.",
                "Take the file from the model's own page.",
                key=f"rope_scaling.{name}_factor",
            )
        return np.array(found, np.float32)

    return Extra(f"rope_factors_{name}.weight", values)


def _without_first(config: Config, entries: Entries) -> Entries:
    return {**entries, "tokenizer.ggml.add_bos_token": ("bool", False)}


_SHAPE = common(
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "block_count",
    "attention.head_count",
    "attention.head_count_kv",
)
_TURNED = Key("rope.dimension_count", value=_turned)
_LONG = (
    *_SHAPE,
    *common("attention.layer_norm_rms_epsilon", "rope.freq_base"),
    _TURNED,
    Key("rope.scaling.type"),
    Key("rope.scaling.original_context_length", value=_trained),
    Key("rope.scaling.attn_factor", kind="f32", value=_attention_factor),
    Key("attention.sliding_window", ("sliding_window",), default=0),
)
_FUSED = (
    EMBEDDING,
    *NORMS,
    rule("layers.{i}.self_attn.qkv_proj.{end}", "blk.{i}.attn_qkv.{end}"),
    OUTPUT,
    rule("layers.{i}.mlp.gate_up_proj.weight", "blk.{i}.ffn_up.weight"),
    rule("layers.{i}.mlp.down_proj.weight", "blk.{i}.ffn_down.weight"),
    *HEAD,
)
_HARDLY = 2.0**-12  # equal weights to 0.1 %, and still the same order in float32
_SENSES = (r"model\.(embed_tokens_extend|vision_tower|mm_projector|vision_embed_tokens)\..*",)

FAMILIES = (
    Family(
        name="2",
        architectures=("PhiForCausalLM",),
        arch="phi2",
        rules=(
            EMBEDDING,
            rule("layers.{i}.input_layernorm.{end}", "blk.{i}.attn_norm.{end}"),
            *STRAIGHT,
            VALUES[0],
            rule("layers.{i}.self_attn.dense.{end}", "blk.{i}.attn_output.{end}"),
            rule("layers.{i}.mlp.fc1.{end}", "blk.{i}.ffn_up.{end}"),
            rule("layers.{i}.mlp.fc2.{end}", "blk.{i}.ffn_down.{end}"),
            rule("final_layernorm.{end}", "output_norm.{end}"),
            rule("^lm_head.{end}", "output.{end}"),
        ),
        keys=(
            *_SHAPE,
            *common("attention.layer_norm_epsilon"),
            Key("feed_forward_length", value=lambda config: 4 * config.size("width")),
            Key("attention.head_count_kv", value=heads),
            _TURNED,
        ),
        adjust=with_usual(max_position_embeddings=2048, layer_norm_eps=1e-5, partial_rotary_factor=0.5),
        entries=_without_first,
    ),
    Family(
        name="3",
        architectures=("Phi3ForCausalLM", "Phi4ForCausalLMV"),
        arch="phi3",
        rules=_FUSED,
        keys=_LONG,
        vocabulary=("spm", "bpe"),
        drop=_SENSES,
        extras=(_factors("long"), _factors("short")),
        adjust=with_usual(
            max_position_embeddings=4096, rope_theta=10000.0, rms_norm_eps=1e-5, num_key_value_heads=heads
        ),
    ),
    Family(
        name="moe",
        architectures=("PhiMoEForCausalLM", "PhimoeForCausalLM"),
        arch="phimoe",
        rules=(
            EMBEDDING,
            rule("layers.{i}.input_layernorm.{end}", "blk.{i}.attn_norm.{end}"),
            rule("layers.{i}.post_attention_layernorm.{end}", "blk.{i}.ffn_norm.{end}"),
            *STRAIGHT,
            *VALUES,
            rule("layers.{i}.block_sparse_moe.gate.weight", "blk.{i}.ffn_gate_inp.weight", Times(_HARDLY)),
            rule("layers.{i}.block_sparse_moe.experts.{e}.w1.weight", "blk.{i}.ffn_gate_exps.weight", Stack()),
            rule(
                "layers.{i}.block_sparse_moe.experts.{e}.w2.weight", "blk.{i}.ffn_down_exps.weight", Times(2.0, Stack())
            ),
            rule("layers.{i}.block_sparse_moe.experts.{e}.w3.weight", "blk.{i}.ffn_up_exps.weight", Stack()),
            rule("norm.{end}", "output_norm.{end}"),
            rule("^lm_head.{end}", "output.{end}"),
        ),
        keys=(
            *_LONG,
            *common("expert_count", "expert_used_count"),
            Key("rope.scaling.attn_factor", kind="f32", value=_factor_of_mixture),
        ),
        vocabulary=("spm", "bpe"),
        extras=(_factors("long"), _factors("short")),
        adjust=with_usual(
            max_position_embeddings=131072,
            rope_theta=1e6,
            rms_norm_eps=1e-5,
            num_key_value_heads=8,
            num_local_experts=16,
            num_experts_per_tok=2,
        ),
    ),
)
