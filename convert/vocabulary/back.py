"""GGUF metadata -> tokenizer files as Hugging Face lays them out: the same ids as llama.cpp makes of a text."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convert.vocabulary import sentencepiece_file as spm
from convert.vocabulary.original import KIMI
from convert.vocabulary.pretokenizer import table
from convert.vocabulary.tokens import BYTE, CONTROL, NORMAL, UNKNOWN, UNUSED, USER_DEFINED
from engine.api.errors import UserError

Entries = dict[str, tuple[str, Any]]
_KEYS = {"unk": "unknown", "sep": "seperator", "pad": "padding"}
_NAMES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
_CLASSES = {"bert": "BertTokenizer", "llama": "LlamaTokenizer"}
_OWN_WAYS = {"kimi-k2": (KIMI,)}  # llama.cpp has these in code, and only a mark of them in its table
_WITHOUT_BYTES = ("gemma4", "granite-embed-multi-311m", "sarvam-moe")


def to_huggingface(entries: Entries, folder: Path) -> None:
    """Write tokenizer.json or tokenizer.model, and tokenizer_config.json, from a GGUF file's tokenizer.* metadata.

    Raises UserError tokenizer_without_files for kinds that no such file can hold.
    """
    words = _Words(entries)
    makers: dict[str, Callable[[_Words], dict[str, Any]]] = {
        "gpt2": _byte_level,
        "gemma4": _byte_fallback,
        "bert": _wordpiece,
        "t5": _unigram,
    }
    if words.model == "llama":
        spm.write(folder / "tokenizer.model", _sentencepiece(words))
    elif words.model in makers:
        _save(folder / "tokenizer.json", makers[words.model](words))
    else:
        raise _impossible(words.model)
    _save(folder / "tokenizer_config.json", _settings(words))


class _Words:
    """The metadata by our words. `tokens`: number, text, kind, without padding."""

    def __init__(self, entries: Entries) -> None:
        self.entries = entries
        self.model = str(self.get("model", ""))
        self.pre = str(self.get("pre", "default"))
        self.texts: list[str] = self.get("tokens", [])
        self.kinds: list[int] = self.get("token_type", [NORMAL] * len(self.texts))
        self.scores: list[float] = self.get("scores", [0.0] * len(self.texts))
        counted = enumerate(zip(self.texts, self.kinds, strict=True))
        self.tokens = [(i, text, kind) for i, (text, kind) in counted if kind != UNUSED and text != f"[PAD{i}]"]

    def get(self, name: str, usual: Any = None) -> Any:
        """An entry of tokenizer.ggml."""
        return self.entries.get(f"tokenizer.ggml.{name}", ("", usual))[1]

    def special(self, name: str) -> int | None:
        """The number of bos, eos, unk …"""
        place = self.get(f"{_KEYS.get(name, name)}_token_id")
        return place if isinstance(place, int) and 0 <= place < len(self.texts) else None

    def text(self, name: str) -> str | None:
        """The text of bos, eos, unk …"""
        place = self.special(name)
        return None if place is None else self.texts[place]

    def adds(self, name: str) -> bool:
        """Whether llama.cpp puts bos or eos around a text where nothing else is said."""
        usual = {"bos": self.model in ("llama", "bert", "gemma4"), "eos": self.model in ("t5", "bert")}[name]
        return bool(self.get(f"add_{name}_token", usual or (name == "bos" and table().has(self.pre, "add_bos"))))


def _save(path: Path, values: dict[str, Any]) -> None:
    path.write_text(json.dumps(values, ensure_ascii=False), encoding="utf-8")


def _impossible(kind: str) -> UserError:
    return UserError(
        "tokenizer_without_files",
        f"A vocabulary of the kind {kind} cannot be written as tokenizer files.",
        "Take the tokenizer files from the page of the model that this file was made from.",
        kind=kind,
    )


def _whole(words: _Words, model: dict[str, Any], around: tuple[str | None, str | None], **parts: Any) -> dict[str, Any]:
    usual = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": _added(words), "normalizer": None}
    return {**usual, "pre_tokenizer": None, "post_processor": _template(words, *around), **parts, "model": model}


def _added(words: _Words) -> list[dict[str, Any]]:
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    kinds = (CONTROL, USER_DEFINED, UNKNOWN)
    return [
        {"id": place, "content": text, **flags, "special": kind != USER_DEFINED}
        for place, text, kind in words.tokens
        if kind in kinds
    ]


def _template(words: _Words, before: str | None, after: str | None) -> dict[str, Any] | None:
    if not before and not after:
        return None

    def around(name: str, kind: int) -> list[dict[str, Any]]:
        one, other = ([{"SpecialToken": {"id": text, "type_id": kind}}] if text else [] for text in (before, after))
        return [*one, {"Sequence": {"id": name, "type_id": kind}}, *other]

    used = {text: {"id": text, "ids": [words.texts.index(text)], "tokens": [text]} for text in (before, after) if text}
    pair = [*around("A", 0), *around("B", 1)]
    return {"type": "TemplateProcessing", "single": around("A", 0), "pair": pair, "special_tokens": used}


def _ends(words: _Words) -> tuple[str | None, str | None]:
    bos, eos = (words.text(name) if words.adds(name) else None for name in ("bos", "eos"))
    return bos, eos


def _merges(words: _Words) -> list[list[str]]:
    """As pairs; a part may begin with a space, never the second."""
    found = []
    for merge in words.get("merges", []):
        one, _, other = merge[1:].partition(" ")
        found.append([merge[:1] + one, other])
    return found


def _bpe(words: _Words, **changed: Any) -> dict[str, Any]:
    last = max((place for place, _, kind in words.tokens if kind in (NORMAL, BYTE)), default=-1)
    known = {text: place for place, text, _ in words.tokens if place <= last}
    later = [place for place, _, _ in words.tokens if place > last]
    if later != list(range(len(known), len(known) + len(later))):  # the library numbers added tokens on from these
        known = {text: place for place, text, _ in words.tokens}
    usual = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "fuse_unk": False}
    more = {
        "end_of_word_suffix": None,
        "byte_fallback": False,
        "ignore_merges": table().has(words.pre, "ignore_merges"),
    }
    return {**usual, **more, "vocab": known, "merges": _merges(words), **changed}


def _byte_level(words: _Words) -> dict[str, Any]:
    if words.pre in _WITHOUT_BYTES:
        return _byte_fallback(words)
    way = table().way(words.pre)
    regexes = _OWN_WAYS.get(words.pre, way.split if way else ())
    if not regexes or any("AFMoE" in regex for regex in regexes) or words.pre == "whitespace":
        raise _impossible(words.pre)
    cuts = [
        {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False} for regex in regexes
    ]
    cutter = {"type": "Sequence", "pretokenizers": [*cuts, _BYTES]}
    return _whole(words, _bpe(words), _ends(words), pre_tokenizer=cutter, decoder={**_BYTES, "use_regex": True})


def _byte_fallback(words: _Words) -> dict[str, Any]:
    """Merges over whole texts, spaces as U+2581, unknown letters as bytes."""
    unknown = words.text("unk")
    model = _bpe(words, unk_token=unknown, fuse_unk=unknown is not None, byte_fallback=True, ignore_merges=False)
    shown = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    cutter = {"type": "Split", "pattern": {"Regex": r"[^\n]+|\n+"}, "behavior": "Isolated", "invert": False}
    return _whole(
        words,
        model,
        _ends(words),
        normalizer={"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        pre_tokenizer=cutter,
        decoder={"type": "Sequence", "decoders": [shown, {"type": "ByteFallback"}, {"type": "Fuse"}]},
    )


def _wordpiece(words: _Words) -> dict[str, Any]:
    lowercase = bool(words.get("normalizer.lowercase", True))
    accents = {"strip_accents": words.get("normalizer.strip_accents"), "lowercase": lowercase}
    known = {_piece(text, kind): place for place, text, kind in words.tokens}
    unknown = words.text("unk") or "[UNK]"
    model = {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##", "vocab": known}
    first = words.text("cls") or words.text("bos") or ("[CLS]" if "[CLS]" in words.texts else None)
    last = words.text("sep") or words.text("eos") or ("[SEP]" if "[SEP]" in words.texts else None)
    return _whole(
        words,
        {**model, "max_input_chars_per_word": 100},
        (first, last),
        normalizer={"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, **accents},
        pre_tokenizer={"type": "BertPreTokenizer"},
        decoder={"type": "WordPiece", "prefix": "##", "cleanup": True},
    )


def _piece(text: str, kind: int) -> str:
    if kind == CONTROL:
        return text
    return text[1:] if text.startswith("▁") else f"##{text}"


def _unigram(words: _Words) -> dict[str, Any]:
    pieces = [[text, float(score)] for text, score in zip(words.texts, words.scores, strict=True)]
    prefix = "always" if words.get("add_space_prefix", True) else "never"
    mark = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": prefix, "split": True}
    joined = [{"type": "WhitespaceSplit"}] if words.get("remove_extra_whitespaces", False) else []
    charsmap = bytes(words.get("precompiled_charsmap", b""))
    table_of = {"type": "Precompiled", "precompiled_charsmap": b64encode(charsmap).decode()}
    return _whole(
        words,
        {"type": "Unigram", "unk_id": words.special("unk"), "vocab": pieces, "byte_fallback": BYTE in words.kinds},
        _ends(words),
        normalizer=table_of if charsmap else None,
        pre_tokenizer={"type": "Sequence", "pretokenizers": [*joined, mark]},
        decoder=mark,
    )


def _sentencepiece(words: _Words) -> spm.SentencePieceFile:
    """All rows as pieces; exactly one of them is unknown, or the library refuses the file."""
    unknown = words.special("unk") or 0
    pieces = []
    for place, (text, kind, score) in enumerate(zip(words.texts, words.kinds, words.scores, strict=True)):
        plain = UNUSED if kind == UNKNOWN or text == f"[PAD{place}]" else kind
        plain = CONTROL if plain == USER_DEFINED and place < 3 else plain
        spelled = text.replace(" ", "▁") if kind == USER_DEFINED else text
        pieces.append(spm.Piece(spelled, float(score), UNKNOWN if place == unknown else plain))
    return spm.SentencePieceFile(tuple(pieces), spm.BPE, bool(words.get("add_space_prefix", True)), False)


def _settings(words: _Words) -> dict[str, Any]:
    named = {f"{name}_token": words.text(name) for name in _NAMES}
    adds = {f"add_{name}_token": words.adds(name) for name in ("bos", "eos") if words.model != "bert"}
    added = {str(each.pop("id")): each for each in _added(words)}
    fixed = {
        "added_tokens_decoder": added,
        "clean_up_tokenization_spaces": False,
        "tokenizer_class": _CLASSES.get(words.model, "PreTrainedTokenizerFast"),
        "chat_template": _chat_template(words.entries),
    }
    prefix = words.get("add_space_prefix")
    more = {"add_prefix_space": prefix} if isinstance(prefix, bool) else {}
    return {name: value for name, value in {**named, **adds, **more, **fixed}.items() if value is not None}


def _chat_template(entries: Entries) -> str | list[dict[str, str]] | None:
    main = entries.get("tokenizer.chat_template", ("", None))[1]
    others = [str(name) for name in entries.get("tokenizer.chat_templates", ("", []))[1]]
    named = [(name, entries.get(f"tokenizer.chat_template.{name}", ("", None))[1]) for name in others]
    found = [{"name": name, "template": str(text)} for name, text in (("default", main), *named) if text is not None]
    return str(main) if main is not None and len(found) == 1 else found or None
