"""Granite 3 and 4 of the dense and the mixed kind: LLaMA with four numbers by which it scales."""

from __future__ import annotations

from convert.config import Config
from convert.defaults import head_width, heads, with_usual
from convert.families.llama import DENSE, KEYS, VOCABULARY, special_entries
from convert.family import Family, Key, rule
from convert.operations import Split
from convert.rope import ROPE_FREQUENCIES


def _scale(key: str) -> Key:
    names = {"attention_multiplier": "attention.scale", "embedding_multiplier": "embedding_scale"}
    names |= {"residual_multiplier": "residual_scale", "logits_scaling": "logit_scale"}
    return Key(names[key], kind="f32", value=lambda config: config.get(key) or None)


_KEYS = (
    *KEYS,
    Key("attention.key_length"),
    Key("attention.value_length"),
    Key("rope.dimension_count", value=head_width),
    _scale("attention_multiplier"),
    _scale("embedding_multiplier"),
    _scale("residual_multiplier"),
    _scale("logits_scaling"),
)
_SHARED = "layers.{i}.shared_mlp."
_EXPERTS = (
    rule("layers.{i}.block_sparse_moe.router.layer.weight", "blk.{i}.ffn_gate_inp.weight"),
    rule(
        "layers.{i}.block_sparse_moe.input_linear.weight",
        ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight"),
        Split(axis=1),
    ),
    rule("layers.{i}.block_sparse_moe.output_linear.weight", "blk.{i}.ffn_down_exps.weight"),
    rule(_SHARED + "input_linear.weight", ("blk.{i}.ffn_gate_shexp.weight", "blk.{i}.ffn_up_shexp.weight"), Split()),
    rule(_SHARED + "output_linear.weight", "blk.{i}.ffn_down_shexp.weight"),
)
_ALONE = (
    rule(_SHARED + "input_linear.weight", ("blk.{i}.ffn_gate.weight", "blk.{i}.ffn_up.weight"), Split()),
    rule(_SHARED + "output_linear.weight", "blk.{i}.ffn_down.weight"),
)
_USUAL = with_usual(
    max_position_embeddings=2048,
    rms_norm_eps=1e-6,
    rope_theta=10000.0,
    num_key_value_heads=heads,
    embedding_multiplier=1.0,
    logits_scaling=1.0,
    residual_multiplier=1.0,
    attention_multiplier=1.0,
)
_MIXED = ("GraniteMoeForCausalLM", "GraniteMoeSharedForCausalLM")


def _mixed(config: Config) -> bool:
    return bool(config.get("num_local_experts", default=8))


def _family(name: str, architectures: tuple[str, ...], mixed: bool) -> Family:
    own = _EXPERTS if mixed else _ALONE if name else ()
    shared = Key(
        "expert_shared_feed_forward_length", value=lambda config: config.get("shared_intermediate_size") or None
    )
    return Family(
        name=name or "dense",
        architectures=architectures,
        arch="granitemoe" if name else "granite",
        rules=(*DENSE, *own),
        keys=(*_KEYS, shared) if name else _KEYS,
        vocabulary=VOCABULARY,
        extras=(ROPE_FREQUENCIES,),
        accepts=lambda config: not name or _mixed(config) is mixed,
        adjust=_USUAL,
        entries=special_entries,
    )


FAMILIES = (
    _family("", ("GraniteForCausalLM",), False),
    _family("moe", _MIXED, True),
    _family("shared", _MIXED, False),
)
