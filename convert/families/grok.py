"""Grok 1 in Hugging Face layout, and Grok 2 where its experts are whole."""

from __future__ import annotations

from typing import Any

from convert.config import Config
from convert.defaults import number
from convert.family import Family, Key, rule
from convert.keys import COMMON
from convert.operations import Stack
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, STRAIGHT, VALUES

_AT = "^transformer.decoder_layer.{i}."
_ONE = {
    "rms_norm": "attn_norm",
    "rms_norm_1": "attn_output_norm",
    "rms_norm_2": "ffn_norm",
    "rms_norm_3": "layer_output_norm",
    "multi_head_attention.query": "attn_q",
    "multi_head_attention.key": "attn_k",
    "multi_head_attention.value": "attn_v",
    "multi_head_attention.linear": "attn_output",
    "router": "ffn_gate_inp",
}
_TWO = {
    "pre_attn_norm": "attn_norm",
    "post_attn_norm": "attn_output_norm",
    "pre_moe_norm": "ffn_norm",
    "post_moe_norm": "post_ffw_norm",
    "block_sparse_moe.gate": "ffn_gate_inp",
}
_EXPERTS = (("linear", "w1", "gate"), ("linear_v", "w3", "up"), ("linear_1", "w2", "down"))
_YARN = {
    "factor": "scaling_factor",
    "yarn_ext_factor": "extrapolation_factor",
    "yarn_attn_factor": "attn_factor",
    "yarn_beta_fast": "beta_fast",
    "yarn_beta_slow": "beta_slow",
}


def _stretched(key: str) -> Any:
    """Grok 2 names its YaRN "original"."""
    return lambda config: config.get(key) if config.get("rope_type") in ("yarn", "original") else None


def _attention_scale(config: Config) -> float:
    width = config.size("head_dim")
    return number(config.get("attn_output_multiplier", default=width**-0.5), "attn_output_multiplier")


FAMILY = Family(
    architectures=("Grok1ForCausalLM", "GrokForCausalLM", "Grok1ModelForCausalLM"),
    arch="grok",
    rules=(
        rule("^transformer.in_out_embed.weight", "token_embd.weight"),
        EMBEDDING,
        *(rule(f"{_AT}{one}.weight", f"blk.{{i}}.{other}.weight") for one, other in _ONE.items()),
        *(rule(f"layers.{{i}}.{one}.weight", f"blk.{{i}}.{other}.weight") for one, other in _TWO.items()),
        *STRAIGHT,
        *VALUES,
        *FEED_FORWARD,
        *(rule(f"{_AT}moe.{{e}}.{one}.weight", f"blk.{{i}}.ffn_{x}_exps.weight", Stack()) for one, _, x in _EXPERTS),
        *(
            rule(f"layers.{{i}}.block_sparse_moe.experts.{{e}}.{w}.weight", f"blk.{{i}}.ffn_{x}_exps.weight", Stack())
            for _, w, x in _EXPERTS
        ),
        rule("^transformer.rms_norm.weight", "output_norm.weight"),
        *HEAD,
    ),
    keys=(
        *COMMON,
        Key("attn_logit_softcapping", ("attn_logit_softcapping",), "f32", default=30.0),
        Key("router_logit_softcapping", ("router_logit_softcapping",), "f32", default=30.0),
        Key("final_logit_softcapping", kind="f32", value=lambda config: config.get("final_logit_softcapping") or None),
        Key("expert_feed_forward_length", ("moe_intermediate_size",)),
        Key("rope.scaling.type", kind="str", value=lambda config: _stretched("scaling_factor")(config) and "yarn"),
        Key("rope.scaling.original_context_length", value=_stretched("original_max_position_embeddings")),
        *(Key(f"rope.scaling.{name}", kind="f32", value=_stretched(key)) for name, key in _YARN.items()),
        Key("attention.temperature_length", value=lambda config: config.get("attn_temperature_len") or None),
        Key("attention.output_scale", kind="f32", value=_attention_scale),
        Key("embedding_scale", ("embedding_multiplier_scale",), "f32"),
        Key("logit_scale", ("output_multiplier_scale",), "f32"),
    ),
    vocabulary=("spm", "bpe"),
)
