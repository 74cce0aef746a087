"""Gemma 3n: the language model, with its embeddings of every layer and its four streams (AltUp).

Pictures' and sounds' tokens have no row in the layers' embeddings: theirs are zero.
transformers 4.57 saves one name of the language model alone garbled, and reads it again: so it is known here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from convert.config import Config
from convert.defaults import number, with_usual
from convert.families.gemma import CAP, WINDOW, without_space
from convert.family import Family, Key, fixed_in_llama, rule
from convert.keys import COMMON
from convert.operations import Array, Laid, Sizes, Stack, laid
from convert.rules import FEED_FORWARD, HEAD, HEAD_NORMS, OTHER_SENSES, STRAIGHT, VALUES


@dataclass(frozen=True)
class Padded:
    """Rows of zeros behind the last one, up to `count`."""

    count: str
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (array,) = arrays
        missing = sizes.size(self.count) - array.shape[0]
        if missing <= 0:
            return [laid(array)]
        zeros = np.broadcast_to(np.zeros((), array.dtype), (missing, *array.shape[1:]))
        return [Laid((sizes.size(self.count), *array.shape[1:]), (array, zeros))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        return [laid(array) for array in arrays]


_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "altup.correction_coefs": "altup_correct_coef",
    "altup.prediction_coefs": "altup_predict_coef",
    "altup.modality_router": "altup_router",
    "altup.router_norm": "altup_router_norm",
    "laurel.linear_left": "laurel_l",
    "laurel.linear_right": "laurel_r",
    "laurel.post_laurel_norm": "laurel_post_norm",
    "per_layer_input_gate": "inp_gate",
    "per_layer_projection": "proj",
    "post_per_layer_input_norm": "post_norm",
}


def _sparsity(config: Config) -> list[float]:
    """How many deviations above the mean an activation must be to count; none are left out below minus infinity."""
    shares = config.get("activation_sparsity_pattern")
    layers = config.size("layers")
    if shares is None:
        shares = [0.95] * (10 if layers > 10 else 0) + [0.0] * (layers - 10 if layers > 10 else layers)
    shares = shares if isinstance(shares, list) else [shares] * layers
    return [
        NormalDist().inv_cdf(share) if isinstance(share, float) and 0 < share < 1 else float("-inf") for share in shares
    ]


def _windows(config: Config) -> list[bool]:
    kinds = config.get("layer_types")
    if isinstance(kinds, list):
        return [kind == "sliding_attention" for kind in kinds]
    return [(layer + 1) % 5 != 0 for layer in range(config.size("layers"))]


def _widths(config: Config) -> Any:
    """One a layer, as the published code fills it in."""
    width = config.get("intermediate_size", default=16384)
    return width if isinstance(width, list) else [width] * config.size("layers")


_USUAL = with_usual(
    vocab_size=262400,
    hidden_size=2048,
    hidden_size_per_layer_input=256,
    num_hidden_layers=35,
    max_position_embeddings=32768,
    num_attention_heads=8,
    num_key_value_heads=2,
    head_dim=256,
    rms_norm_eps=1e-6,
    rope_theta=1e6,
    rope_local_base_freq=10000.0,
    sliding_window=512,
    final_logit_softcapping=30.0,
    altup_active_idx=0,
    altup_num_inputs=4,
    num_kv_shared_layers=15,
)


def _checked(config: Config) -> Config:
    """Raises UserError fixed_in_llama for what llama.cpp has written into its code: both published sizes agree."""
    config = _USUAL(config)
    layers, shared = config.size("layers"), number(config.get("num_kv_shared_layers"), "num_kv_shared_layers")
    if layers - shared != 20 and (shared or layers > 20):
        raise fixed_in_llama("num_kv_shared_layers")
    least = [round(value, 3) for value in _sparsity(config)]
    if least != [1.645] * min(10, layers) + [float("-inf")] * (layers - 10):
        raise fixed_in_llama("activation_sparsity_pattern")
    return config


FAMILY = Family(
    architectures=("Gemma3nForConditionalGeneration", "Gemma3nForCausalLM"),
    arch="gemma3n",
    rules=(
        rule("embed_tokens.weight", "token_embd.weight", Padded("vocab_size")),
        rule("embed_tokens_per_layer.weight", "per_layer_token_embd.weight", Padded("vocab_size")),
        rule("per_layer_model_projection.weight", "per_layer_model_proj.weight"),
        rule("per_layer_model.language_model_projection.weight", "per_layer_model_proj.weight"),
        rule("per_layer_projection_norm.weight", "per_layer_proj_norm.weight"),
        rule("altup_projections.{e}.weight", "altup_proj.weight", Stack()),
        rule("altup_unembed_projections.{e}.weight", "altup_unembd_proj.weight", Stack()),
        *STRAIGHT,
        *VALUES,
        *HEAD_NORMS,
        *FEED_FORWARD,
        *(rule(f"layers.{{i}}.{one}.weight", f"blk.{{i}}.{other}.weight") for one, other in _NAMES.items()),
        rule("layers.{i}.altup.correct_output_scale", "blk.{i}.altup_correct_scale.weight"),
        *HEAD,
    ),
    keys=(
        *COMMON,
        CAP,
        WINDOW,
        Key("feed_forward_length", value=_widths),
        Key("altup.active_idx", ("altup_active_idx",)),
        Key("altup.num_inputs", ("altup_num_inputs",)),
        Key("embedding_length_per_layer_input", ("hidden_size_per_layer_input",)),
        Key("attention.shared_kv_layers", ("num_kv_shared_layers",)),
        Key("activation_sparsity_scale", kind="[f32]", value=_sparsity),
        Key("attention.sliding_window_pattern", kind="[bool]", value=_windows),
    ),
    vocabulary=("spm", "bpe"),
    prefixes=("model.language_model.", "model.", ""),
    drop=OTHER_SENSES,
    adjust=_checked,
    entries=without_space,
)
