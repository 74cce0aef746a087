"""Hunyuan dense (0.5B to 7B) and MoE (A13B): heads normed after they are turned, a rotary base stretched by alpha."""

from __future__ import annotations

from typing import Any

from convert.config import Config
from convert.family import Entries, Family, Key, rule
from convert.keys import COMMON
from convert.rules import EMBEDDING, EXPERTS, FEED_FORWARD, HEAD, NORMS, STRAIGHT, VALUES, without_tied_head

REACH = 256 * 1024  # tokens: what alpha is chosen for; config.json says 32768
BLOCKS = (
    *NORMS,
    *STRAIGHT,
    *VALUES,
    rule("layers.{i}.self_attn.query_layernorm.weight", "blk.{i}.attn_q_norm.weight"),
    rule("layers.{i}.self_attn.key_layernorm.weight", "blk.{i}.attn_k_norm.weight"),
)


def _alpha(config: Config) -> float | None:
    alpha = config.rope.get("alpha") if str(config.rope.get("rope_type")) == "dynamic" else None
    return float(alpha) if alpha else None


def _base(config: Config) -> float:
    """NTK-aware: the base stretched such that the slowest frequency reaches alpha times as far."""
    base, width = float(config.rope.get("rope_theta", 10000.0)), config.size("head_dim")
    alpha = _alpha(config)
    return base * alpha ** (width / (width - 2)) if alpha else base


def _if_stretched(value: Any) -> Any:
    return lambda config: value if _alpha(config) else None


def _only(name: str) -> Any:
    """A number that may be given once or layer by layer; llama.cpp has one for all."""

    def value(config: Config) -> Any:
        found = config.get(name)
        return found[0] if isinstance(found, list) and found else found

    return value


STRETCHED = (
    Key("context_length", value=lambda config: REACH if _alpha(config) else config.get("max_position_embeddings")),
    Key("rope.freq_base", kind="f32", value=_base),
    Key("rope.scaling.type", kind="str", value=_if_stretched("none")),
    Key("rope.scaling.factor", kind="f32", value=_if_stretched(1.0)),
    Key("rope.scaling.original_context_length", value=_if_stretched(REACH)),
)


def _dense_tokens(config: Config, entries: Entries) -> Entries:
    """What ends a turn, as generation_config.json says."""
    found = dict(entries)
    said = config.beside("generation_config.json")
    ends = said.get("eos_token_id") if isinstance(said, dict) else None
    if isinstance(ends, list) and len(ends) >= 2 and isinstance(ends[0], int):
        found["tokenizer.ggml.eot_token_id"] = ("u32", ends[0])
    return found


FAMILIES = (
    Family(
        architectures=("HunYuanDenseV1ForCausalLM",),
        arch="hunyuan-dense",
        rules=(EMBEDDING, *BLOCKS, *FEED_FORWARD, *HEAD),
        keys=(*COMMON, Key("expert_count"), *STRETCHED),
        vocabulary=("bpe", "tiktoken"),
        entries=_dense_tokens,
        place=without_tied_head,
        name="dense",
    ),
    Family(
        architectures=("HunYuanMoEV1ForCausalLM",),
        arch="hunyuan-moe",
        rules=(
            EMBEDDING,
            *BLOCKS,
            rule("layers.{i}.mlp.gate.wg.weight", "blk.{i}.ffn_gate_inp.weight"),
            *EXPERTS,
            rule("layers.{i}.mlp.shared_mlp.gate_proj.weight", "blk.{i}.ffn_gate_shexp.weight"),
            rule("layers.{i}.mlp.shared_mlp.up_proj.weight", "blk.{i}.ffn_up_shexp.weight"),
            rule("layers.{i}.mlp.shared_mlp.down_proj.weight", "blk.{i}.ffn_down_shexp.weight"),
            *HEAD,
        ),
        keys=(
            *COMMON,
            Key("expert_shared_feed_forward_length", ("intermediate_size",)),
            Key("expert_feed_forward_length", value=_only("moe_intermediate_size")),
            Key("expert_used_count", value=_only("moe_topk")),
            Key("expert_shared_count", value=_only("num_shared_expert")),
            *STRETCHED,
        ),
        vocabulary=("tiktoken", "bpe"),
        place=without_tied_head,
        name="moe",
    ),
)
