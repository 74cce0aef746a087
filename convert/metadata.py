"""What a GGUF file says of its model beside its numbers: name, author, licence, sampling values, where it came from."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from convert.family import Entries
from convert.note import note


def general_entries(folder: Path, arch: str, counts: tuple[int, int, int, int], notes: list[str]) -> Entries:
    """The `general.*` entries, by the `gguf` package's reading of the model card, config.json and the folder's name.

    `counts`: parameters in all, of them shared, an expert's, and how many experts. What cannot be read is left out and
    told in `notes`.
    """
    import gguf

    logging.getLogger("metadata").setLevel(logging.ERROR)
    try:
        found = gguf.Metadata.load(None, folder, None, counts[0])
    except Exception as error:  # noqa: BLE001 - a card is anybody's YAML; nothing of it is needed
        notes.append(note("card_unread", "The model card could not be read ({reason}).", reason=type(error).__name__))
        found = gguf.Metadata()
    found.name = found.name or folder.name
    found.size_label = found.size_label or gguf.size_label(*counts)
    found.sampling_penalty_repeat = found.sampling_penalty_repeat or _penalty(folder)
    writer = gguf.GGUFWriter(path=None, arch=arch)
    writer.add_type(gguf.GGUFType.MODEL)
    found.set_gguf_meta_model(writer)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    return {name: _entry(value) for name, value in writer.kv_data[0].items()}


def _penalty(folder: Path) -> float | None:
    try:
        said = json.loads((folder / "generation_config.json").read_text(encoding="utf-8")).get("repetition_penalty")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return said if isinstance(said, int | float) else None


def _entry(value: Any) -> tuple[str, Any]:
    kinds = {"UINT32": "u32", "INT32": "i32", "FLOAT32": "f32", "BOOL": "bool", "STRING": "str", "UINT64": "u64"}
    if value.type.name != "ARRAY":
        return kinds[value.type.name], value.value
    inner = value.sub_type or {str: "STRING", int: "INT32", float: "FLOAT32", bool: "BOOL"}[type(value.value[0])]
    return f"[{kinds[getattr(inner, 'name', inner)]}]", value.value
