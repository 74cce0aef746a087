"""DeepSeek-MoE (the first): LLaMA's attention, many small experts beside some that every token goes through."""

from __future__ import annotations

from convert.family import Family, Key
from convert.keys import COMMON, ROPE_DIMENSION, VOCABULARY_SIZE
from convert.rules import EMBEDDING, EXPERTS, FEED_FORWARD, HEAD, NORMS, PERMUTED, ROUTER, SHARED_EXPERTS, VALUES

FAMILY = Family(
    architectures=("DeepseekForCausalLM",),
    arch="deepseek",
    rules=(EMBEDDING, *NORMS, *PERMUTED, *VALUES, *FEED_FORWARD, ROUTER, *EXPERTS, *SHARED_EXPERTS, *HEAD),
    keys=(
        *COMMON,
        VOCABULARY_SIZE,
        ROPE_DIMENSION,
        Key("rope.scaling.type", kind="str", default="none"),
        Key("leading_dense_block_count", ("first_k_dense_replace",), default=0),
        Key("expert_feed_forward_length", ("moe_intermediate_size",)),
        Key("expert_weights_scale", kind="f32", default=1.0),
        Key("expert_shared_count", ("n_shared_experts",)),
    ),
    vocabulary=("spm", "bpe"),
)
