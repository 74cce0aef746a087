"""Names of models on a hub, told from paths: `owner/name`, or the address of its page."""

from __future__ import annotations

import re
from pathlib import Path

_PART = r"[A-Za-z0-9_][\w.-]{0,95}"
_NAME = re.compile(rf"(?:https?://[^/\s]+/|hf\.co/|hf:)?({_PART}/{_PART}?)(?:/tree/[^/\s]+)?/?", re.ASCII)

_FILES = (".gguf", ".safetensors", ".bin", ".onnx", ".json", ".pt", ".pth")


def hub_name(source: str) -> str:
    """`owner/name` if the source names a model on a hub, "" if it is anything else, such as a path that exists."""
    match = _NAME.fullmatch(source)
    if not match or ".." in source or source.lower().endswith(_FILES) or Path(source).exists():
        return ""
    return match[1]
