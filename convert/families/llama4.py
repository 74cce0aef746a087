"""LLaMA 4: experts in one tensor, turned round, gate and up in one; heads already lie in pairs."""

from __future__ import annotations

from convert.config import Config
from convert.defaults import with_usual
from convert.families.llama import KEYS
from convert.family import Family, Key, rule
from convert.operations import Chain, Split, Transpose
from convert.rope import ROPE_FREQUENCIES
from convert.rules import EMBEDDING, HEAD, NORMS, OTHER_SENSES, STRAIGHT, VALUES

_IN = "layers.{i}.feed_forward."
_HALVES = ("blk.{i}.ffn_gate_exps.weight", "blk.{i}.ffn_up_exps.weight")


def _window(config: Config) -> int | None:
    """0 switches off the windows that llama.cpp assumes: where each layer is said to be a full one."""
    kinds = config.get("layer_types")
    return 0 if isinstance(kinds, list) and all(kind == "full_attention" for kind in kinds) else None


FAMILY = Family(
    architectures=("Llama4ForConditionalGeneration", "Llama4ForCausalLM"),
    arch="llama4",
    rules=(
        EMBEDDING,
        *NORMS,
        *STRAIGHT,
        *VALUES,
        rule(_IN + "gate_proj.weight", "blk.{i}.ffn_gate.weight"),
        rule(_IN + "up_proj.weight", "blk.{i}.ffn_up.weight"),
        rule(_IN + "down_proj.weight", "blk.{i}.ffn_down.weight"),
        rule(_IN + "router.weight", "blk.{i}.ffn_gate_inp.weight"),
        rule(_IN + "experts.gate_up_proj", _HALVES, Chain((Transpose(), Split(axis=1)))),
        rule(_IN + "experts.down_proj", "blk.{i}.ffn_down_exps.weight", Transpose()),
        rule(_IN + "shared_expert.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
        rule(_IN + "shared_expert.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
        rule(_IN + "shared_expert.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
        *HEAD,
    ),
    keys=(
        *KEYS,
        Key("feed_forward_length", ("intermediate_size_mlp",)),
        Key("expert_feed_forward_length", ("intermediate_size",)),
        Key("interleave_moe_layer_step", ("interleave_moe_layer_step",), default=1),
        Key("attention.sliding_window", value=_window),
    ),
    prefixes=("language_model.model.", "model.", ""),
    drop=OTHER_SENSES,
    extras=(ROPE_FREQUENCIES,),
    adjust=with_usual(
        vocab_size=202048,
        hidden_size=5120,
        intermediate_size=8192,
        intermediate_size_mlp=16384,
        num_hidden_layers=48,
        num_attention_heads=40,
        num_key_value_heads=8,
        head_dim=128,
        max_position_embeddings=131072,
        rms_norm_eps=1e-5,
        rope_theta=500000.0,
        num_experts_per_tok=1,
        num_local_experts=16,
    ),
)
