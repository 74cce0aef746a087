"""Mistral Small 4: DeepSeek V2's compressed attention, experts in one tensor, queries scaled by their position.

Upstream leaves that scale out of what it makes of a Hugging Face checkpoint, which shows in long texts only.
"""

from __future__ import annotations

from typing import Any

from convert.config import Config
from convert.defaults import number, with_usual
from convert.families.deepseek2 import ATTENTION, KEYS
from convert.family import Family, Key, rule
from convert.rules import (
    EMBEDDING,
    FEED_FORWARD,
    HEAD,
    NORMS,
    OTHER_SENSES,
    ROUTER,
    SHARED_EXPERTS,
    TEXT_PREFIXES,
    without_tied_head,
)


def _of_rope(name: str) -> Any:
    def value(config: Config) -> float | None:
        found = config.rope.get(name) if config.rope.get("llama_4_scaling_beta") else None
        return None if found is None else number(found, name)

    return value


FAMILY = Family(
    architectures=("Mistral3ForConditionalGeneration", "Mistral4ForCausalLM"),
    arch="mistral4",
    rules=(
        EMBEDDING,
        *NORMS,
        *ATTENTION,
        *FEED_FORWARD,
        ROUTER,
        rule("layers.{i}.mlp.experts.gate_up_proj", "blk.{i}.ffn_gate_up_exps.weight"),
        rule("layers.{i}.mlp.experts.down_proj", "blk.{i}.ffn_down_exps.weight"),
        *SHARED_EXPERTS,
        *HEAD,
    ),
    keys=(
        *(key for key in KEYS if key.name != "expert_gating_func"),  # a softmax, as llama.cpp takes for granted
        Key("attention.q_lora_rank", ("q_lora_rank",)),
        Key("attention.temperature_scale", kind="f32", value=_of_rope("llama_4_scaling_beta")),
        Key("attention.temperature_length", value=_of_rope("original_max_position_embeddings")),
    ),
    vocabulary=("spm", "llama_hf", "bpe", "tekken"),
    prefixes=TEXT_PREFIXES,
    drop=(*OTHER_SENSES, r".*\.patch_merger\..*"),
    accepts=lambda config: config.get("model_type") == "mistral4",
    adjust=with_usual(
        max_position_embeddings=1048576,
        rms_norm_eps=1e-6,
        routed_scaling_factor=1.0,
        n_shared_experts=1,
        norm_topk_prob=True,
    ),
    place=without_tied_head,
)
