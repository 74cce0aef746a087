"""Checkpoints that are known and cannot become GGUF: one file each, with the reason and the way that works."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from convert.config import Config
from engine.api.errors import UserError

FOLDER = Path(__file__).parent


def refusal_of(config: Config) -> dict[str, Any] | None:
    """The entry {id, architectures, reason, way: "onnx" | "", nearest} that knows this checkpoint.

    `when` holds keys of config.json that must have these values (null: be there), where architectures alone are not
    enough.
    """
    for path in sorted(FOLDER.glob("*.toml")):
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
        if config.architecture in entry["architectures"] and _matches(entry.get("when", {}), config):
            return {"id": path.stem, **entry}
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
    code = "refused_for_onnx" if entry["way"] == "onnx" else "refused_family"
    hint = "Export it to ONNX instead." if entry["way"] == "onnx" else f"The nearest that runs is {entry['nearest']}."
    return UserError(code, entry["reason"], hint, name=entry["id"], reason=entry["reason"], nearest=entry["nearest"])


def _matches(when: dict[str, Any], config: Config) -> bool:
    found = ((config.get(key), value) for key, value in when.items())
    return all(have is not None if value == "there" else have == value for have, value in found)
