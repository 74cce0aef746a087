"""ERNIE 4.5, dense and MoE, as transformers and as PaddlePaddle write it (fused matrices, names of its own).

Of MoE's shared experts llama.cpp's converter takes the width to be that of a dense layer divided by the heads of keys,
which fits one published model by chance; here it is their count times an expert's width.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, rule
from convert.keys import COMMON
from convert.operations import Split
from convert.rules import EMBEDDING, EXPERTS, FEED_FORWARD, HEAD, NORMS, ROUTER, SHARED_EXPERTS, STRAIGHT, VALUES

_PARTS = tuple(f"blk.{{i}}.attn_{part}.{{end}}" for part in "qkv")
BLOCKS = (
    *NORMS,
    *STRAIGHT,
    *VALUES,
    rule("layers.{i}.self_attn.qkv_proj.{end}", _PARTS, Split(("query_rows", "key_rows", "key_rows"))),
    *FEED_FORWARD,
    rule("layers.{i}.mlp.up_gate_proj.{end}", ("blk.{i}.ffn_gate.{end}", "blk.{i}.ffn_up.{end}"), Split()),
)
PREFIXES = ("model.", "ernie.", "")


def _rows(config: Config) -> Config:
    """With the rows of fused queries and keys."""
    width = config.size("head_dim")
    return config.having(query_rows=config.size("heads") * width, key_rows=config.size("kv_heads") * width)


def _shared_width(config: Config) -> int | None:
    count = config.get("moe_num_shared_experts")
    return count * config.size("moe_intermediate_size") if isinstance(count, int) and count > 0 else None


FAMILIES = (
    Family(
        architectures=("Ernie4_5ForCausalLM", "Ernie4_5_ForCausalLM"),
        arch="ernie4_5",
        rules=(EMBEDDING, *BLOCKS, *HEAD),
        keys=COMMON,
        vocabulary=("spm", "llama_hf"),
        prefixes=PREFIXES,
        adjust=_rows,
        name="dense",
    ),
    Family(
        architectures=("Ernie4_5_MoeForCausalLM",),
        arch="ernie4_5-moe",
        rules=(
            EMBEDDING,
            *BLOCKS,
            ROUTER,
            rule("layers.{i}.mlp.moe_statics.e_score_correction_bias", "blk.{i}.exp_probs_b.bias"),
            *EXPERTS,
            *SHARED_EXPERTS,
            *HEAD,
        ),
        keys=(
            *COMMON,
            Key("expert_count", ("moe_num_experts",)),
            Key("expert_used_count", ("moe_k",)),
            Key("interleave_moe_layer_step", ("moe_layer_interval",), default=1),
            Key("leading_dense_block_count", ("moe_layer_start_index",), default=0),
            Key("expert_feed_forward_length", ("moe_intermediate_size",)),
            Key("expert_shared_count", ("moe_num_shared_experts",)),
            Key("expert_shared_feed_forward_length", value=_shared_width),
        ),
        vocabulary=("spm", "llama_hf"),
        prefixes=PREFIXES,
        drop=(r"(model|ernie)\.mtp_(block|emb_norm|hidden_norm|linear_proj)\..*",),
        adjust=_rows,
        name="moe",
    ),
)
