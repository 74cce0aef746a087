"""What a GGUF file says of itself, without loading it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from models.gguf_reader import Raw, Skipped, read_raw
from models.gguf_types import FILE_TYPES
from models.shape import Shape, sliding_layers

_SPLIT = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
# Where the file itself does not say which layers slide, llama.cpp knows it by architecture.
_FULL_EVERY = {"gemma2": 2, "gemma3": 6, "gemma3n": 5, "cohere2": 4, "llama4": 4, "gpt-oss": 2, "exaone4": 4}
_EMBEDDERS = ("bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "modern-bert", "gemma-embedding")
_MAX_PARTS = 1000
PROJECTOR = "clip"  # the architecture that every projector file names
SENSES = ("vision", "audio")


@dataclass(frozen=True)
class Header:
    """The header of a model: sizes in bytes, context in tokens. "" and 0 mean the file does not say."""

    architecture: str
    name: str
    parameters: int
    quantization: str
    context: int
    shape: Shape
    template: str
    licence: str
    languages: tuple[str, ...]
    kind: str  # chat, base, embedding, adapter (LoRA), projector (mmproj)
    tensor_bytes: int
    file_bytes: int
    files: tuple[Path, ...]
    base: str = ""  # of an adapter: the name of the model it was trained for
    senses: tuple[str, ...] = ()  # of a projector: vision, audio
    projects_to: int = 0  # of a projector: width of what it makes, where the file says so


def read(path: Path) -> Header:
    """Read a model's header; of a split model give any part, all of them are read.

    Raises UserError: vanished_model, unreadable_file, empty_file, not_gguf, old_model, big_endian_model,
    newer_model, damaged_model, missing_part, not_a_model.
    """
    files = parts(path)
    raws = [read_raw(file) for file in files]
    if not any(raw.tensors for raw in raws):
        raise UserError("not_a_model", f"{path.name} holds no weights.", "Choose the model's own file.", name=path.name)
    return _header(files, raws)


def parts(path: Path) -> tuple[Path, ...]:
    """All files of the model `path` belongs to, in order. Raises UserError missing_part."""
    match = _SPLIT.fullmatch(path.name)
    if not match:
        return (path,)
    count = int(match["count"])
    if not 1 <= int(match["number"]) <= count <= _MAX_PARTS:
        return (path,)
    files = tuple(path.with_name(f"{match['stem']}-{n:05d}-of-{count:05d}.gguf") for n in range(1, count + 1))
    for file in files:
        if file != path and not file.exists():
            raise UserError(
                "missing_part",
                f"{file.name}, a part of this model, is missing.",
                "Put all parts into one folder.",
                name=file.name,
            )
    return files


def is_later_part(name: str) -> bool:
    """Whether a file name is part 2 or later of a split model, which is never offered on its own."""
    match = _SPLIT.fullmatch(name)
    return bool(match) and match["number"] != "00001"  # type: ignore[index]


def plain_stem(name: str) -> str:
    """A file's name without its ending and without the part number of a split model."""
    match = _SPLIT.fullmatch(name)
    return match["stem"] if match else re.sub(r"\.gguf$", "", name, flags=re.IGNORECASE)


def _header(files: tuple[Path, ...], raws: list[Raw]) -> Header:
    values = raws[0].values
    architecture = _text(values, "general.architecture")
    template = _text(values, "tokenizer.chat_template")
    kind = _kind(values, architecture, template)
    return Header(
        architecture=architecture,
        name=_text(values, "general.name") or plain_stem(files[0].name),
        parameters=sum(raw.elements for raw in raws),
        quantization=_quantization(raws),
        context=_number(values, f"{architecture}.context_length"),
        shape=shape_of(values, architecture),
        template=template,
        licence=_text(values, "general.license"),
        languages=_languages(values),
        kind=kind,
        tensor_bytes=sum(raw.tensor_bytes for raw in raws),
        file_bytes=sum(file.stat().st_size for file in files),
        files=files,
        base=_base(values) if kind == "adapter" else "",
        senses=tuple(sense for sense in SENSES if values.get(f"clip.has_{sense}_encoder") is True),
        projects_to=_number(values, "clip.vision.projection_dim") or _number(values, "clip.audio.projection_dim"),
    )


