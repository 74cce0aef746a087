"""MiniMax 01 and M1 (seven layers of linear attention to one of full) and M2 (full attention), all with experts.

Beside llama.cpp's converter: which layers have which attention is written where it is not every eighth; a checkpoint's
own chat template stays.
"""

from __future__ import annotations

from convert.config import Config
from convert.family import Family, Key, rule
from convert.keys import COMMON, gating
from convert.rules import BLOCK_SPARSE, EMBEDDING, HEAD, HEAD_NORMS, NORMS, STRAIGHT, VALUES

_USUAL = 8  # every eighth layer has full attention, if the file says nothing
SIGMOID = 2


def _linear(config: Config) -> list[bool] | None:
    """Which layers have linear attention, None where that is llama.cpp's guess anyway."""
    kinds = config.get("attn_type_list")
    if not isinstance(kinds, list):
        return None
    found = [kind == 0 for kind in kinds]
    return None if found == [(place + 1) % _USUAL != 0 for place in range(len(found))] else found


FAMILIES = (
    Family(
        architectures=("MiniMaxM1ForCausalLM", "MiniMaxText01ForCausalLM"),
        arch="minimax-01",
        rules=(
            EMBEDDING,
            *NORMS,
            *STRAIGHT,
            *VALUES,
            rule("layers.{i}.self_attn.qkv_proj.weight", "blk.{i}.attn_qkv.weight"),
            rule("layers.{i}.self_attn.output_gate.weight", "blk.{i}.attn_gate.weight"),
            rule("layers.{i}.self_attn.out_proj.weight", "blk.{i}.attn_output.weight"),
            rule("layers.{i}.self_attn.norm.weight", "blk.{i}.attn_norm_2.weight"),
            *BLOCK_SPARSE,
            *HEAD,
        ),
        keys=(
            *COMMON,
            Key("residual_scale", ("layernorm_full_attention_alpha",), "f32", 1.0),
            Key("rope.dimension_count", ("rotary_dim",)),
            Key("attention.recurrent_layers", kind="bool", value=_linear),
        ),
        name="m1",
    ),
    Family(
        architectures=("MiniMaxM2ForCausalLM",),
        arch="minimax-m2",
        rules=(
            EMBEDDING,
            *NORMS,
            *STRAIGHT,
            *HEAD_NORMS,
            *VALUES,
            *BLOCK_SPARSE,
            rule("layers.{i}.block_sparse_moe.e_score_correction_bias", "blk.{i}.exp_probs_b.bias"),
            *HEAD,
        ),
        keys=(
            *COMMON,
            Key("expert_feed_forward_length", ("intermediate_size",)),
            Key("rope.dimension_count", ("rotary_dim",)),
            Key("expert_gating_func", value=lambda config: gating(config) or SIGMOID),
        ),
        name="m2",
    ),
)
