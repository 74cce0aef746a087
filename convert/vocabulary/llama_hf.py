"""SentencePiece's BPE left as tokenizer.json only: LLaMA 2's fine-tunes without tokenizer.model, and Gemma 4."""

from __future__ import annotations

import re
from typing import Any

from convert.vocabulary.bpe import merges_of
from convert.vocabulary.source import Missing, Source, part
from convert.vocabulary.special import Special
from convert.vocabulary.tokens import (
    ADDED_SCORE,
    BYTE,
    CONTROL,
    NORMAL,
    UNKNOWN,
    USER_DEFINED,
    Tokens,
    added_tokens,
    by_place,
    padded,
    special_words,
    too_many,
    vocabulary_of,
)

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
_USUAL = ("<unk>", "<s>", "</s>")  # what LlamaTokenizer has where nothing is said
# Gemma 4: what a chat's parser must see
_SHOWN = ("<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", '<|"|>')


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. `pre` has no meaning here.

    Scores say which parts are joined first. Upstream writes the same for all, and llama.cpp then joins from the left;
    here they are the merges' order. Raises Missing, UserError bad_tokenizer, duplicate_tokens, vocabulary_too_large.
    """
    if not _is_that(source):
        raise Missing("llama_hf")
    gemma4 = str(source.config.get("model_type", default="")).startswith("gemma4")
    tokens, notes = _tokens(source)
    merges = merges_of(source)
    if gemma4:
        tokens.kinds = [
            USER_DEFINED if text in _SHOWN else kind for text, kind in zip(tokens.texts, tokens.kinds, strict=True)
        ]
        found = tokens.entries("gemma4", "")
        found |= {"tokenizer.ggml.merges": ("[str]", merges), **Special(source).entries()}
        return found | _flags(add_space_prefix=False, add_bos_token=True), notes
    _score(tokens, merges)
    found = {**tokens.entries("llama", "default"), **Special(source, len(tokens.texts)).entries()}
    prefix = source.settings.get("add_prefix_space")
    if str(source.config.get("model_type", default="")).startswith("gemma"):
        prefix = False
    return found | (_flags(add_space_prefix=prefix) if isinstance(prefix, bool) else {}), notes


def _is_that(source: Source) -> bool:
    model, decoder = source.model, part(source.fast, "decoder")
    return model.get("type") == "BPE" and model.get("byte_fallback") is True and decoder.get("type") == "Sequence"


def _flags(**flags: bool) -> dict[str, tuple[str, Any]]:
    return {f"tokenizer.ggml.{name}": ("bool", value) for name, value in flags.items()}


def _tokens(source: Source) -> tuple[Tokens, tuple[str, ...]]:
    known = vocabulary_of(source)
    added = added_tokens(source, known)
    texts = by_place([*known.items(), *((each.text, each.place) for each in added)])
    rows = max(texts) + 1
    wanted = source.rows or rows
    if rows > wanted:
        raise too_many(rows, wanted)
    tokens = Tokens.padding(wanted)
    special = special_words(source)
    if "Llama" in str(source.settings.get("tokenizer_class", "")):
        special |= set(_USUAL)
    for place, text in texts.items():
        tokens.put(place, text, _kind(text, text in special, text in known), ADDED_SCORE)
    unknown = source.model.get("unk_token")
    if isinstance(unknown, str) and unknown in known and unknown not in special:
        tokens.kinds[known[unknown]] = UNKNOWN
    spare = wanted - len(texts)
    return tokens, padded(spare)


def _kind(text: str, special: bool, known: bool) -> int:
    if _BYTE.fullmatch(text) and known:
        return BYTE
    if special:
        return CONTROL
    return NORMAL if known else USER_DEFINED


def _score(tokens: Tokens, merges: list[str]) -> None:
    places = {text: place for place, text in enumerate(tokens.texts)}
    for order, merge in enumerate(merges):
        one, _, other = merge.partition(" ")
        place = places.get(one + other)
        if place is not None and tokens.scores[place] == ADDED_SCORE and tokens.kinds[place] == NORMAL:
            tokens.scores[place] = -float(order)
