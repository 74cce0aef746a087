"""tekken.json, Mistral's own format: bytes with ranks as tiktoken has them, special tokens in front."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from convert.note import note
from convert.vocabulary.byte_text import text_of
from convert.vocabulary.source import LARGEST_VOCABULARY, Missing, Source, bad, objects, part
from convert.vocabulary.special import template_entries
from convert.vocabulary.tokens import CONTROL, NORMAL, Tokens, too_many

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]
# Where an older file does not name its special tokens, their order is this.
_USUAL = (
    *("<unk>", "<s>", "</s>", "[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]"),
    *("[/TOOL_RESULTS]", "[TOOL_CALLS]", "[IMG]", "<pad>", "[IMG_BREAK]", "[IMG_END]", "[PREFIX]", "[MIDDLE]"),
    *("[SUFFIX]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]", "[TOOL_CONTENT]"),
)


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. `pre` overrides "tekken". Raises Missing, UserError bad_tokenizer, vocabulary_too_large."""
    tekken = source.json("tekken.json")
    if not tekken:
        raise Missing("tekken")
    special, ranks = opened(tekken)
    tokens = Tokens([*special, *map(text_of, ranks)], [CONTROL] * len(special) + [NORMAL] * len(ranks))
    rows = source.rows or len(tokens.texts)
    if len(tokens.texts) > rows:
        raise too_many(len(tokens.texts), rows)
    tokens.texts += [f"[PAD{place}]" for place in range(len(tokens.texts), rows)]
    tokens.kinds += [5] * (rows - len(tokens.kinds))
    tokens.scores = [0.0] * rows
    merges: dict[str, tuple[str, Any]] = {"tokenizer.ggml.merges": ("[str]", merges_of(ranks))}
    found = {**tokens.entries("gpt2", pre or "tekken"), **merges, **_ids(special)}
    alone = source.folder / "chat_template.jinja"
    return found | (template_entries(alone.read_text(encoding="utf-8")) if alone.is_file() else {}), ()


def opened(tekken: dict[str, Any]) -> tuple[list[str], list[bytes]]:
    """Special tokens and ordinary ones, each in the order of their numbers. Raises UserError bad_tokenizer."""
    settings = part(tekken, "config")
    size, count = settings.get("default_vocab_size"), settings.get("default_num_special_tokens")
    if not isinstance(size, int) or not isinstance(count, int) or not 0 < count < size <= LARGEST_VOCABULARY:
        raise bad("tekken.json", note("no_sizes", "its sizes cannot be"))
    try:
        ranks = [b64decode(str(each["token_bytes"]), validate=True) for each in objects(tekken.get("vocab"))]
    except (KeyError, ValueError, binascii.Error) as error:
        raise bad("tekken.json", note("token_damaged", "a token is damaged ({error})", error=str(error))) from None
    if len(ranks) < size - count or len(ranks) < 256:
        raise bad("tekken.json", note("tokens_missing", "tokens are missing"))
    named = {each.get("rank"): str(each.get("token_str")) for each in objects(tekken.get("special_tokens"))}
    usual = dict(enumerate(_USUAL))
    return [str((named or usual).get(i, f"<SPECIAL_{i}>")) for i in range(count)], ranks[: size - count]


def merges_of(ranks: list[bytes]) -> list[str]:
    """All pairs of tokens that make a token, as upstream writes them: lowest ranks of the parts first."""
    places = {token: rank for rank, token in enumerate(ranks)}
    found = []
    for token in ranks[256:]:
        pairs = [(token[:i], token[i:]) for i in range(1, len(token))]
        known = [(places[one], places[two], one, two) for one, two in pairs if one in places and two in places]
        if not known:
            raise bad("tekken.json", note("token_of_none", "no two tokens make the token {token}", token=repr(token)))
        found += [f"{text_of(one)} {text_of(two)}" for _, _, one, two in sorted(known)]
    return found


def _ids(special: list[str]) -> dict[str, tuple[str, Any]]:
    """BOS, EOS, UNK, and padding, which falls back to EOS; a text begins with BOS."""
    names = {"bos": "<s>", "eos": "</s>", "unknown": "<unk>", "padding": "<pad>" if "<pad>" in special else "</s>"}
    found: dict[str, tuple[str, Any]] = {
        f"tokenizer.ggml.{name}_token_id": ("u32", special.index(text))
        for name, text in names.items()
        if text in special
    }
    return {
        **found,
        "tokenizer.ggml.add_bos_token": ("bool", True),
        "tokenizer.ggml.add_eos_token": ("bool", False),
    }