def _quantization(raws: list[Raw]) -> str:
    """The file's own word for it, else the type that fills most of the bytes."""
    kind = raws[0].values.get("general.file_type")
    if isinstance(kind, int) and kind in FILE_TYPES:
        return FILE_TYPES[kind]
    total: dict[str, int] = {}
    for raw in raws:
        for name, size in raw.type_bytes.items():
            total[name] = total.get(name, 0) + size
    return max(total, key=lambda name: total[name])


def shape_of(values: dict[str, Any], architecture: str) -> Shape:
    """The dimensions that a header's values tell."""
    prefix = f"{architecture}."
    layers = min(_number(values, prefix + "block_count"), 10_000)
    embedding = _number(values, prefix + "embedding_length")
    heads = max(_per_layer(values, prefix + "attention.head_count", layers), default=0)
    kv_heads = _per_layer(values, prefix + "attention.head_count_kv", layers) or (heads,) * layers
    usual = embedding // heads if heads else 0
    window = _number(values, prefix + "attention.sliding_window")
    return Shape(
        layers=layers,
        embedding=embedding,
        heads=heads,
        kv_heads=kv_heads,
        key_length=_number(values, prefix + "attention.key_length") or usual,
        value_length=_number(values, prefix + "attention.value_length") or usual,
        feed_forward=max(_per_layer(values, prefix + "feed_forward_length", layers), default=0),
        vocabulary=_vocabulary(values, prefix),
        sliding_window=window,
        sliding=_sliding(values, architecture, layers) if window else (False,) * layers,
    )


def _sliding(values: dict[str, Any], architecture: str, layers: int) -> tuple[bool, ...]:
    pattern = values.get(f"{architecture}.attention.sliding_window_pattern")
    if isinstance(pattern, list) and pattern:
        return tuple(bool(pattern[layer % len(pattern)]) for layer in range(layers))
    every = pattern if isinstance(pattern, int) else _FULL_EVERY.get(architecture, 0)
    return sliding_layers(layers, every)


def _vocabulary(values: dict[str, Any], prefix: str) -> int:
    tokens = values.get("tokenizer.ggml.tokens")
    if isinstance(tokens, Skipped):
        return tokens.length
    return len(tokens) if isinstance(tokens, list) else _number(values, prefix + "vocab_size")


def _kind(values: dict[str, Any], architecture: str, template: str) -> str:
    made_as = _text(values, "general.type")
    if made_as == "adapter":
        return "adapter"
    if made_as == "mmproj" or architecture == PROJECTOR:
        return "projector"
    if architecture in _EMBEDDERS or f"{architecture}.pooling_type" in values:
        return "embedding"
    return "chat" if template else "base"


def _base(values: dict[str, Any]) -> str:
    known = _text(values, "general.base_model.0.name")
    return (
        known or _text(values, "general.base_model.0.repo_url").rpartition("/")[2] or _text(values, "general.basename")
    )


def _per_layer(values: dict[str, Any], key: str, layers: int) -> tuple[int, ...]:
    """A number for each layer, from one number for all or a list; () where the file has neither."""
    value = values.get(key)
    if isinstance(value, list) and all(isinstance(item, int) and item >= 0 for item in value):
        return tuple((value + [0] * layers)[:layers])
    number = _number(values, key)
    return (number,) * layers if number else ()


def _languages(values: dict[str, Any]) -> tuple[str, ...]:
    found = values.get("general.languages")
    return tuple(item for item in found if isinstance(item, str)) if isinstance(found, list) else ()


def _text(values: dict[str, Any], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""


def _number(values: dict[str, Any], key: str) -> int:
    """A whole number that can be a dimension; anything else counts as not given."""
    value = values.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 40 else 0
