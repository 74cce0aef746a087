"""Names of models on a hub, told from paths: `owner/name`, or the address of its page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_PART = r"[A-Za-z0-9_][\w.-]{0,95}"
_NAME = re.compile(rf"(?:https?://[^/\s]+/|hf\.co/|hf:)?({_PART}/{_PART}?)(?:/tree/[^/\s]+)?/?", re.ASCII)

_FILES = (".gguf", ".safetensors", ".bin", ".onnx", ".json", ".pt", ".pth")


def hub_name(source: str) -> str:
    """`owner/name` if the source names a model on a hub, "" if it is anything else, such as a path that exists."""
    match = _NAME.fullmatch(source)
    if not match or ".." in source or source.lower().endswith(_FILES) or Path(source).exists():
        return ""
    return match[1]


def hub_names(params: dict[str, Any]) -> list[str]:
    """The models on a hub that a job of conversion is to read, in order and once each."""
    found: dict[str, None] = {}

    def take(source: str) -> str:
        if name := hub_name(source):
            found[name] = None
        return source

    with_sources(params, take)
    return list(found)


def with_sources(params: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Parameters of a job of conversion with what they read changed: source, base, and the path of each of models."""
    said = {name: change(str(params[name])) for name in ("source", "base") if params.get(name)}
    models = params.get("models")
    if isinstance(models, list):
        return params | said | {"models": [_changed(model, change) for model in models]}
    return params | said


def _changed(model: Any, change: Callable[[str], str]) -> Any:
    if not isinstance(model, dict) or not model.get("path"):
        return model
    return model | {"path": change(str(model["path"]))}
