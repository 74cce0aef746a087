"""The source's own tokenizer: what a text's tokens are by the files of the checkpoint, without llama.cpp."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convert.note import note
from convert.vocabulary import ranks as rank_files
from convert.vocabulary import tekken
from convert.vocabulary.pretokenizer import table
from convert.vocabulary.reading import Vocabulary
from convert.vocabulary.source import Settings, Source, bad, part
from convert.vocabulary.tokens import CONTROL, USER_DEFINED, special_words

Encode = Callable[[str], list[int]]
# Kimi's way to cut, which llama.cpp has in code.
KIMI = (
    r"[\p{Han}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_SENTENCEPIECE = ("sentencepiece.bpe.model", "tokenizer.model", "spiece.model")


class Original:
    """`encode(text)` gives ids without anything around them; `special`: whether it reads special tokens in texts."""

    def __init__(self, vocabulary: Vocabulary, folder: Path, config: Settings) -> None:
        self._source = Source(folder, config)
        self._vocabulary = vocabulary
        self.special = vocabulary.kind in ("bpe", "llama_hf", "gemma4", "wordpiece")
        self.encode: Encode = self._chosen()
        if self.special:
            self._name_special()

    def around(self, text: str) -> list[int] | None:
        """Ids with what the tokenizer adds around a text, None where the files do not say."""
        if not self.special:
            return None
        with self._source.blaming("tokenizer.json"):
            return list(self._source.tokenizer.encode(text).ids)

    def _name_special(self) -> None:
        """Special tokens that only tokenizer_config.json names are read in texts, too."""
        from tokenizers import AddedToken

        texts, kinds = (self._vocabulary.entries[f"tokenizer.ggml.{name}"][1] for name in ("tokens", "token_type"))
        named = special_words(self._source) & {text for text, kind in zip(texts, kinds, strict=True) if kind == CONTROL}
        known = {token.content for token in self._source.tokenizer.get_added_tokens_decoder().values()}
        new = [AddedToken(text, normalized=False, special=True) for text in sorted(named - known)]
        self._source.tokenizer.add_special_tokens(new)

    def _chosen(self) -> Encode:
        kind, folder = self._vocabulary.kind, self._source.folder
        file = next((name for name in _SENTENCEPIECE if (folder / name).is_file()), "")
        if kind == "tiktoken":
            return self._by_ranks()
        if kind == "tekken":
            return self._by_tekken()
        if kind in ("spm", "chatglm", "unigram") and file:
            return self._by_sentencepiece(file)
        return self._by_tokenizer

    def _by_tokenizer(self, text: str) -> list[int]:
        with self._source.blaming("tokenizer.json"):
            return list(self._source.tokenizer.encode(text, add_special_tokens=False).ids)

    def _by_sentencepiece(self, name: str) -> Encode:
        """By the pieces' texts: XLM-RoBERTa numbers them otherwise than its file."""
        from sentencepiece import SentencePieceProcessor

        with self._source.blaming(name):
            pieces = SentencePieceProcessor(model_file=str(self._source.folder / name))
        shifted = 1 if name == _SENTENCEPIECE[0] else 0
        usual = 3 if shifted else pieces.unk_id()
        unknown = int(self._vocabulary.entries.get("tokenizer.ggml.unknown_token_id", ("u32", usual))[1])

        def encode(text: str) -> list[int]:
            ids = pieces.encode(text)
            return [unknown if piece == pieces.unk_id() else int(piece) + shifted for piece in ids]

        return encode

    def _by_ranks(self) -> Encode:
        kind, known = rank_files.opened(self._source)
        way = table().way(self._vocabulary.pre)
        regexes = (KIMI,) if kind.pre == "kimi-k2" else way.split if way else ()
        return _rank_encoder(known, list(regexes))

    def _by_tekken(self) -> Encode:
        whole = self._source.json("tekken.json")
        special, tokens = tekken.opened(whole)
        regex = part(whole, "config").get("pattern")
        if not isinstance(regex, str):
            raise bad("tekken.json", note("cutting_unsaid", "it does not say how texts are cut"))
        return _rank_encoder({token: place + len(special) for place, token in enumerate(tokens)}, [regex])


def _rank_encoder(known: dict[bytes, int], regexes: list[str]) -> Encode:
    """As tiktoken does it: cut by regular expressions, then join what has the lowest rank."""
    from tokenizers import Regex, pre_tokenizers

    cutters = [pre_tokenizers.Split(Regex(regex), "isolated") for regex in regexes]
    cut = pre_tokenizers.Sequence(cutters)

    def encode(text: str) -> list[int]:
        found: list[int] = []
        for piece, _ in cut.pre_tokenize_str(text):
            raw = piece.encode("utf-8")
            whole = known.get(raw)
            found += [whole] if whole is not None else [known[each] for each in rank_files.joined(known, raw)]
        return found

    return encode


def written_tokens(entries: dict[str, tuple[str, Any]]) -> re.Pattern[str] | None:
    """Matches texts that hold a special or added token, which SentencePiece alone does not know."""
    texts, kinds = entries["tokenizer.ggml.tokens"][1], entries["tokenizer.ggml.token_type"][1]
    named = [text for text, kind in zip(texts, kinds, strict=True) if kind in (CONTROL, USER_DEFINED) and text]
    return re.compile("|".join(map(re.escape, named))) if named else None
