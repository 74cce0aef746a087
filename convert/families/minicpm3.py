"""MiniCPM 3: compressed queries, keys and values, decompressed by a matrix that stays whole.

How embeddings, residues and logits are scaled is not in the file: llama.cpp has the numbers of MiniCPM3-4B.
"""

from __future__ import annotations

from convert.families.deepseek2 import ATTENTION
from convert.family import Family, Key, rule
from convert.keys import RMS_EPSILON, VOCABULARY_SIZE, common
from convert.long_factors import STRETCH, factors
from convert.rules import EMBEDDING, FEED_FORWARD, HEAD, NORMS

_WHOLE = rule("layers.{i}.self_attn.kv_b_proj.weight", "blk.{i}.attn_kv_b.weight")
_TURNED = "qk_rope_head_dim"

FAMILY = Family(
    architectures=("MiniCPM3ForCausalLM",),
    arch="minicpm3",
    rules=(
        EMBEDDING,
        *NORMS,
        _WHOLE,
        *(each for each in ATTENTION if each.sources != _WHOLE.sources),
        *FEED_FORWARD,
        *HEAD,
    ),
    keys=(
        *common(
            "block_count",
            "context_length",
            "embedding_length",
            "feed_forward_length",
            "attention.head_count",
            "attention.head_count_kv",
        ),
        Key("attention.layer_norm_rms_epsilon", RMS_EPSILON, "f32"),
        VOCABULARY_SIZE,
        Key("rope.scaling.type", kind="str"),
        Key("attention.q_lora_rank", ("q_lora_rank",)),
        Key("attention.kv_lora_rank", ("kv_lora_rank",)),
        Key("attention.key_length", value=lambda config: config.size("qk_nope_head_dim") + config.size(_TURNED)),
        Key("rope.dimension_count", (_TURNED,)),
        *STRETCH,
    ),
    vocabulary=("spm", "llama_hf", "bpe"),
    extras=(factors("long", _TURNED), factors("short", _TURNED)),
)
