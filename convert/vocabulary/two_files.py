"""Tokenizers of times before tokenizer.json: vocab.json with merges.txt (GPT-2, RoBERTa, CodeGen, Qwen 2), vocab.txt.

Those files hold the pieces alone. How texts are cut stands in the code of the tokenizer's class, so it goes by that
class's name, else by the model's; what comes out is what a tokenizer.json of the same tokenizer would hold, and
everything else reads it as one. A class that is not known here is not guessed.
"""

from __future__ import annotations

from typing import Any

from convert.note import note
from convert.vocabulary.source import LARGEST_VOCABULARY, Source, bad, content
from convert.vocabulary.tokens import decoder_tokens, special_words

QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_END = ("<|endoftext|>",)
_ROBERTA = ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
# Class, without "Fast" -> how it cuts, and the special tokens it has where no file names any.
_CLASSES = {
    "GPT2Tokenizer": ("bytes", _END),
    "CodeGenTokenizer": ("bytes", _END),
    "RobertaTokenizer": ("roberta", _ROBERTA),
    "Qwen2Tokenizer": ("qwen2", _END),
}
_MODELS = {
    "gpt2": "GPT2Tokenizer",
    "gpt_bigcode": "GPT2Tokenizer",
    "starcoder2": "GPT2Tokenizer",
    "phi": "CodeGenTokenizer",
    "roberta": "RobertaTokenizer",
    **dict.fromkeys(("qwen2", "qwen2_moe", "qwen2_vl", "qwen2_5_vl", "qwen3", "qwen3_moe"), "Qwen2Tokenizer"),
}
_DIGITS = ("gpt_bigcode", "starcoder2")  # their tokenizer.json cuts digit by digit, which GPT-2's code does not say
_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def made(source: Source) -> dict[str, Any]:
    """What tokenizer.json would hold, {} if these files are not there or their class is not known.

    Raises UserError bad_tokenizer.
    """
    if (source.folder / "vocab.txt").is_file() and _of_bert(source):
        return _of_pieces(source)
    if not all((source.folder / name).is_file() for name in ("vocab.json", "merges.txt")):
        return {}
    known = _CLASSES.get(_class(source))
    return _of_pairs(source, *known) if known else {}


def _class(source: Source) -> str:
    """The tokenizer's class, or the one that models of this kind have where no class of any use is named."""
    said = source.settings.get("tokenizer_class")
    if isinstance(said, str) and not said.startswith("PreTrained"):
        return said.removesuffix("Fast")
    return _MODELS.get(str(source.config.get("model_type", default="")), "")


def _of_bert(source: Source) -> bool:
    said = source.settings.get("tokenizer_class")
    if isinstance(said, str):
        return said.removesuffix("Fast") in ("BertTokenizer", "DistilBertTokenizer")
    return source.config.get("model_type") in ("bert", "distilbert")


# Byte pairs -----------------------------------------------------------------------------------------------------


def _of_pairs(source: Source, cut: str, special: tuple[str, ...]) -> dict[str, Any]:
    vocabulary = source.json("vocab.json")
    if not vocabulary or len(vocabulary) > LARGEST_VOCABULARY:
        raise bad("vocab.json", note("holds_no_vocabulary", "it holds no vocabulary"))
    if not all(type(place) is int and 0 <= place < LARGEST_VOCABULARY for place in vocabulary.values()):
        raise bad("vocab.json", note("token_unnumbered", "a token has no usable number"))
    return {
        "version": "1.0",
        "added_tokens": _added(source, vocabulary, special),
        "normalizer": {"type": "NFC"} if cut == "qwen2" else None,
        "pre_tokenizer": _cutting(source, cut),
        "post_processor": _around(vocabulary) if cut == "roberta" else None,
        "decoder": _bytes(),
        "model": {"type": "BPE", "vocab": vocabulary, "merges": _merges(source, vocabulary)},
    }


def _merges(source: Source, vocabulary: dict[str, int]) -> list[str]:
    """The lines of merges.txt. Raises UserError bad_tokenizer for one that merges what the vocabulary does not have."""
    lines = _lines(source, "merges.txt")
    found = [line for line in lines[1 if lines and lines[0].startswith("#version") else 0 :] if line]
    for line in found:
        one, _, other = line.partition(" ")
        if one not in vocabulary or other not in vocabulary or one + other not in vocabulary:
            raise bad(
                "merges.txt",
                note("merges_nothing", "{line} does not merge two tokens into a third", line=repr(line[:60])),
            )
    return found


