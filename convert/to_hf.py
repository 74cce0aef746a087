"""GGUF -> a Hugging Face checkpoint: the family's own rules, backwards."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from convert.checkpoint import DTYPES, Source
from convert.config import Config
from convert.families import families_of_arch
from convert.family import Family, Rule, filled, pattern
from convert.gguf_source import GGUF
from convert.operations import Laid
from convert.safetensors_file import Wanted
from engine.api.errors import UserError

# transformers' word for a network, where it is not GGUF's.
MODEL_TYPES = {
    "gptneox": "gpt_neox",
    "phi2": "phi",
    "qwen2moe": "qwen2_moe",
    "qwen3moe": "qwen3_moe",
    "qwen3next": "qwen3_next",
    "gemma3": "gemma3_text",
    "chatglm": "glm",
    "glm4moe": "glm4_moe",
    "deepseek": "deepseek",
    "deepseek2": "deepseek_v3",
    "command-r": "cohere",
    "cohere2": "cohere2",
    "gpt-oss": "gpt_oss",
    "starcoder": "gpt_bigcode",
    "ernie4_5": "ernie4_5",
    "hunyuan-dense": "hunyuan_v1_dense",
    "hunyuan-moe": "hunyuan_v1_moe",
}
# transformers' usual word, where a key has no source or several.
_BACK = {
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "rope.freq_base": "rope_theta",
    "attention.sliding_window": "sliding_window",
    "expert_feed_forward_length": "moe_intermediate_size",
    "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
}
# Only where it is not what the other numbers give.
_USUAL = ("attention.key_length", "attention.value_length")


def config_of(model: GGUF) -> tuple[str, Family, Config]:
    """The family (with its id) and a config.json of a model. Raises UserError no_way_back_arch."""
    arch = str(model.value("general.architecture", ""))
    known = families_of_arch(arch)
    if not known:
        raise UserError(
            "no_way_back_arch",
            f"A checkpoint cannot be made of a model of the architecture {arch or '?'}.",
            "Use the original checkpoint.",
            name=arch or "?",
        )
    identity, family = next((one for one in known if not _left(model, one[1])), known[0])
    return identity, family, Config(_values(model, family))


def _left(model: GGUF, family: Family) -> set[str]:
    """Tensors of the model that a family has no rule for."""
    rules = [pattern(target) for rule in family.rules for target in rule.targets]
    extra = {extra.name for extra in family.extras}
    return {name for name in model.tensors if name not in extra and not any(rule.fullmatch(name) for rule in rules)}


def _values(model: GGUF, family: Family) -> dict[str, Any]:
    values: dict[str, Any] = {
        "architectures": [family.architectures[0]],
        "model_type": MODEL_TYPES.get(family.arch, family.arch),
        "torch_dtype": "float16",
        "vocab_size": len(model.value("tokenizer.ggml.tokens", ())) or _rows(model),
        "tie_word_embeddings": "output.weight" not in model.tensors,
    }
    for key in family.keys:
        value = model.value("{arch}." + key.name)
        name = _BACK.get(key.name) or (key.sources[0] if key.sources else "")
        if value is not None and name and "." not in name:
            values[name] = value
    for name, own in _BACK.items():
        value = model.value("{arch}." + name)
        if value is not None:
            values.setdefault(own, value)
    for token in ("bos", "eos", "padding"):
        number = model.value(f"tokenizer.ggml.{token}_token_id")
        if number is not None:
            values[f"{token.replace('padding', 'pad')}_token_id"] = number
    return values | _rope(model)


def _rope(model: GGUF) -> dict[str, Any]:
    """Stretched positions as transformers' rope_scaling."""
    kind, factor = model.value("{arch}.rope.scaling.type"), model.value("{arch}.rope.scaling.factor")
    if kind in ("linear", "yarn") and factor:
        original = model.value("{arch}.rope.scaling.original_context_length")
        return {"rope_scaling": {"rope_type": kind, "factor": factor} | (
            {"original_max_position_embeddings": original} if original else {}
        )}  # fmt: skip
    return {}


