"""BPE over bytes as tokenizer.json has it: GPT-2, LLaMA 3, Qwen, DeepSeek, Falcon … WordPiece is read with it, too."""

from __future__ import annotations

from typing import Any

from convert.note import note
from convert.vocabulary.pretokenizer import recognize, table
from convert.vocabulary.source import TOKENIZER, Missing, Source, bad
from convert.vocabulary.special import Special
from convert.vocabulary.tokens import (
    CONTROL,
    NORMAL,
    USER_DEFINED,
    Added,
    Tokens,
    added_tokens,
    by_place,
    looks_special,
    padded,
    too_many,
    vocabulary_of,
)

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. `pre` overrides what is recognized.

    Raises Missing, UserError bad_tokenizer, duplicate_tokens, unknown_pretokenizer, vocabulary_too_large.
    """
    if source.model.get("type", "BPE") != "BPE" or not source.fast:
        raise Missing("bpe")
    merges = merges_of(source)
    tokens, notes = tokens_of(source)
    name, more = recognize(source, pre)
    special = Special(source)
    if table().has(name, "add_bos"):
        special.adds.setdefault("bos", False)  # or llama.cpp would add one that the tokenizer does not
    found = {**tokens.entries("gpt2", name), "tokenizer.ggml.merges": ("[str]", merges), **special.entries()}
    return found, (*notes, *more, *_by_class(source))


def _by_class(source: Source) -> tuple[str, ...]:
    """How texts are cut stands in no file of this tokenizer: both sides of the comparison go by its class's name."""
    if (source.folder / TOKENIZER).is_file():
        return ()
    return (note("cut_by_class", "There is no tokenizer.json; texts are cut as this class of tokenizers does it"),)


def merges_of(source: Source) -> list[str]:
    """Merges in order, the two parts with a space between; a space inside a part becomes Ġ.

    Raises UserError bad_tokenizer for a file without or with damaged ones.
    """
    found = source.model.get("merges") or _merges_file(source)
    if not isinstance(found, list) or not found:
        raise bad("tokenizer.json", note("no_merges", "it has no merges"))
    if all(isinstance(merge, str) for merge in found):
        return found
    if not all(isinstance(m, list) and len(m) == 2 and all(isinstance(p, str) for p in m) for m in found):
        raise bad("tokenizer.json", note("merges_no_pairs", "its merges are not pairs of texts"))
    return [" ".join(each.replace(" ", "Ġ") for each in merge) for merge in found]


def _merges_file(source: Source) -> list[str]:
    path = source.folder / "merges.txt"
    if not path.is_file():
        return []
    source.check_size(path.name)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split() for line in lines[1 if lines and lines[0].startswith("#") else 0 :]]
    return [" ".join(pair) for pair in pairs if len(pair) == 2]


def tokens_of(source: Source) -> tuple[Tokens, tuple[str, ...]]:
    """All tokens with their kinds, padded up to config.json's vocab_size, and notes.

    Raises UserError bad_tokenizer, duplicate_tokens, vocabulary_too_large.
    """
    known = vocabulary_of(source)
    added = {each.place: each for each in added_tokens(source, known)}
    texts = by_place([*known.items(), *((each.text, each.place) for each in added.values())])
    rows = source.rows or max(texts) + 1
    if max(texts) >= rows:
        raise too_many(max(texts) + 1, rows)
    tokens = Tokens.padding(rows, scored=False)
    for place, text in texts.items():
        tokens.put(place, *_kind(source, added[place]) if place in added else (text, NORMAL))
    spare = rows - len(texts)
    return tokens, padded(spare)


def _kind(source: Source, token: Added) -> tuple[str, int]:
    """llama.cpp takes special and added tokens for text that the tokenizer has already normalized."""
    text = token.text if token.normalized else _again(source, token.text)
    if token.special or looks_special(text):
        return text, CONTROL
    return text.replace("▁", " "), USER_DEFINED


def _again(source: Source, text: str) -> str:
    """Encoded and decoded. A token that does not survive that stays as it is written."""
    with source.blaming("tokenizer.json"):
        ids = source.tokenizer.encode(text, add_special_tokens=False).ids
        again = str(source.tokenizer.decode(ids, skip_special_tokens=False))
    return text if "\ufffd" in again else again
