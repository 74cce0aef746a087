"""BLOOM and BLOOMZ: positions by ALiBi, which llama.cpp turns on by the architecture's name.

Upstream takes the width for the context where seq_length is not there; the published code has 2048.
"""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.operations import Groups
from convert.taken_for_granted import only

FAMILY = Family(
    architectures=("BloomForCausalLM", "BloomModel"),
    arch="bloom",
    rules=(
        rule("word_embeddings.weight", "token_embd.weight"),
        rule("word_embeddings_layernorm.{end}", "token_embd_norm.{end}"),
        rule("h.{i}.input_layernorm.{end}", "blk.{i}.attn_norm.{end}"),
        rule(
            "h.{i}.self_attention.query_key_value.{end}", "blk.{i}.attn_qkv.{end}", Groups(groups="heads", fused=True)
        ),
        rule("h.{i}.self_attention.dense.{end}", "blk.{i}.attn_output.{end}"),
        rule("h.{i}.post_attention_layernorm.{end}", "blk.{i}.ffn_norm.{end}"),
        rule("h.{i}.mlp.dense_h_to_4h.{end}", "blk.{i}.ffn_up.{end}"),
        rule("h.{i}.mlp.dense_4h_to_h.{end}", "blk.{i}.ffn_down.{end}"),
        rule("ln_f.{end}", "output_norm.{end}"),
        rule("^lm_head.weight", "output.weight"),
    ),
    keys=(
        Key("context_length", ("seq_length",), default=2048),
        Key("embedding_length", value=lambda config: config.size("width")),
        Key("feed_forward_length", value=lambda config: 4 * config.size("width")),
        Key("block_count", value=lambda config: config.size("layers")),
        Key("attention.head_count", value=lambda config: config.size("heads")),
        Key("attention.head_count_kv", value=lambda config: config.size("heads")),
        Key("attention.layer_norm_epsilon", ("layer_norm_epsilon",), "f32", default=1e-5),
    ),
    prefixes=("transformer.", ""),
    adjust=only(apply_residual_connection_post_layernorm=False),
)
