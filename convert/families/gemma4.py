"""Gemma 4: the language model; layers with heads of two kinds, embeddings of every layer in the small ones, experts
beside the dense block in the large one.

Full layers turn a quarter of each head by positions and leave the rest where it lies: frequencies divided by 1e30.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert.config import Config
from convert.defaults import number, rows, with_usual
from convert.families.gemma import CAP, WINDOW
from convert.family import Entries, Extra, Family, Key, rule
from convert.keys import COMMON
from convert.operations import SAME, FirstRows
from convert.rules import FEED_FORWARD, HEAD, HEAD_NORMS, OTHER_SENSES, STRAIGHT, VALUES

_NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "post_attention_layernorm.weight": "post_attention_norm.weight",
    "pre_feedforward_layernorm.weight": "ffn_norm.weight",
    "pre_feedforward_layernorm_2.weight": "pre_ffw_norm_2.weight",
    "post_feedforward_layernorm.weight": "post_ffw_norm.weight",
    "post_feedforward_layernorm_1.weight": "post_ffw_norm_1.weight",
    "post_feedforward_layernorm_2.weight": "post_ffw_norm_2.weight",
    "per_layer_input_gate.weight": "inp_gate.weight",
    "per_layer_projection.weight": "proj.weight",
    "post_per_layer_input_norm.weight": "post_norm.weight",
    "layer_scalar": "layer_output_scale.weight",
    "router.proj.weight": "ffn_gate_inp.weight",
    "router.scale": "ffn_gate_inp.scale",
    "router.per_expert_scale": "ffn_down_exps.scale",
    "experts.gate_up_proj": "ffn_gate_up_exps.weight",
    "experts.down_proj": "ffn_down_exps.weight",
}


def _windows(config: Config) -> list[bool]:
    """Every sixth layer is a full one, and the last."""
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        return [kind == "sliding_attention" for kind in kinds]
    layers = config.size("layers")
    return [(layer + 1) % 6 != 0 and layer + 1 != layers for layer in range(layers)]


def _of_full_layers(config: Config, key: str, inner: str) -> Any:
    """What differs in full layers: said once, or layer by layer."""
    found = config.get(key)
    layers = config.get("per_layer_config")
    if found is not None or not isinstance(layers, dict):
        return found
    windows = _windows(config)
    full = {str(place) for place, windowed in enumerate(windows) if not windowed}
    chosen = (said for place, said in layers.items() if str(place) in full)
    return next((said[inner] for said in chosen if isinstance(said, dict) and inner in said), None)


def _full_width(config: Config) -> int:
    width = number(_of_full_layers(config, "global_head_dim", "head_dim") or 512, "global_head_dim")
    return int(number(width if 0 < width < 2**16 else None, "global_head_dim"))


def _keys_of_layers(config: Config) -> Any:
    full = _of_full_layers(config, "num_global_key_value_heads", "num_key_value_heads")
    usual = config.size("kv_heads")
    return [usual if windowed else full for windowed in _windows(config)] if full is not None else usual


def _widths(config: Config) -> Any:
    """The layers that share others' keys may be twice as wide."""
    width = config.size("intermediate_size")
    layers = config.size("layers")
    own = layers - int(number(config.get("num_kv_shared_layers", default=0), "num_kv_shared_layers"))
    return [width if layer < own else 2 * width for layer in range(layers)] if _wide(config) else width


def _wide(config: Config) -> bool:
    return bool(config.get("use_double_wide_mlp"))


def _frequencies(config: Config) -> NDArray[np.float32]:
    half = _full_width(config) // 2
    share = number(config.rope_full.get("partial_rotary_factor", 0.25), "partial_rotary_factor")
    turned = int(_full_width(config) * min(1.0, max(0.0, share)) / 2)
    return np.array([1.0] * turned + [1e30] * (half - turned), np.float32)


def _last_words(config: Config, entries: Entries) -> Entries:
    return {
        **entries,
        "tokenizer.ggml.add_space_prefix": ("bool", False),
        "tokenizer.ggml.add_bos_token": ("bool", True),
    }


FAMILY = Family(
    architectures=("Gemma4ForConditionalGeneration", "Gemma4ForCausalLM"),
    arch="gemma4",
    rules=(
        rule("embed_tokens.weight", "token_embd.weight", FirstRows("tokens")),
        rule("embed_tokens_per_layer.weight", "per_layer_token_embd.weight", FirstRows("tokens")),
        rule("per_layer_model_projection.weight", "per_layer_model_proj.weight"),
        rule("per_layer_projection_norm.weight", "per_layer_proj_norm.weight"),
        *STRAIGHT,
        *VALUES,
        *HEAD_NORMS,
        *FEED_FORWARD,
        *(rule(f"layers.{{i}}.{one}", f"blk.{{i}}.{other}", SAME) for one, other in _NAMES.items()),
        *HEAD,
    ),
    keys=(
        *COMMON,
        CAP,
        WINDOW,
        Key("feed_forward_length", value=_widths),
        Key("attention.head_count_kv", value=_keys_of_layers),
        Key("attention.shared_kv_layers", ("num_kv_shared_layers",), default=0),
        Key("embedding_length_per_layer_input", ("hidden_size_per_layer_input",), default=0),
        Key("attention.sliding_window_pattern", kind="[bool]", value=_windows),
        Key("attention.key_length", value=_full_width),
        Key("attention.value_length", value=_full_width),
        Key("attention.key_length_swa", ("head_dim",)),
        Key("attention.value_length_swa", ("head_dim",)),
        Key("rope.dimension_count", value=_full_width),
        Key("rope.dimension_count_swa", ("head_dim",)),
        Key("expert_feed_forward_length", ("expert_intermediate_size", "moe_intermediate_size")),
    ),
    vocabulary=("gemma4", "llama_hf", "bpe"),
    prefixes=("model.language_model.", "model.", ""),
    drop=OTHER_SENSES,
    extras=(Extra("rope_freqs.weight", _frequencies),),
    adjust=with_usual(head_dim=256, rms_norm_eps=1e-6, max_position_embeddings=131072, sliding_window=512, tokens=rows),
    entries=_last_words,
)
