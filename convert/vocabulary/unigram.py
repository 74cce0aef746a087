"""Unigram: T5's spiece.model, XLM-RoBERTa's sentencepiece.bpe.model, or either's tokenizer.json."""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Any

from convert.note import note
from convert.vocabulary import sentencepiece_file
from convert.vocabulary.sentencepiece_file import SentencePieceFile
from convert.vocabulary.source import LARGEST_VOCABULARY, Missing, Source, bad, objects, part
from convert.vocabulary.special import Special
from convert.vocabulary.spm import opened
from convert.vocabulary.tokens import (
    CONTROL,
    NORMAL,
    UNKNOWN,
    UNUSED,
    USER_DEFINED,
    Tokens,
    added_tokens,
    padded,
    special_words,
    too_many,
)

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]
_REALIGNED = (("<s>", CONTROL), ("<pad>", CONTROL), ("</s>", CONTROL), ("<unk>", UNKNOWN))
_NOMIC_MASK = 250001
_T5_UNKNOWN = 2


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. Raises Missing, UserError bad_tokenizer, vocabulary_too_large."""
    names = ("sentencepiece.bpe.model", "tokenizer.model", "spiece.model")
    name = next((each for each in names if (source.folder / each).is_file()), "")
    if name:
        model = opened(source, name)
        if model.algorithm != sentencepiece_file.UNIGRAM:
            raise Missing("unigram")
        encoder = name == names[0]
        tokens = _realigned(source, model) if encoder else _pieces(source, model)
        return _whole(source, tokens, encoder, (model.add_dummy_prefix, model.remove_extra_whitespaces, model.charsmap))
    if source.model.get("type") != "Unigram":
        raise Missing("unigram")
    return _whole(source, _from_json(source), source.config.get("d_kv") is None, _json_flags(source))


def _whole(source: Source, tokens: Tokens, encoder: bool, flags: tuple[bool, bool, bytes]) -> Read:
    prefix, remove, charsmap = flags
    found = tokens.entries("t5", "default")
    found["tokenizer.ggml.add_space_prefix"] = ("bool", prefix)
    if encoder:
        kinds = source.config.get("type_vocab_size", default=1)
        found["tokenizer.ggml.token_type_count"] = ("u32", kinds if isinstance(kinds, int) and kinds > 0 else 1)
    found["tokenizer.ggml.remove_extra_whitespaces"] = ("bool", remove)
    if charsmap:
        found["tokenizer.ggml.precompiled_charsmap"] = ("[u8]", charsmap)
    spare = sum(kind == UNUSED for kind in tokens.kinds)
    return {**found, **_unknown(tokens), **Special(source, len(tokens.texts)).entries()}, padded(spare)


def _unknown(tokens: Tokens) -> dict[str, tuple[str, Any]]:
    """Where the unknown piece is not T5's, which llama.cpp takes for granted: XLM-R has the end of a text there."""
    place = next((place for place, kind in enumerate(tokens.kinds) if kind == UNKNOWN), _T5_UNKNOWN)
    return {} if place == _T5_UNKNOWN else {"tokenizer.ggml.unknown_token_id": ("u32", place)}


def _pieces(source: Source, model: SentencePieceFile) -> Tokens:
    rows = source.rows or len(model.pieces)
    if len(model.pieces) > rows:
        raise too_many(len(model.pieces), rows)
    tokens = Tokens.padding(rows)
    for place, piece in enumerate(model.pieces):
        tokens.put(place, piece.text, NORMAL if piece.kind == USER_DEFINED else piece.kind, piece.score)
    for text, place in source.json("added_tokens.json").items():
        if isinstance(place, int) and 0 <= place < rows:
            tokens.put(place, text, USER_DEFINED)
    return tokens


def _realigned(source: Source, model: SentencePieceFile) -> Tokens:
    """fairseq's order: four tokens of its own in front, everything else one place further."""
    rows = max(source.rows, len(model.pieces))
    tokens = Tokens.padding(rows)
    for place, (text, kind) in enumerate(_REALIGNED):
        tokens.put(place, text, kind, 0.0)
    for place, piece in enumerate(model.pieces[3 : rows - 1]):
        tokens.put(place + 4, piece.text, NORMAL if piece.kind == USER_DEFINED else piece.kind, piece.score)
    for place in range(len(model.pieces) + 1, rows):  # the padding moves, too
        tokens.put(place, f"[PAD{place - 1}]", UNUSED, -10000.0)
    if source.config.get("moe_every_n_layers") and rows > _NOMIC_MASK:
        tokens.put(_NOMIC_MASK, "<mask>", CONTROL, 0.0)
    return tokens


def _from_json(source: Source) -> Tokens:
    pieces = source.model.get("vocab")
    if not isinstance(pieces, list) or not 0 < len(pieces) <= LARGEST_VOCABULARY or not all(map(_is_piece, pieces)):
        raise bad("tokenizer.json", note("no_scored_pieces", "it holds no list of pieces with their scores"))
    rows = max(source.rows, len(pieces))
    tokens = Tokens.padding(rows)
    for place, (text, score) in enumerate(pieces):
        tokens.put(place, text, NORMAL, float(score))
    _kinds(source, tokens, len(pieces))
    return tokens


def _kinds(source: Source, tokens: Tokens, known: int) -> None:
    special = special_words(source)
    added = {
        each.place: each for each in added_tokens(source, {text: i for i, text in enumerate(tokens.texts[:known])})
    }
    words = source.settings.get("unk_token")
    named = next((place for place, each in added.items() if each.text == words), source.model.get("unk_id", 3))
    for place, each in added.items():
        if place >= len(tokens.texts):
            raise too_many(place + 1, len(tokens.texts))
        score = tokens.scores[place] if place < known else 0.0
        tokens.put(place, each.text, CONTROL if each.text in special else USER_DEFINED, score)
    if isinstance(named, int) and 0 <= named < len(tokens.texts):
        tokens.kinds[named] = UNKNOWN


def _is_piece(piece: Any) -> bool:
    return (
        isinstance(piece, list) and len(piece) == 2 and isinstance(piece[0], str) and isinstance(piece[1], int | float)
    )


def _json_flags(source: Source) -> tuple[bool, bool, bytes]:
    """Space in front, runs of spaces made one, the normalizer's table."""
    prefix = source.settings.get("add_prefix_space")
    normalizers = part(source.fast, "normalizer")
    steps = [normalizers, *objects(normalizers.get("normalizers"))]
    table = next((each.get("precompiled_charsmap") for each in steps if each.get("precompiled_charsmap")), "")
    try:
        charsmap = b64decode(str(table), validate=True)
    except (ValueError, binascii.Error):
        raise bad("tokenizer.json", note("charsmap_damaged", "its precompiled_charsmap is damaged")) from None
    return prefix is not False, _joins_spaces(source, steps), charsmap


def _joins_spaces(source: Source, steps: list[dict[str, Any]]) -> bool:
    """XLM-RoBERTa cuts at white space before anything else; T5's newer files replace runs of spaces."""
    cutters = part(source.fast, "pre_tokenizer")
    kinds = [each.get("type") for each in (cutters, *objects(cutters.get("pretokenizers")))]
    return "WhitespaceSplit" in kinds or any(part(each, "pattern").get("Regex") == " {2,}" for each in steps)
