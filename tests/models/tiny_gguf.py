"""Writes small GGUF files, right ones and every kind of wrong one, byte by byte."""

from __future__ import annotations

import struct
from typing import Any

MODEL: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 1,
    "general.license": "mit",
    "llama.context_length": 512,
    "llama.block_count": 2,
    "llama.embedding_length": 64,
    "llama.feed_forward_length": 128,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.chat_template": "{{ messages }}",
}


def text(value: str) -> bytes:
    """A string: its length, then its bytes."""
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(item: Any) -> bytes:
    """A value with its type in front: a bool, whole number, float, text or list of one kind."""
    for kind, code, number in ((bool, "?", 7), (int, "I", 4), (float, "f", 6)):
        if isinstance(item, kind):
            return struct.pack("<I" + code, number, item)
    if isinstance(item, str):
        return struct.pack("<I", 8) + text(item)
    items = [value(part) for part in item]
    kind_of = items[0][:4] if items else struct.pack("<I", 4)
    return struct.pack("<I", 9) + kind_of + struct.pack("<Q", len(items)) + b"".join(part[4:] for part in items)


def tensor(name: str, shape: tuple[int, ...], kind: int, offset: int) -> bytes:
    """The entry of one tensor."""
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset)


def gguf(
    values: dict[str, Any] | None = None,
    shapes: tuple[tuple[int, ...], ...] = ((64, 3),),
    version: int = 3,
    claimed_tensors: int | None = None,
    claimed_keys: int | None = None,
    data: bytes | None = None,
) -> bytes:
    """A whole file with F16 tensors of these shapes; the claims make its counts lie."""
    known = MODEL if values is None else values
    offset, entries = 0, b""
    for number, shape in enumerate(shapes):
        entries += tensor(f"blk.{number}.weight", shape, 1, offset)
        size = 2
        for side in shape:
            size *= side
        offset += -(-size // 32) * 32
    head = struct.pack(
        "<4sIQQ",
        b"GGUF",
        version,
        len(shapes) if claimed_tensors is None else claimed_tensors,
        len(known) if claimed_keys is None else claimed_keys,
    )
    head += b"".join(text(key) + value(item) for key, item in known.items()) + entries
    return head + bytes(-len(head) % 32) + (bytes(offset) if data is None else data)
