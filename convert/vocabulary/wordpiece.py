"""WordPiece (BERT): pieces inside a word lose their ##, those that begin one get llama.cpp's mark of a space."""

from __future__ import annotations

from convert.vocabulary.bpe import Read, tokens_of
from convert.vocabulary.pretokenizer import by_hash
from convert.vocabulary.source import Missing, Source
from convert.vocabulary.special import Special
from convert.vocabulary.tokens import CONTROL

USUAL = "bert-bge"  # llama.cpp cuts all WordPiece vocabularies alike, whatever name stands there


def read(source: Source, pre: str = "") -> Read:
    """Entries and notes. Raises Missing, UserError bad_tokenizer, duplicate_tokens, vocabulary_too_large."""
    if source.model.get("type") != "WordPiece":
        raise Missing("wordpiece")
    tokens, notes = tokens_of(source)
    tokens.texts = [_marked(text, kind) for text, kind in zip(tokens.texts, tokens.kinds, strict=True)]
    kinds = source.config.get("type_vocab_size", default=1)
    return {
        "tokenizer.ggml.token_type_count": ("u32", kinds if isinstance(kinds, int) and kinds > 0 else 1),
        **tokens.entries("bert", pre or by_hash(source) or USUAL),
        **Special(source, len(tokens.texts)).entries(),
    }, notes


def _marked(text: str, kind: int) -> str:
    if kind == CONTROL:
        return text
    return text[2:] if text.startswith("##") else "▁" + text
