"""Metadata that nearly every family has. Names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md."""

from __future__ import annotations

from typing import Any

from convert.config import Config
from convert.family import Entries, Key, in_words
from engine.api.errors import UserError

CONTEXT = ("max_position_embeddings", "n_ctx", "n_positions", "max_length", "max_sequence_length", "model_max_length")
FEED_FORWARD = (
    "prefix_dense_intermediate_size",
    "dense_intermediate_size",
    "intermediate_size",
    "n_inner",
    "hidden_dim",
)
RMS_EPSILON = ("rms_norm_eps", "norm_eps")
NORM_EPSILON = ("layer_norm_eps", "layer_norm_epsilon", "norm_epsilon")
EXPERTS_USED = ("num_experts_per_tok", "num_experts_per_token", "top_k_experts")
_SCORES = ("score_function", "scoring_func", "score_func", "moe_router_activation", "moe_router_activation_func")
_GATING = {"softmax": 1, "sigmoid": 2, "sqrtsoftplus": 4}


def gating(config: Config) -> int | None:
    """How a router's scores become weights: 1 softmax, 2 sigmoid, 4 sqrt(softplus). Raises UserError unknown_gating."""
    named = config.get(*_SCORES, "expert_selection_fn")
    if named is not None and named not in _GATING:
        raise UserError(
            "unknown_gating",
            f"config.json names a router function that llama.cpp does not have: {named}.",
            "This model cannot be run there yet.",
            name=str(named),
        )
    return _GATING.get(str(named))


def partial_rotary(config: Config, usual: float) -> int:
    """How much of a head turns: its width times the share that config.json or the published code gives."""
    return int(float(config.rope_full.get("partial_rotary_factor", usual)) * config.size("head_dim"))


def unusual_base(config: Config) -> float | None:
    """The rotary base where it is not 10000, which llama.cpp takes without being told."""
    base = config.rope_full.get("rope_theta")
    return None if base in (None, 10000) else float(base)


def _sections(config: Config) -> list[int] | None:
    sections = config.rope.get("mrope_section")
    return [*sections, 0, 0, 0, 0][:4] if isinstance(sections, list) else None


def _part(config: Config, name: str) -> dict[str, Any]:
    part = config.rope.get(name)
    return part if isinstance(part, dict) else {}


COMMON = (
    Key("block_count", value=lambda config: config.size("layers")),
    Key("context_length", CONTEXT),
    Key("embedding_length", ("hidden_size", "n_embd", "dim")),
    Key("feed_forward_length", FEED_FORWARD),
    Key("attention.head_count", ("num_attention_heads", "n_head", "n_heads")),
    Key("attention.head_count_kv", ("num_key_value_heads", "n_kv_heads")),
    Key("attention.causal", kind="bool", value=lambda config: False if config.get("is_causal") is False else None),
    Key("rope.freq_base", kind="f32", value=lambda config: config.rope_full.get("rope_theta")),
    Key("rope.freq_base_swa", kind="f32", value=lambda config: _part(config, "sliding_attention").get("rope_theta")),
    Key("rope.dimension_sections", kind="[i32]", value=_sections),
    Key("attention.layer_norm_rms_epsilon", RMS_EPSILON, "f32"),
    Key("attention.layer_norm_epsilon", NORM_EPSILON, "f32"),
    Key("expert_count", ("num_local_experts", "num_experts", "n_routed_experts")),
    Key("expert_used_count", EXPERTS_USED),
    Key("expert_group_count", ("n_group",)),
    Key("expert_group_used_count", ("topk_group",)),
    Key("expert_gating_func", value=gating),
    Key("attention.key_length", ("head_dim",)),
    Key("attention.value_length", ("head_dim",)),
)


def common(*names: str) -> tuple[Key, ...]:
    """Some of them."""
    return tuple(key for key in COMMON if key.name in names)


VOCABULARY_SIZE = Key("vocab_size", ("vocab_size",))
ROPE_DIMENSION = Key("rope.dimension_count", value=lambda config: config.size("head_dim"))


def entries_of(arch: str, keys: tuple[Key, ...], config: Config) -> Entries:
    """The header's entries that config.json decides; the last key of a name wins. Raises UserError config_lacks."""
    found: Entries = {}
    taken: set[str] = set()
    for key in keys:
        name = key.name if key.name.startswith(("general.", "tokenizer.")) else f"{arch}.{key.name}"
        value = key.of(config)
        if value is not None:
            found[name] = (_kind(key, value), _fitting(key, value))
        elif key.sources == () and key.value is None:
            found.pop(name, None)  # a family takes back what COMMON would write
            taken.add(name)
    stretched = {f"{arch}.{name}": entry for name, entry in in_words(scaling, "rope_scaling")(config).items()}
    return {name: entry for name, entry in stretched.items() if name not in taken} | found


def scaling(config: Config) -> Entries:
    """How positions are stretched beyond the trained context, as config.json's rope says."""
    rope = config.rope_full
    kind, factor = str(rope.get("rope_type", "")).lower(), rope.get("factor")
    if kind in ("su", "longrope"):
        return {"rope.scaling.type": ("str", "longrope")}
    if kind not in ("linear", "yarn") or factor is None:
        return {}
    found: Entries = {"rope.scaling.type": ("str", kind), "rope.scaling.factor": ("f32", float(factor))}
    return found | (_yarn(rope) if kind == "yarn" else {})


def _yarn(rope: dict[str, Any]) -> Entries:
    names = {
        "extrapolation_factor": "rope.scaling.yarn_ext_factor",
        "attn_factor": "rope.scaling.yarn_attn_factor",
        "attention_factor": "rope.scaling.yarn_attn_factor",
        "beta_fast": "rope.scaling.yarn_beta_fast",
        "beta_slow": "rope.scaling.yarn_beta_slow",
    }
    found: Entries = {names[name]: ("f32", float(rope[name])) for name in names if rope.get(name) is not None}
    original = rope.get("original_max_position_embeddings")
    if original is not None:
        found["rope.scaling.original_context_length"] = ("u32", int(original))
    return found


def _kind(key: Key, value: Any) -> str:
    """A list where a number is usual: one value a layer; the `gguf` package writes such numbers with a sign."""
    if isinstance(value, list) and not key.kind.startswith("["):
        return "[i32]" if key.kind == "u32" else f"[{key.kind}]"
    return key.kind


def _fitting(key: Key, value: Any) -> Any:
    """The value in its kind. Raises UserError config_lacks where config.json holds something else there."""
    kinds = {"u": int, "i": int, "f": float, "b": bool, "s": str}
    make = kinds[key.kind.strip("[")[0]]
    try:
        made = [make(one) for one in value] if isinstance(value, list) else make(value)
    except (TypeError, ValueError):
        made = None
    negative = key.kind.strip("[").startswith("u") and any(
        one < 0 for one in (made if isinstance(made, list) else [made or 0])
    )
    if made is None or negative:
        raise UserError(
            "config_lacks",
            f"config.json has no usable {key.name}.",
            "Take the file from the model's own page.",
            key=key.name,
        )
    return made
