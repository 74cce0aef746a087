"""GPT-NeoX 20B, Pythia, Dolly, RedPajama-INCITE.

Upstream writes neither general.file_type nor a base of the rotary positions; the latter is written here where it is not
the usual one.
"""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.keys import FEED_FORWARD, partial_rotary, unusual_base
from convert.operations import Groups
from convert.taken_for_granted import GELU, only

FAMILY = Family(
    architectures=("GPTNeoXForCausalLM", "GPTNeoXModel"),
    arch="gptneox",
    rules=(
        rule("embed_in.weight", "token_embd.weight"),
        rule("layers.{i}.input_layernorm.{end}", "blk.{i}.attn_norm.{end}"),
        rule(
            "layers.{i}.attention.query_key_value.{end}", "blk.{i}.attn_qkv.{end}", Groups(groups="heads", fused=True)
        ),
        rule("layers.{i}.attention.dense.{end}", "blk.{i}.attn_output.{end}"),
        rule("layers.{i}.post_attention_layernorm.{end}", "blk.{i}.ffn_norm.{end}"),
        rule("layers.{i}.mlp.dense_h_to_4h.{end}", "blk.{i}.ffn_up.{end}"),
        rule("layers.{i}.mlp.dense_4h_to_h.{end}", "blk.{i}.ffn_down.{end}"),
        rule("final_layer_norm.{end}", "output_norm.{end}"),
        rule("^embed_out.weight", "output.weight"),
    ),
    keys=(
        Key("context_length", ("max_position_embeddings",), default=2048),
        Key("embedding_length", ("hidden_size",)),
        Key("block_count", value=lambda config: config.size("layers")),
        Key("feed_forward_length", FEED_FORWARD),
        Key("rope.dimension_count", value=lambda config: partial_rotary(config, 0.25)),
        Key("rope.freq_base", kind="f32", value=unusual_base),
        Key("attention.head_count", ("num_attention_heads",)),
        Key("use_parallel_residual", ("use_parallel_residual",), "bool", default=True),
        Key("attention.layer_norm_epsilon", ("layer_norm_eps",), "f32", default=1e-5),
    ),
    prefixes=("gpt_neox.", ""),
    adjust=only(attention_bias=True, hidden_act=GELU),
)
