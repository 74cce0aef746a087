"""Ministral 3, and the language model inside Mistral Small 3.1 and 3.2: YaRN, and queries scaled by their position."""

from __future__ import annotations

from typing import Any

from convert.config import Config
from convert.defaults import number, with_usual
from convert.families.llama import DENSE, KEYS, special_entries
from convert.family import Family, Key
from convert.rope import ROPE_FREQUENCIES
from convert.rules import OTHER_SENSES, TEXT_PREFIXES


def _of_rope(name: str) -> Any:
    def value(config: Config) -> float | None:
        found = config.rope.get(name) if config.get("model_type") == "ministral3" else None
        return None if found is None else number(found, name)

    return value


FAMILY = Family(
    architectures=("Ministral3ForCausalLM", "Mistral3ForConditionalGeneration"),
    arch="mistral3",
    rules=DENSE,
    keys=(
        *KEYS,
        Key("rope.scaling.yarn_log_multiplier", kind="f32", value=_of_rope("mscale_all_dim")),
        Key("attention.temperature_scale", kind="f32", value=_of_rope("llama_4_scaling_beta")),
    ),
    vocabulary=("spm", "llama_hf", "bpe", "tekken"),
    prefixes=TEXT_PREFIXES,
    drop=(*OTHER_SENSES, r".*\.patch_merger\..*"),
    extras=(ROPE_FREQUENCIES,),
    accepts=lambda config: config.get("model_type") in ("ministral3", "mistral", "mistral3"),
    adjust=with_usual(
        vocab_size=32000, max_position_embeddings=131072, rms_norm_eps=1e-6, rope_theta=10000.0, num_key_value_heads=8
    ),
    entries=special_entries,
)
