"""DeepSeek V3.2, and GLM-5 and 5.1: DeepSeek V3's network, in which an indexer chooses the places that are looked at.

The layers behind the last one, which look further than one token, are kept: llama.cpp can draft with them.
"""

from __future__ import annotations

from convert.config import Config
from convert.families.deepseek2 import FAMILY as DEEPSEEK2
from convert.families.deepseek2 import KEYS
from convert.family import Family, Key, fixed_in_llama, rule
from convert.next_token import MORE_LAYERS
from convert.rules import NEXT_TOKEN, without_tied_head

_INDEXER = {
    "k_norm.{end}": "k_norm.{end}",
    "weights_proj.weight": "proj.weight",
    "wk.weight": "attn_k.weight",
    "wq_b.weight": "attn_q_b.weight",
}
RULES = (
    *DEEPSEEK2.rules,
    *NEXT_TOKEN,
    *(rule(f"layers.{{i}}.self_attn.indexer.{one}", f"blk.{{i}}.indexer.{other}") for one, other in _INDEXER.items()),
)


def _kinds(config: Config) -> list[bool] | None:
    """Which layers choose for themselves; the others take the last choice (GLM-5.2)."""
    said = config.get("indexer_types")
    return [kind == "full" for kind in said] if isinstance(said, list) else None


def _checked(config: Config) -> Config:
    """Raises UserError fixed_in_llama for an indexer whose heads llama.cpp cannot turn: it would end the process."""
    if config.size("index_head_dim") % 64:
        raise fixed_in_llama("index_head_dim")
    return config


_KEYS = (
    *KEYS,
    Key("attention.q_lora_rank", ("q_lora_rank",)),  # always compressed, however many layers there are
    *MORE_LAYERS,
    Key("attention.indexer.head_count", ("index_n_heads",)),
    Key("attention.indexer.key_length", ("index_head_dim",)),
    Key("attention.indexer.top_k", ("index_topk",)),
)

FAMILIES = (
    Family(
        name="deepseek",
        architectures=("DeepseekV32ForCausalLM",),
        arch="deepseek32",
        rules=RULES,
        keys=_KEYS,
        place=without_tied_head,
        adjust=_checked,
    ),
    Family(
        name="glm",
        architectures=("GlmMoeDsaForCausalLM",),
        arch="glm-dsa",
        rules=RULES,
        keys=(
            *_KEYS,
            Key(
                "rope.dimension_count",
                value=lambda config: int(
                    config.size("qk_rope_head_dim") * float(config.rope.get("partial_rotary_factor", 1.0))
                ),
            ),
            Key("attention.indexer.types", kind="[bool]", value=_kinds),
        ),
        place=without_tied_head,
        adjust=_checked,
    ),
)
