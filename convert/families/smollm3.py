"""SmolLM 3: LLaMA, but every fourth layer knows no positions, which llama.cpp takes for granted."""

from __future__ import annotations

from convert.config import Config
from convert.defaults import with_usual
from convert.families.llama import DENSE, KEYS, VOCABULARY, special_entries
from convert.family import Family, fixed_in_llama
from convert.rope import ROPE_FREQUENCIES

_USUAL = with_usual(rope_theta=2e6, max_position_embeddings=32768, rms_norm_eps=1e-6, num_key_value_heads=4)


def _checked(config: Config) -> Config:
    """Raises UserError fixed_in_llama where other layers are without positions."""
    every = config.get("no_rope_layer_interval", default=4)
    layers = config.size("layers")
    said = config.get("no_rope_layers", default=[int((layer + 1) % every != 0) for layer in range(layers)])
    if said != [int((layer + 1) % 4 != 0) for layer in range(layers)]:
        raise fixed_in_llama("no_rope_layers")
    return _USUAL(config)


FAMILY = Family(
    architectures=("SmolLM3ForCausalLM",),
    arch="smollm3",
    rules=DENSE,
    keys=KEYS,
    vocabulary=VOCABULARY,
    extras=(ROPE_FREQUENCIES,),
    adjust=_checked,
    entries=special_entries,
)