def _lines(source: Source, name: str) -> list[str]:
    """Lines as these files have them: other signs that end a line may be part of a token."""
    source.check_size(name)
    try:
        text = (source.folder / name).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise bad(name, str(error)) from None
    return [line.removesuffix("\r") for line in text.split("\n")]


def _cutting(source: Source, cut: str) -> dict[str, Any]:
    if cut == "qwen2":
        split = {"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated", "invert": False}
        return {"type": "Sequence", "pretokenizers": [split, _bytes() | {"use_regex": False}]}
    cutting = _bytes() | {"add_prefix_space": source.settings.get("add_prefix_space") is True}
    if source.config.get("model_type") in _DIGITS:
        return {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, cutting]}
    return cutting


def _bytes() -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def _around(vocabulary: dict[str, int]) -> dict[str, Any] | None:
    ends = {name: [word, vocabulary.get(word)] for name, word in (("sep", "</s>"), ("cls", "<s>"))}
    if None in (ends["sep"][1], ends["cls"][1]):
        return None
    return {"type": "RobertaProcessing", **ends, "trim_offsets": True, "add_prefix_space": False}


# WordPiece ------------------------------------------------------------------------------------------------------


def _of_pieces(source: Source) -> dict[str, Any]:
    lines = _lines(source, "vocab.txt")
    texts = lines[:-1] if lines and not lines[-1] else lines
    vocabulary = {text: place for place, text in enumerate(texts)}
    if len(vocabulary) != len(texts) or not 0 < len(texts) <= LARGEST_VOCABULARY:
        raise bad("vocab.txt", note("no_vocabulary_or_twice", "it holds no vocabulary, or a token twice"))
    asked = {name: source.settings.get(name) for name in ("do_lower_case", "tokenize_chinese_chars", "strip_accents")}
    flags = {name: value for name, value in asked.items() if isinstance(value, bool)}
    normalizer = {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": flags.get("tokenize_chinese_chars", True),
        "strip_accents": flags.get("strip_accents"),
        "lowercase": flags.get("do_lower_case", True),
    }
    return {
        "version": "1.0",
        "added_tokens": _added(source, vocabulary, _PIECES),
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": _between(vocabulary),
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


def _between(vocabulary: dict[str, int]) -> dict[str, Any] | None:
    """[CLS] text [SEP], and another [SEP] behind a second text."""
    if "[CLS]" not in vocabulary or "[SEP]" not in vocabulary:
        return None
    first, end = ({"SpecialToken": {"id": word, "type_id": 0}} for word in ("[CLS]", "[SEP]"))
    one, other = ({"Sequence": {"id": name, "type_id": kind}} for kind, name in enumerate("AB"))
    pair = [first, one, end, other, {"SpecialToken": {"id": "[SEP]", "type_id": 1}}]
    special = {word: {"id": word, "ids": [vocabulary[word]], "tokens": [word]} for word in ("[CLS]", "[SEP]")}
    return {"type": "TemplateProcessing", "single": [first, one, end], "pair": pair, "special_tokens": special}


# What is added --------------------------------------------------------------------------------------------------


def _added(source: Source, vocabulary: dict[str, int], usual: tuple[str, ...]) -> list[dict[str, Any]]:
    """Added tokens by number: tokenizer_config.json's, else added_tokens.json's; and special ones in the pieces."""
    special = special_words(source) | {word for word in usual if word in vocabulary}
    found = {content(token): _token(place, token) for place, token in decoder_tokens(source)}
    if not found:
        for text, place in source.json("added_tokens.json").items():
            if type(place) is not int or not 0 <= place < LARGEST_VOCABULARY:
                raise bad(
                    "added_tokens.json", note("added_unnumbered", "{token} has no usable number", token=repr(text[:60]))
                )
            found[text] = _token(
                place, {"content": text, "special": text in special, "normalized": text not in special}
            )
    for word in sorted(special & set(vocabulary)):
        found.setdefault(word, _token(vocabulary[word], {"content": word, "special": True, "normalized": False}))
    return sorted(found.values(), key=lambda token: int(token["id"]))


def _token(place: int, token: dict[str, Any]) -> dict[str, Any]:
    flags = {name: token.get(name) is True for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}
    return {"id": place, "content": token["content"], **flags}
