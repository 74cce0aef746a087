"""InternLM 1, 2, 2.5 and 3.

The first is LLaMA with biases on all four matrices of attention, which llama.cpp's LLaMA takes and upstream does not
write. The second keeps queries, keys and values in groups. The third is LLaMA again.
"""

from __future__ import annotations

from convert.family import Family, Key, rule
from convert.keys import COMMON, ROPE_DIMENSION, VOCABULARY_SIZE
from convert.operations import Groups
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS, PERMUTED, VALUES

PACKED = ("blk.{i}.attn_q.{end}", "blk.{i}.attn_k.{end}", "blk.{i}.attn_v.{end}")
LIKE_LLAMA = (EMBEDDING, *NORMS, *PERMUTED, *VALUES, *FEED_FORWARD, *HEAD)
LIKE_LLAMA_KEYS = (*COMMON, VOCABULARY_SIZE, ROPE_DIMENSION)

FAMILIES = (
    Family(
        name="1",
        architectures=("InternLMForCausalLM",),
        arch="llama",
        rules=LIKE_LLAMA,
        keys=(*LIKE_LLAMA_KEYS, Key("rope.freq_base", ("rotary.base", "rope_theta"), "f32")),
        vocabulary=("spm",),
    ),
    Family(
        name="2",
        architectures=("InternLM2ForCausalLM",),
        arch="internlm2",
        rules=(
            rule("tok_embeddings.weight", "token_embd.weight"),
            rule("layers.{i}.attention_norm.weight", "blk.{i}.attn_norm.weight"),
            rule("layers.{i}.attention.wqkv.{end}", PACKED, Groups(permute=True)),
            rule("layers.{i}.attention.wo.{end}", "blk.{i}.attn_output.{end}"),
            rule("layers.{i}.ffn_norm.weight", "blk.{i}.ffn_norm.weight"),
            rule("layers.{i}.feed_forward.w1.{end}", "blk.{i}.ffn_gate.{end}"),
            rule("layers.{i}.feed_forward.w3.{end}", "blk.{i}.ffn_up.{end}"),
            rule("layers.{i}.feed_forward.w2.{end}", "blk.{i}.ffn_down.{end}"),
            rule("norm.weight", "output_norm.weight"),
            rule("^output.weight", "output.weight"),
        ),
        keys=COMMON,
        vocabulary=("spm",),
    ),
    Family(
        name="3",
        architectures=("InternLM3ForCausalLM",),
        arch="llama",
        rules=LIKE_LLAMA,
        keys=LIKE_LLAMA_KEYS,
        vocabulary=("spm",),
    ),
)
