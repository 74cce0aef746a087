"""Checkpoints that are known and cannot become GGUF: one file each, with the reason and the way that works."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from convert.config import Config
from engine.api.errors import UserError

FOLDER = Path(__file__).parent
THERE = "there"


@cache
def entries() -> dict[str, dict[str, Any]]:
    """Every file's entry by its id, the file's name.

    An entry holds `architectures` (as config.json names them), `when` (keys of config.json that must have these values,
    or be "there", where architectures alone are not enough), `names` (what the folder may be called in lower case, for
    checkpoints of times before architectures), `reason_en` and `reason_zh` (a sentence each), `way` ("onnx" where the
    exporter knows it, else "") and `nearest` (a model that runs, by its name).
    """
    return {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.toml"))}


def refusal_of(config: Config) -> dict[str, Any] | None:
    """The entry that knows this checkpoint, with its `id`, and its English `reason` again under that name."""
    for identity, entry in entries().items():
        if _named(entry, config) and _matches(entry.get("when", {}), config):
            return {"id": identity, "reason": entry["reason_en"], **entry}
    return None


def refuse(config: Config) -> UserError:
    """The error of a checkpoint without a family: its own reason if it is known, else that nobody knows it."""
    entry = refusal_of(config)
    name = config.architecture or "?"
    if entry is None:
        return UserError(
            "unknown_architecture",
            f"No family here has the architecture {name}.",
            "Try ONNX, or look for a GGUF file of this model.",
            name=name,
        )
    values = {key: str(entry[key]) for key in ("reason", "reason_en", "reason_zh", "nearest")}
    if entry["way"] == "onnx":
        return UserError("refused_for_onnx", entry["reason"], "Export it to ONNX instead.", name=name, **values)
    hint = f"The nearest model that runs is {entry['nearest']}."
    return UserError("refused_family", entry["reason"], hint, name=name, **values)


def _named(entry: dict[str, Any], config: Config) -> bool:
    folder = config.folder.name.lower() if config.folder else ""
    return config.architecture in entry["architectures"] or any(name in folder for name in entry.get("names", ()))


def _matches(when: dict[str, Any], config: Config) -> bool:
    found = ((config.get(key), value) for key, value in when.items())
    return all(have is not None if value == THERE else have == value for have, value in found)
