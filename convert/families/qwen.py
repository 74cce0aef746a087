"""Qwen 1 (7B, 14B, 72B and 1.8B of 2023).

Upstream writes no attention.layer_norm_rms_epsilon, without which llama.cpp does not load the file. The context is the
length that the model was trained with: the stretching beyond it (dynamic NTK and logarithmic attention) llama.cpp does
not compute.
"""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.keys import COMMON

FAMILY = Family(
    architectures=("QWenLMHeadModel",),
    arch="qwen",
    rules=(
        rule("wte.weight", "token_embd.weight"),
        rule("h.{i}.ln_1.weight", "blk.{i}.attn_norm.weight"),
        rule("h.{i}.attn.c_attn.{end}", "blk.{i}.attn_qkv.{end}"),
        rule("h.{i}.attn.c_proj.{end}", "blk.{i}.attn_output.{end}"),
        rule("h.{i}.ln_2.weight", "blk.{i}.ffn_norm.weight"),
        rule("h.{i}.mlp.w1.weight", "blk.{i}.ffn_up.weight"),
        rule("h.{i}.mlp.w2.weight", "blk.{i}.ffn_gate.weight"),
        rule("h.{i}.mlp.c_proj.weight", "blk.{i}.ffn_down.weight"),
        rule("ln_f.weight", "output_norm.weight"),
        rule("^lm_head.weight", "output.weight"),
    ),
    keys=(
        *COMMON,
        Key("context_length", ("seq_length", "max_position_embeddings")),
        Key("attention.layer_norm_rms_epsilon", ("layer_norm_epsilon",), "f32", default=1e-6),
    ),
    vocabulary=("tiktoken",),
    prefixes=("transformer.", ""),
    drop=(r"transformer\.rotary_emb\..*", r"transformer\.visual\..*"),
)
