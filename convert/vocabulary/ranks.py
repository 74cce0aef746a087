"""tiktoken's files: tokens as bytes with their rank; the two parts of a token are found by joining it again."""

from __future__ import annotations

import binascii
from base64 import b64decode
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.note import note
from convert.vocabulary.byte_text import text_of
from convert.vocabulary.pretokenizer import table
from convert.vocabulary.source import LARGEST_VOCABULARY, Missing, Source, bad
from convert.vocabulary.special import Special
from convert.vocabulary.tokens import CONTROL, NORMAL, Tokens, decoder_tokens, too_many

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]
_EXTRAS = tuple(f"<|extra_{i}|>" for i in range(205))
_RESERVED = 256  # Kimi: so many special tokens, those without a name are reserved
_LONGEST = 1024  # bytes of one token


@dataclass(frozen=True)
class Kind:
    """A file's name, its way to cut texts, and the special tokens that only the model's code names."""

    file: str
    pre: str
    special: tuple[str, ...] = ()
    reserved: int = 0


KINDS = (
    Kind("qwen.tiktoken", "qwen2", ("<|endoftext|>", "<|im_start|>", "<|im_end|>", *_EXTRAS)),
    Kind("tiktoken.model", "kimi-k2", reserved=_RESERVED),
    Kind("hy.tiktoken", "hunyuan", ("<|endoftext|>", "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>", *_EXTRAS)),
    Kind("arcade100k.tiktoken", "stablelm2", ("<|endoftext|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")),
    Kind("tokenizer.model", "chatglm-bpe"),
)


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. `pre` overrides the usual one of this file.

    Raises Missing, UserError bad_tokenizer, vocabulary_too_large.
    """
    kind, ranks = opened(source)
    name = pre or kind.pre
    tokens, special_places, notes = _tokens(source, kind, ranks)
    special = Special(source, len(tokens.texts))
    _name_ends(kind, special, special_places)
    if table().has(name, "add_bos"):
        special.adds.setdefault("bos", False)
    merges: dict[str, tuple[str, Any]] = {"tokenizer.ggml.merges": ("[str]", merges_of(ranks))}
    found = {**tokens.entries("gpt2", name), **merges, **special.entries()}
    if kind.file == "hy.tiktoken":
        found["tokenizer.ggml.bos_token_id"] = (
            "u32",
            special_places["<|startoftext|>" if _dense(source) else "<|bos|>"],
        )
    return found, notes


def _dense(source: Source) -> bool:
    return not source.config.get("num_experts")


def _name_ends(kind: Kind, special: Special, places: dict[str, int]) -> None:
    """Qwen 1 ends texts with the token that its code names; config.json as a rule says nothing of it."""
    end = places.get("<|endoftext|>")
    if kind.file in ("qwen.tiktoken", "arcade100k.tiktoken") and end is not None:
        for name in ("unk",) if special.ids else ("bos", "eos", "unk"):
            special.set(name, end)


def opened(source: Source) -> tuple[Kind, dict[bytes, int]]:
    """The kind of file that is there, and its tokens. Raises Missing, UserError bad_tokenizer."""
    for kind in KINDS:
        path = source.folder / kind.file
        if path.is_file() and not _is_protobuf(path):
            source.check_size(kind.file)
            return kind, _parsed(path)
    raise Missing("tiktoken")


def _is_protobuf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(1) == b"\n"


def _parsed(path: Path) -> dict[bytes, int]:
    """Lines of base64, a space, a rank."""
    ranks: dict[bytes, int] = {}
    try:
        for line in path.read_bytes().splitlines():
            if line.strip():
                token, rank = line.split()
                ranks[b64decode(token, validate=True)] = int(rank)
    except (ValueError, binascii.Error) as error:
        raise bad(path.name, str(error)) from None
    if not ranks or len(set(ranks.values())) < len(ranks) or any(len(token) > _LONGEST for token in ranks):
        raise bad(path.name, note("ranks_not_each", "its ranks are not one for each token"))
    if not 0 <= min(ranks.values()) <= max(ranks.values()) < LARGEST_VOCABULARY:
        raise bad(path.name, note("ranks_out_of_range", "its ranks are out of range"))
    return ranks


def special_of(source: Source, kind: Kind, ranks: dict[bytes, int]) -> dict[str, int]:
    """Special tokens and their numbers: named by the settings, by the kind, and those reserved."""
    first = max(ranks.values()) + 1
    places = {text: first + i for i, text in enumerate(kind.special)}
    named = {place: str(token["content"]) for place, token in decoder_tokens(source)}
    reserved = {i: f"<|reserved_token_{i}|>" for i in range(first, first + kind.reserved)}
    return places | {text: place for place, text in (reserved | named).items()}


def _tokens(source: Source, kind: Kind, ranks: dict[bytes, int]) -> tuple[Tokens, dict[str, int], tuple[str, ...]]:
    special = special_of(source, kind, ranks)
    count = max([*ranks.values(), *special.values()]) + 1
    rows = source.rows or count
    if count > rows:
        raise too_many(count, rows)
    tokens = Tokens.padding(rows, scored=False)
    for token, rank in ranks.items():
        tokens.put(rank, text_of(token), NORMAL)
    for text, place in special.items():
        tokens.put(place, text, CONTROL)
    spare = rows - len(ranks) - len(set(special.values()))
    return tokens, special, (f"{spare} tokens of the model have no text; they are padded",) if spare > 0 else ()


def merges_of(ranks: dict[bytes, int]) -> list[str]:
    """The merges that make the same tokens, in the ranks' order. A token that two parts do not make has none."""
    found = []
    for token, rank in sorted(ranks.items(), key=lambda each: each[1]):
        if len(token) > 1:
            parts = joined(ranks, token, rank)
            if len(parts) == 2:
                found.append(f"{text_of(parts[0])} {text_of(parts[1])}")
    return found


def joined(ranks: dict[bytes, int], text: bytes, below: int | None = None) -> list[bytes]:
    """A text's bytes joined, lowest rank first, with ranks under `below` only."""
    parts = [text[i : i + 1] for i in range(len(text))]
    scores = [ranks.get(parts[i] + parts[i + 1]) for i in range(len(parts) - 1)]
    while scores:
        best = (
            min((score, i) for i, score in enumerate(scores) if score is not None)
            if any(score is not None for score in scores)
            else None
        )
        if best is None or (below is not None and best[0] >= below):
            break
        at = best[1]
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
        del scores[at]
        if at < len(scores):
            scores[at] = ranks.get(parts[at] + parts[at + 1])
        if at:
            scores[at - 1] = ranks.get(parts[at - 1] + parts[at])
    return parts
