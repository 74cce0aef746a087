"""GPT-2 and what has its layout (DialoGPT, DistilGPT-2, Cerebras-GPT).

Upstream writes four times the width as feed_forward_length whatever n_inner says, and n_ctx as context_length although
the table of positions has n_positions rows; here both are the tensors' own.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, rule
from convert.keys import COMMON
from convert.operations import Transpose
from convert.taken_for_granted import GELU, only


def _plain(config: Config) -> bool:
    """Whether attention is scaled alike in all blocks."""
    return not config.get("scale_attn_by_inverse_layer_idx")


FAMILY = Family(
    architectures=("GPT2LMHeadModel", "GPT2Model"),
    arch="gpt2",
    rules=(
        rule("wte.weight", "token_embd.weight"),
        rule("wpe.weight", "position_embd.weight"),
        rule("h.{i}.ln_1.{end}", "blk.{i}.attn_norm.{end}"),
        rule("h.{i}.attn.c_attn.weight", "blk.{i}.attn_qkv.weight", Transpose()),
        rule("h.{i}.attn.c_attn.bias", "blk.{i}.attn_qkv.bias"),
        rule("h.{i}.attn.c_proj.weight", "blk.{i}.attn_output.weight", Transpose()),
        rule("h.{i}.attn.c_proj.bias", "blk.{i}.attn_output.bias"),
        rule("h.{i}.ln_2.{end}", "blk.{i}.ffn_norm.{end}"),
        rule("h.{i}.mlp.c_fc.weight", "blk.{i}.ffn_up.weight", Transpose()),
        rule("h.{i}.mlp.c_fc.bias", "blk.{i}.ffn_up.bias"),
        rule("h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight", Transpose()),
        rule("h.{i}.mlp.c_proj.bias", "blk.{i}.ffn_down.bias"),
        rule("ln_f.{end}", "output_norm.{end}"),
        rule("^lm_head.weight", "output.weight"),
    ),
    keys=(
        *COMMON,
        Key("context_length", ("n_positions", "n_ctx", "max_position_embeddings"), default=1024),
        Key("feed_forward_length", ("n_inner",), value=lambda config: 4 * config.size("width")),
        Key("attention.layer_norm_epsilon", ("layer_norm_epsilon",), "f32", default=1e-5),
    ),
    prefixes=("transformer.", ""),
    drop=(r".*\.attn\.(masked_)?bias",),
    accepts=_plain,
    adjust=only(scale_attn_weights=True, activation_function=GELU),
)
