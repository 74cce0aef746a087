"""Every vocabulary that llama.cpp ships: rebuilt as a checkpoint has it, read, written as GGUF, read by llama.cpp.

Their .inp and .out files hold what each model's own tokenizer makes of 46 texts and more.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vocabulary_kit as kit

from convert.config import Config
from convert.vocabulary import Vocabulary, read, require, to_huggingface, verify, write_alone
from engine.llama.vocabulary import VocabularyOnly

KINDS = {"bert-bge": ("wordpiece",), "nomic-bert-moe": ("unigram",), "gemma-4": ("llama_hf",)}
MODEL_TYPES = {"phi-3": "phi3", "gemma-4": "gemma4", "baichuan": "baichuan"}
# What the shipped files, made by older converters, say otherwise; the converter of today agrees with ours.
LISTS = ("tokenizer.ggml.tokens", "tokenizer.ggml.token_type")
NEWER: dict[str, tuple[str, ...]] = {
    "aquila": ("pre", "scores"),
    "baichuan": ("pre",),
    "bert-bge": ("add_bos_token", "add_eos_token", "bos_token_id", "cls_token_id", "eos_token_id", "pre"),
    "gpt-neox": ("pre",),
    "llama-bpe": ("add_bos_token",),
    "mpt": ("pre",),
}
ALWAYS_NEWER = ("add_sep_token", "normalizer.lowercase")
QUICK = ("gpt-2", "starcoder", "deepseek-coder", "llama-spm", "falcon")


def config(vocab: str) -> Config:
    return Config(kit.config_keys(vocab) | {"model_type": MODEL_TYPES.get(vocab, "llama")})


def rebuilt(folder: Path, vocab: str) -> Vocabulary:
    kit.make_tokenizer(folder, vocab)
    return read(folder, config(vocab), KINDS.get(vocab, ("spm", "llama_hf", "bpe")))


def padding(vocab: str) -> set[int]:
    """Rows that an older converter called something else than unused, or named by another number."""
    texts = kit.shipped(vocab)["tokenizer.ggml.tokens"][1]
    return {place for place, text in enumerate(texts) if text.startswith("[PAD") and text != "[PAD]"}


def compare(vocab: str, found: dict[str, tuple[str, Any]]) -> None:
    wanted = {name: value for name, value in kit.shipped(vocab).items() if name.startswith("tokenizer.")}
    newer = {f"tokenizer.ggml.{name}" for name in (*NEWER.get(vocab, ()), *ALWAYS_NEWER)}
    assert set(wanted) - newer == set(found) - newer
    for name in set(wanted) - newer - set(LISTS):
        assert list_or_value(found[name]) == list_or_value(wanted[name]), name


def list_or_value(entry: tuple[str, Any]) -> tuple[str, Any]:
    return (entry[0], list(entry[1])) if entry[0].startswith("[") else entry


def compare_tokens(vocab: str, found: dict[str, tuple[str, Any]]) -> None:
    unused = padding(vocab)
    texts, wanted = found[LISTS[0]][1], kit.shipped(vocab)[LISTS[0]][1]
    assert [each for i, each in enumerate(texts) if i not in unused] == [
        each for i, each in enumerate(wanted) if i not in unused
    ]
    kinds, older = found[LISTS[1]][1], kit.shipped(vocab)[LISTS[1]][1]
    apart = {i for i, (one, other) in enumerate(zip(kinds, older, strict=True)) if one != other} - unused
    # tokens that look special, which older converters did not see, and one named as the end of a text
    assert all(kinds[i] == 3 and texts[i].startswith(("<", "[")) for i in apart)
    assert all(kinds[i] == 5 for i in unused)


@pytest.mark.parametrize("vocab", kit.ALL)
def test_what_was_shipped_is_what_is_read_of_it_rebuilt_and_llama_cpp_cuts_texts_the_same(
    tmp_path: Path, vocab: str
) -> None:
    found = rebuilt(tmp_path / vocab, vocab)
    compare(vocab, found.entries)
    compare_tokens(vocab, found.entries)
    write_alone(found, tmp_path / "words.gguf")
    with VocabularyOnly(tmp_path / "words.gguf") as words:
        apart = [text for text, ids in kit.cases(vocab) if words.tokenize(text) != ids]
    assert apart == []
    shutil.rmtree(tmp_path / vocab)


def encoder(folder: Path) -> Callable[[str], list[int]]:
    if (folder / "tokenizer.model").exists():
        from sentencepiece import SentencePieceProcessor

        pieces = SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        return lambda text: list(pieces.encode(text))
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    return lambda text: list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("vocab", [name for name in kit.ALL if kit.cases(name)])
def test_files_written_back_from_a_gguf_cut_texts_as_the_model_did(tmp_path: Path, vocab: str) -> None:
    to_huggingface(kit.shipped(vocab), tmp_path)
    encode = encoder(tmp_path)
    assert [text for text, ids in kit.cases(vocab) if encode(text) != ids] == []


@pytest.mark.parametrize("vocab", QUICK)
def test_a_thousand_lines_are_cut_alike_by_the_source_and_by_llama_cpp(tmp_path: Path, vocab: str) -> None:
    found = rebuilt(tmp_path / vocab, vocab)
    write_alone(found, tmp_path / "words.gguf")
    agreement = verify(found, tmp_path / vocab, tmp_path / "words.gguf", config(vocab))
    assert agreement.lines > 1000
    assert agreement.differing == ()
    assert agreement.equal == agreement.lines
    require(agreement)


def test_what_llama_cpp_cannot_do_for_bert_is_counted_and_shown_and_stops_nothing(tmp_path: Path) -> None:
    found = rebuilt(tmp_path / "bert-bge", "bert-bge")
    write_alone(found, tmp_path / "words.gguf")
    agreement = verify(found, tmp_path / "bert-bge", tmp_path / "words.gguf", config("bert-bge"))
    assert 0.95 < agreement.share < 1
    assert any("모든" in text for text, _, _ in agreement.differing)
    assert len(agreement.to_json()["differing"]) == len(agreement.differing)
    require(agreement)
