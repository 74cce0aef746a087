"""ChatGLM 2 and 3: SentencePiece, with special tokens that only the model's code names behind the pieces."""

from __future__ import annotations

from typing import Any

from convert.vocabulary.source import Missing, Source
from convert.vocabulary.special import Special
from convert.vocabulary.spm import opened
from convert.vocabulary.tokens import CONTROL, NORMAL, USER_DEFINED, Tokens, too_many

Read = tuple[dict[str, tuple[str, Any]], tuple[str, ...]]
_BEHIND = ("[MASK]", "[gMASK]", "[sMASK]", "sop", "eop")
_SPEAKERS = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_CODE, _LARGEST_CODE = "tokenization_chatglm.py", 2**20


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. `pre` has no meaning here. Raises Missing, UserError bad_tokenizer, vocabulary_too_large."""
    if source.config.get("model_type") != "chatglm":
        raise Missing("chatglm3")
    model = opened(source, "tokenizer.model")
    behind = _BEHIND if _second(source) else _BEHIND + _SPEAKERS
    count = len(model.pieces) + len(behind)
    rows = source.config.get("padded_vocab_size", "vocab_size", default=count)
    if not isinstance(rows, int) or count > rows:
        raise too_many(count, rows if isinstance(rows, int) else 0)
    tokens = Tokens.padding(rows)
    tokens.scores = [0.0] * rows
    for place, piece in enumerate(model.pieces):
        tokens.put(place, piece.text, NORMAL if piece.kind == USER_DEFINED else piece.kind, piece.score)
    for place, text in enumerate(("<unk>", "<bos>", "<eos>")):
        tokens.texts[place] = text
    for place, text in enumerate(behind, len(model.pieces)):
        tokens.put(place, text, CONTROL, 0.0)
    return {**tokens.entries("llama", "chatglm-spm"), **Special(source, rows).entries()}, ()


def _second(source: Source) -> bool:
    """ChatGLM 2 has no words for who speaks. Both configs are alike, so its code is asked as a text, then its name."""
    code = source.folder / _CODE
    if code.is_file() and code.stat().st_size <= _LARGEST_CODE:
        return _SPEAKERS[1].encode() not in code.read_bytes()
    return "chatglm2" in str(source.config.get("_name_or_path", default="")).lower()
