"""Falcon 7B, 40B, 180B and Falcon 2 11B.

Queries, keys and values lie in groups, one for each key. The 7B kind has one key for all (multi_query), which is true
whatever num_kv_heads says: saved fine-tunes say 71 there, and upstream, which believes it, breaks. Upstream writes a
context of 2048 for all; Falcon 2's is longer and its rotary base is another one.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, rule
from convert.keys import unusual_base
from convert.operations import Groups
from convert.taken_for_granted import GELU, both, only


def _keys_counted(config: Config) -> Config:
    """With num_key_value_heads as the published code counts them."""
    old = config.get("n_head_kv")
    if config.get("new_decoder_architecture") or old is not None:
        return config.having(num_key_value_heads=config.get("num_kv_heads", "n_head_kv"))
    many = config.get("multi_query", default=True) is False
    return config.having(num_key_value_heads=config.size("heads") if many else 1)


def _plain(config: Config) -> bool:
    """Neither ALiBi nor one block after the other (Falcon-RW), which llama.cpp does not compute."""
    return not config.get("alibi") and config.get("parallel_attn", default=True) is True


FAMILY = Family(
    architectures=("FalconForCausalLM", "RWForCausalLM", "FalconModel"),
    arch="falcon",
    rules=(
        rule("word_embeddings.weight", "token_embd.weight"),
        rule("h.{i}.input_layernorm.{end}", "blk.{i}.attn_norm.{end}"),
        rule("h.{i}.ln_mlp.{end}", "blk.{i}.attn_norm.{end}"),
        rule("h.{i}.ln_attn.{end}", "blk.{i}.attn_norm_2.{end}"),
        rule("h.{i}.self_attention.query_key_value.weight", "blk.{i}.attn_qkv.weight", Groups(fused=True)),
        rule("h.{i}.self_attention.dense.weight", "blk.{i}.attn_output.weight"),
        rule("h.{i}.mlp.dense_h_to_4h.weight", "blk.{i}.ffn_up.weight"),
        rule("h.{i}.mlp.dense_4h_to_h.weight", "blk.{i}.ffn_down.weight"),
        rule("ln_f.{end}", "output_norm.{end}"),
        rule("^lm_head.weight", "output.weight"),
    ),
    keys=(
        Key("context_length", ("max_position_embeddings",), default=2048),
        Key("tensor_data_layout", kind="str", default="jploski"),
        Key("embedding_length", value=lambda config: config.size("width")),
        Key("feed_forward_length", ("ffn_hidden_size",), value=lambda config: 4 * config.size("width")),
        Key("block_count", value=lambda config: config.size("layers")),
        Key("attention.head_count", value=lambda config: config.size("heads")),
        Key("attention.head_count_kv", value=lambda config: config.size("kv_heads")),
        Key("rope.freq_base", kind="f32", value=unusual_base),
        Key("attention.layer_norm_epsilon", ("layer_norm_epsilon",), "f32", default=1e-5),
    ),
    prefixes=("transformer.", ""),
    adjust=both(only(bias=False, activation=GELU), _keys_counted),
    accepts=_plain,
)
