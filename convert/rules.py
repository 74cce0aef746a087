"""Rules for tensors that many families name alike."""

from __future__ import annotations

from convert.family import rule
from convert.operations import Permute

EMBEDDING = rule("embed_tokens.weight", "token_embd.weight")
HEAD = (rule("norm.weight", "output_norm.weight"), rule("^lm_head.weight", "output.weight"))
NORMS = (
    rule("layers.{i}.input_layernorm.weight", "blk.{i}.attn_norm.weight"),
    rule("layers.{i}.post_attention_layernorm.weight", "blk.{i}.ffn_norm.weight"),
)
PERMUTED = (
    rule("layers.{i}.self_attn.q_proj.{end}", "blk.{i}.attn_q.{end}", Permute("heads")),
    rule("layers.{i}.self_attn.k_proj.{end}", "blk.{i}.attn_k.{end}", Permute("kv_heads")),
)
STRAIGHT = (
    rule("layers.{i}.self_attn.q_proj.{end}", "blk.{i}.attn_q.{end}"),
    rule("layers.{i}.self_attn.k_proj.{end}", "blk.{i}.attn_k.{end}"),
)
VALUES = (
    rule("layers.{i}.self_attn.v_proj.{end}", "blk.{i}.attn_v.{end}"),
    rule("layers.{i}.self_attn.o_proj.{end}", "blk.{i}.attn_output.{end}"),
)
FEED_FORWARD = (
    rule("layers.{i}.mlp.gate_proj.{end}", "blk.{i}.ffn_gate.{end}"),
    rule("layers.{i}.mlp.up_proj.{end}", "blk.{i}.ffn_up.{end}"),
    rule("layers.{i}.mlp.down_proj.{end}", "blk.{i}.ffn_down.{end}"),
)
