"""Tokenizer folders of a few thousand tokens, cut from GPT-2's and LLaMA's, and what is asked of config.json."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import vocabulary_kit as kit

from convert.config import Config
from convert.vocabulary.byte_text import bytes_of

SIZE = 3000
LETTERS_OF_BYTES = 256


def config(**values: Any) -> Config:
    """A config.json with these keys."""
    return Config(dict(values))


def gpt2_words(size: int = SIZE) -> list[str]:
    """GPT-2's first tokens, in its own spelling: 256 letters of bytes, then one token a merge."""
    return list(kit.shipped("gpt-2")["tokenizer.ggml.tokens"][1][:size])


def gpt2_json(size: int = SIZE) -> dict[str, Any]:
    """A tokenizer.json of GPT-2's kind, its last number the end of a text."""
    words = gpt2_words(size)
    end = {"id": size, "content": "<|endoftext|>", "special": True, "normalized": False}
    return {
        "version": "1.0",
        "added_tokens": [end | dict.fromkeys(("single_word", "lstrip", "rstrip"), False)],
        "normalizer": None,
        "pre_tokenizer": kit.BYTES,
        "post_processor": None,
        "decoder": kit.BYTES,
        "model": {
            "type": "BPE",
            "vocab": {word: place for place, word in enumerate(words)},
            "merges": kit.shipped("gpt-2")["tokenizer.ggml.merges"][1][: size - LETTERS_OF_BYTES],
        },
    }


def write(folder: Path, tokenizer: dict[str, Any] | None = None, settings: dict[str, Any] | None = None) -> Path:
    """The two files; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is not None:
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    if settings is not None:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def ranks_file(path: Path, size: int = SIZE) -> None:
    """GPT-2's tokens as a tiktoken file."""
    raws = [bytes_of(word) or b"" for word in gpt2_words(size)]
    lines = [f"{b64encode(raw).decode()} {rank}" for rank, raw in enumerate(raws)]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")
