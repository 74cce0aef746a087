"""StarCoder, StarChat, SantaCoder (GPTBigCode) and StarCoder 2.

GPTBigCode has one key for all heads or, rarely, one for each, then in groups; upstream takes the first for granted, and
four times the width as feed_forward_length.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, rule
from convert.keys import COMMON
from convert.operations import Groups
from convert.rules import EMBEDDING, HEAD_BIASED, NORMS_BIASED, STRAIGHT, VALUES
from convert.taken_for_granted import GELU, both, only


def _keys_counted(config: Config) -> Config:
    many = config.get("multi_query", default=True) is False
    return config.having(num_key_value_heads=config.size("heads") if many else 1)


FAMILIES = (
    Family(
        name="1",
        architectures=("GPTBigCodeForCausalLM",),
        arch="starcoder",
        rules=(
            rule("wte.weight", "token_embd.weight"),
            rule("wpe.weight", "position_embd.weight"),
            rule("h.{i}.ln_1.{end}", "blk.{i}.attn_norm.{end}"),
            rule("h.{i}.attn.c_attn.{end}", "blk.{i}.attn_qkv.{end}", Groups(fused=True)),
            rule("h.{i}.attn.c_proj.{end}", "blk.{i}.attn_output.{end}"),
            rule("h.{i}.ln_2.{end}", "blk.{i}.ffn_norm.{end}"),
            rule("h.{i}.mlp.c_fc.{end}", "blk.{i}.ffn_up.{end}"),
            rule("h.{i}.mlp.c_proj.{end}", "blk.{i}.ffn_down.{end}"),
            rule("ln_f.{end}", "output_norm.{end}"),
            rule("^lm_head.weight", "output.weight"),
        ),
        keys=(
            Key("context_length", ("n_positions",), default=1024),
            Key("embedding_length", value=lambda config: config.size("width")),
            Key("feed_forward_length", ("n_inner",), value=lambda config: 4 * config.size("width")),
            Key("block_count", value=lambda config: config.size("layers")),
            Key("attention.head_count", value=lambda config: config.size("heads")),
            Key("attention.head_count_kv", value=lambda config: config.size("kv_heads")),
            Key("attention.layer_norm_epsilon", ("layer_norm_epsilon",), "f32", default=1e-5),
        ),
        prefixes=("transformer.", ""),
        drop=(r".*\.attn\.(masked_)?bias",),
        adjust=both(only(activation_function=GELU, scale_attn_weights=True), _keys_counted),
    ),
    Family(
        name="2",
        architectures=("Starcoder2ForCausalLM", "Starcoder2Model"),
        arch="starcoder2",
        rules=(
            EMBEDDING,
            *NORMS_BIASED,
            *STRAIGHT,
            *VALUES,
            rule("layers.{i}.mlp.c_fc.{end}", "blk.{i}.ffn_up.{end}"),
            rule("layers.{i}.mlp.c_proj.{end}", "blk.{i}.ffn_down.{end}"),
            *HEAD_BIASED,
        ),
        keys=COMMON,
    ),
)