def _rows(model: GGUF) -> int:
    source = model.tensors.get("token_embd.weight")
    return source.shape[0] if source else 0


def wanted(model: GGUF, family: Family, config: Config, dtype: str) -> list[Wanted]:
    """Every tensor of the checkpoint, by the family's rules. Raises UserError no_way_back_tensor, odd_shape."""
    left = dict(model.tensors)
    for extra in family.extras:
        left.pop(extra.name, None)
    made: list[Wanted] = []
    for rule in family.rules:
        for places in _uses(rule, left):
            sources = [left.pop(filled(target, places)) for target in rule.targets]
            made += _back(rule, sources, places, family, config, dtype)
    if left:
        name = next(iter(left))
        raise UserError(
            "no_way_back_tensor",
            f"{len(left)} tensors have no place in a checkpoint of {family.architectures[0]}: {name}.",
            "Use the original checkpoint.",
            count=len(left),
            name=name,
        )
    return made


def _uses(rule: Rule, tensors: Iterable[str]) -> list[dict[str, str]]:
    """For which layers and ends all targets of a rule are there."""
    names = set(tensors)
    found = [match.groupdict() for name in names if (match := pattern(rule.targets[0]).fullmatch(name))]
    whole = [places for places in found if all(filled(target, places) in names for target in rule.targets)]
    return sorted(whole, key=lambda places: (int(places.get("i", -1)), places.get("end", "")))


def _back(
    rule: Rule, sources: list[Source], places: dict[str, str], family: Family, config: Config, dtype: str
) -> list[Wanted]:
    empty = [np.broadcast_to(np.zeros((), DTYPES[source.dtype]), source.shape) for source in sources]
    shapes = rule.operation.inverse(empty, config)
    kind = dtype if all(source.dtype == "F32" for source in sources) and len(sources[0].shape) > 1 else ""
    found = []
    for number, made in enumerate(shapes):
        name = _source_name(rule, number, len(shapes), places, family)
        values = partial(_made, rule, sources, config, number)
        found.append(Wanted(name, made.shape, kind or _plain(sources[0], dtype), values))
    return found


def _plain(source: Source, dtype: str) -> str:
    """Norms and biases, which GGUF has in float32, go back into the checkpoint's type."""
    return dtype if source.dtype in ("F32", "F16", "BF16") else source.dtype


def _made(rule: Rule, sources: list[Source], config: Config, number: int) -> list[tuple[Laid, str]]:
    arrays = [source.array() for source in sources]
    return [(rule.operation.inverse(arrays, config)[number], sources[0].dtype)]


def _source_name(rule: Rule, number: int, count: int, places: dict[str, str], family: Family) -> str:
    """The name of a rule's n-th source; where {e} stands all of them are of one name, expert by expert."""
    experts = count // len(rule.sources) if any("{e}" in source for source in rule.sources) else 1
    source = rule.sources[number // experts]
    name = filled(source, places | {"e": str(number % experts)})
    return name if source.startswith("^") else family.prefixes[0] + name


def write_config(folder: Path, config: Config, entries: dict[str, Any]) -> None:
    """config.json, generation_config.json and a card that says where it came from."""
    (folder / "config.json").write_text(json.dumps(config.values, indent=2, ensure_ascii=False), encoding="utf-8")
    ends = {
        name: config.values[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id") if name in config.values
    }
    (folder / "generation_config.json").write_text(json.dumps(ends, indent=2), encoding="utf-8")
    licence = re.sub(r"[^\w.\-]", "", str(entries.get("general.license", ("", ""))[1]))
    name = str(entries.get("general.name", ("", ""))[1])
    front = f"license: {licence}\n" if licence else ""
    card = f"---\n{front}tags:\n- from-gguf\n---\n\n# {name}\n\nMade of a GGUF file by Deskside.\n"
    (folder / "README.md").write_text(card, encoding="utf-8")
