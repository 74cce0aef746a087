"""SentencePiece with merges (tokenizer.model): LLaMA 1 and 2, Mistral, Gemma, Baichuan, InternLM, MiniCPM, Phi-3."""

from __future__ import annotations

from typing import Any

from convert.note import note, reason_of
from convert.vocabulary import sentencepiece_file
from convert.vocabulary.sentencepiece_file import SentencePieceFile
from convert.vocabulary.source import Missing, Source, bad, objects
from convert.vocabulary.special import Special
from convert.vocabulary.tokens import (
    CONTROL,
    NORMAL,
    UNUSED,
    USER_DEFINED,
    Tokens,
    decoder_tokens,
    looks_special,
    too_many,
)

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]
_DRAGON = "🐉"  # InternLM 2 has a token of a zero byte, where llama.cpp would see the end of a text
_TURN_END = "<|im_end|>"

SPARE_PIECES = 1024  # published models leave a few of their tokenizer's pieces without a row


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. `pre` has no meaning here.

    Raises Missing, UserError bad_tokenizer, vocabulary_too_large.
    """
    model = opened(source, "tokenizer.model")
    if model.algorithm != sentencepiece_file.BPE:
        raise Missing("spm")
    kind = str(source.config.get("model_type", default=""))
    tokens, notes = tokens_of(source, model)
    if kind.startswith(("phi3", "phimoe", "internlm2")):
        _as_written(source, tokens)
    if kind == "internlm2":
        _mend(tokens)
    special = Special(source, len(tokens.texts))
    found = {**tokens.entries("llama", "default"), **special.entries(), **_prefix(source, kind, model)}
    if kind.startswith("internlm") and kind != "internlm" and _TURN_END in tokens.texts and "eos" in special.ids:
        found["tokenizer.ggml.eos_token_id"] = ("u32", tokens.texts.index(_TURN_END))
    return found, notes


def opened(source: Source, name: str) -> SentencePieceFile:
    """One model file. Raises Missing if it is not there or of another kind, UserError bad_tokenizer."""
    source.check_size(name)
    path = source.folder / name
    try:
        with path.open("rb") as file:
            if file.read(1) != b"\n":  # field 1, a piece: tiktoken's files of the same name begin with a letter
                raise Missing(name)
        return sentencepiece_file.read(path)
    except (ValueError, OSError) as error:
        raise bad(name, reason_of(error)) from None


def tokens_of(source: Source, model: SentencePieceFile) -> tuple[Tokens, tuple[str, ...]]:
    """Pieces, what added_tokens.json and tokenizer_config.json put over them, and padding up to the model's rows."""
    rows = source.rows or len(model.pieces)
    tokens = Tokens.padding(rows)
    for place, piece in enumerate(model.pieces[:rows]):
        # llama.cpp's converter takes what people defined for ordinary text
        kind = NORMAL if piece.kind == USER_DEFINED else piece.kind
        tokens.put(place, piece.text, kind, piece.score)
    notes = _over(source, tokens)
    if len(model.pieces) > rows + SPARE_PIECES:
        raise too_many(len(model.pieces), rows)
    if len(model.pieces) > rows:
        notes += (
            note(
                "pieces_left_out",
                "{count} tokens of the tokenizer have no row in the model and are left out",
                count=len(model.pieces) - rows,
            ),
        )
    return tokens, notes


def _over(source: Source, tokens: Tokens) -> tuple[str, ...]:
    rows, outside = len(tokens.texts), 0
    for text, place in source.json("added_tokens.json").items():
        if isinstance(place, int) and 0 <= place < rows:
            tokens.put(place, text, USER_DEFINED)
        else:
            outside += 1
    for place, token in decoder_tokens(source):
        if place >= rows:
            outside += 1
            continue
        text = str(token["content"])
        if token.get("special") or looks_special(text):
            tokens.put(place, text, CONTROL)
        else:
            tokens.put(place, text.replace("▁", " "), USER_DEFINED)
    spare = sum(kind == UNUSED for kind in tokens.kinds)
    left_out = (f"{outside} added tokens have no row in the model and are left out",) if outside else ()
    return left_out + ((f"{spare} tokens of the model have no text; they are padded",) if spare else ())


def _as_written(source: Source, tokens: Tokens) -> None:
    """Phi-3 and InternLM 2: tokenizer.json has the last word, and tokens stay as they are written."""
    named = [(place, token) for place, token in decoder_tokens(source)]
    named += [(each.get("id", -1), each) for each in objects(source.fast.get("added_tokens"))]
    for place, token in named:
        text = token.get("content")
        if not isinstance(place, int) or not isinstance(text, str) or not 0 <= place < len(tokens.texts):
            raise too_many(place + 1 if isinstance(place, int) else 0, len(tokens.texts))
        tokens.put(place, text, CONTROL if token.get("special") else USER_DEFINED)


def _mend(tokens: Tokens) -> None:
    for place, text in enumerate(tokens.texts):
        if text == "\0":
            tokens.texts[place] = _DRAGON
        elif text.startswith("[UNUSED") and tokens.kinds[place] == NORMAL:
            tokens.kinds[place] = UNUSED


def _prefix(source: Source, kind: str, model: SentencePieceFile) -> dict[str, tuple[str, Any]]:
    """Whether a text gets a space in front, where the files say so."""
    if kind.startswith("gemma"):
        said: Any = False
    elif kind == "internlm2":
        said = model.add_dummy_prefix
    elif kind.startswith(("baichuan", "minicpm", "phi", "qwen", "chatglm")):
        said = None
    else:
        said = source.settings.get("add_prefix_space")
    return {"tokenizer.ggml.add_space_prefix": ("bool", said)} if isinstance(said, bool) else {}
