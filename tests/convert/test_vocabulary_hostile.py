"""Tokenizer files that are damaged, contradict themselves or mean harm: a precise word, and never a crash."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import vocabulary_folders as small
import vocabulary_kit as kit

from convert.vocabulary import Agreement, read, require, verify, write_alone
from convert.vocabulary import sentencepiece_file as spm
from convert.vocabulary.source import LARGEST
from engine.api.errors import UserError
from engine.llama.vocabulary import VocabularyOnly

ROWS = small.SIZE + 1
SETTINGS: dict[str, Any] = {"eos_token": "<|endoftext|>"}


def refused(folder: Path, kinds: tuple[str, ...] = ("bpe",), **config: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        read(folder, small.config(**({"vocab_size": ROWS} | config)), kinds)
    return caught.value


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    tokenizer = small.gpt2_json()
    change(tokenizer)
    return small.write(folder, tokenizer, SETTINGS)


def test_a_folder_without_a_tokenizer_says_what_is_missing(tmp_path: Path) -> None:
    error = refused(tmp_path, ("spm", "llama_hf", "bpe"))
    assert error.code == "no_vocabulary"
    assert "tokenizer.json" in error.hint


@pytest.mark.parametrize("share", [0.01, 0.5, 0.999])
def test_a_truncated_tokenizer_json_is_no_tokenizer(tmp_path: Path, share: float) -> None:
    folder = small.write(tmp_path, small.gpt2_json(), SETTINGS)
    path = folder / "tokenizer.json"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    error = refused(folder)
    assert error.code == "bad_tokenizer"
    assert error.values["name"] == "tokenizer.json"


def test_a_file_larger_than_any_tokenizer_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "tokenizer.json").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "larger" in str(refused(tmp_path).values["reason"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda t: t["model"].pop("merges"), "merges"),
        (lambda t: t["model"].update(merges=[["a"]]), "pairs"),
        (lambda t: t["model"].update(merges=[{"a": 1}]), "pairs"),
        (lambda t: t["model"].pop("vocab"), "vocabulary"),
        (lambda t: t["model"].update(vocab=["a", "b"]), "vocabulary"),
        (lambda t: t["model"]["vocab"].update(x=-1), "-1"),
        (lambda t: t["model"]["vocab"].update(x=10**12), "1000000000000"),
        (lambda t: t["model"]["vocab"].update(x="7"), "'7'"),
        (lambda t: t["model"]["vocab"].update(x=True), "True"),
        (lambda t: t["added_tokens"].append({"id": 5}), "no text"),
        (lambda t: t["added_tokens"].append({"id": None, "content": "x"}), "None"),
        (lambda t: t["model"].update(merges=["nosuch token"]), "out of vocabulary"),
        (lambda t: t.update(pre_tokenizer={"type": "Nonsense"}), ""),
        (lambda t: t.update(pre_tokenizer=small_split("(unclosed")), ""),
    ],
)
def test_what_is_wrong_in_a_tokenizer_json_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    error = refused(changed(tmp_path, change))
    assert error.code in ("bad_tokenizer", "unknown_pretokenizer")
    assert reason in str(error)


def small_split(regex: str) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": [kit.split(regex), kit.BYTES_ONLY]}


def test_two_tokens_with_one_number_contradict_each_other(tmp_path: Path) -> None:
    error = refused(changed(tmp_path, lambda t: t["model"]["vocab"].update(twin=17)))
    assert error.code == "duplicate_tokens"
    assert "17" in str(error)


def test_an_added_token_with_the_text_of_another_is_set_aside_or_llama_cpp_would_abort(tmp_path: Path) -> None:
    settings = SETTINGS | {"added_tokens_decoder": {"1999": {"content": "ing", "special": False}}}
    folder = small.write(tmp_path / "spm", settings=settings)
    shipped = kit.shipped("llama-spm")
    lists = [shipped[f"tokenizer.ggml.{name}"][1][:2000] for name in ("tokens", "scores", "token_type")]
    pieces = tuple(spm.Piece(*each) for each in zip(*lists, strict=True))
    spm.write(folder / "tokenizer.model", spm.SentencePieceFile(pieces, spm.BPE, True, False))
    found = read(folder, small.config(vocab_size=2000, eos_token_id=2), ("spm",))
    assert any("set aside" in note for note in found.notes)
    texts = found.entries["tokenizer.ggml.tokens"][1]
    assert len(set(texts)) == len(texts) == 2000
    write_alone(found, tmp_path / "words.gguf")
    with VocabularyOnly(tmp_path / "words.gguf") as words:
        assert words.size == 2000


def test_more_tokens_than_rows_are_not_of_one_model(tmp_path: Path) -> None:
    folder = small.write(tmp_path, small.gpt2_json(), SETTINGS)
    error = refused(folder, vocab_size=2000)
    assert error.code == "vocabulary_too_large"
    assert (error.values["count"], error.values["rows"]) == (ROWS, 2000)


@pytest.mark.parametrize("size", [-1, 10**15, "many", True, 1.5])
def test_an_impossible_vocab_size_is_refused_before_memory_is_taken(tmp_path: Path, size: Any) -> None:
    folder = small.write(tmp_path, small.gpt2_json(), SETTINGS)
    assert refused(folder, vocab_size=size).code == "bad_tokenizer"


def test_a_vocabulary_that_names_no_end_is_refused(tmp_path: Path) -> None:
    folder = changed(tmp_path, lambda t: t["added_tokens"].clear())
    small.write(folder, settings={})
    assert refused(folder).code == "vocabulary_without_end"


def test_a_special_token_outside_the_vocabulary_is_named(tmp_path: Path) -> None:
    folder = small.write(tmp_path, small.gpt2_json(), SETTINGS)
    error = refused(folder, bos_token_id=ROWS + 7)
    assert error.code == "special_token_out_of_range"
    assert error.values["value"] == ROWS + 7


def test_an_unknown_way_to_cut_names_the_nearest_and_can_be_overridden(tmp_path: Path) -> None:
    odd = kit.CONTRACTIONS + kit.WORDS % "{1,7}"
    folder = changed(tmp_path, lambda t: t.update(pre_tokenizer=small_split(odd)))
    error = refused(folder)
    assert error.code == "unknown_pretokenizer"
    assert error.values["nearest"] in ("llama-bpe", "qwen2")
    found = read(folder, small.config(vocab_size=ROWS), ("bpe",), "gpt-2")
    assert found.pre == "gpt-2"
    assert any("chosen" in note for note in found.notes)
    with pytest.raises(UserError) as caught:
        read(folder, small.config(vocab_size=ROWS), ("bpe",), "gpt-3")
    assert caught.value.code == "unknown_pretokenizer"


def test_a_wrong_way_to_cut_is_found_by_the_lines_and_stops_the_conversion_unless_allowed(tmp_path: Path) -> None:
    folder = small.write(tmp_path / "gpt2", small.gpt2_json(), SETTINGS)
    found = read(folder, small.config(vocab_size=ROWS), ("bpe",), "deepseek-llm")
    write_alone(found, tmp_path / "words.gguf")
    agreement = verify(found, folder, tmp_path / "words.gguf")
    assert agreement.share < 0.9
    with pytest.raises(UserError) as caught:
        require(agreement)
    assert caught.value.code == "vocabulary_disagrees"
    require(agreement, override=True)
    require(Agreement(1000, 995))


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(1000000000) %}{% for j in range(1000000000) %}x{% endfor %}{% endfor %}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages[0].content * 100000000000 }}",
        "{% if %}",
        "{{ raise_exception('no') }}",
    ],
)
def test_a_hostile_template_is_noted_and_does_nothing(tmp_path: Path, template: str) -> None:
    folder = small.write(tmp_path, small.gpt2_json(), SETTINGS | {"chat_template": template})
    found = read(folder, small.config(vocab_size=ROWS), ("bpe",))
    assert any("template" in note for note in found.notes)
    assert found.entries["tokenizer.chat_template"] == ("str", template)


@pytest.mark.parametrize("cut", [1, 2, 5, 100, 1000])
def test_a_truncated_sentencepiece_file_is_refused(tmp_path: Path, cut: int) -> None:
    pieces = tuple(spm.Piece(f"piece{i}", -float(i), 1) for i in range(200))
    path = tmp_path / "tokenizer.model"
    spm.write(path, spm.SentencePieceFile(pieces, spm.BPE))
    path.write_bytes(path.read_bytes()[:-cut])
    error = refused(tmp_path, ("spm",), vocab_size=200)
    assert error.code in ("bad_tokenizer", "no_vocabulary", "vocabulary_without_end")


@pytest.mark.parametrize(
    "raw",
    [
        b"\n" + b"\xff" * 9 + b"\x01" + b"x",
        b"\n\xff\xff\xff\x7fshort",
        b"\n\x04\n\x02\xff\xfe",
        b"\n\x03\x1d\x00\x00",
        b"\n\x02\x18\x09",
        b"\n" + b"\x80" * 50,
        b"\n",
    ],
)
def test_lying_protobuf_lengths_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "tokenizer.model").write_bytes(raw)
    assert refused(tmp_path, ("spm",)).code in ("bad_tokenizer", "no_vocabulary")


@pytest.mark.parametrize(
    "raw", [b"IQ== zero\n", b"IQ==\n", b"%%%% 1\n", b"IQ== 1\nIg== 1\n", b"IQ== -1\n", b"IQ== 99999999999\n"]
)
def test_damaged_ranks_are_refused(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "qwen.tiktoken").write_bytes(raw)
    error = refused(tmp_path, ("tiktoken",))
    assert (error.code, error.values["name"]) == ("bad_tokenizer", "qwen.tiktoken")


@pytest.mark.parametrize(
    "settings", [b"[]", b"{", b"\xff", b'{"added_tokens_decoder": {"x": {"content": "a"}}}', b"[" * 100000]
)
def test_damaged_settings_are_named(tmp_path: Path, settings: bytes) -> None:
    small.write(tmp_path, small.gpt2_json())
    (tmp_path / "tokenizer_config.json").write_bytes(settings)
    error = refused(tmp_path)
    assert (error.code, error.values["name"]) == ("bad_tokenizer", "tokenizer_config.json")


def test_a_file_that_is_no_vocabulary_is_refused_by_llama_cpp_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "words.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, 0))
    with pytest.raises(UserError) as caught:
        VocabularyOnly(path)
    assert caught.value.code == "vocabulary_not_loaded"


def test_a_tekken_file_that_lacks_tokens_is_refused(tmp_path: Path) -> None:
    values = {"config": {"default_vocab_size": 1000, "default_num_special_tokens": 10}, "vocab": []}
    (tmp_path / "tekken.json").write_text(json.dumps(values), encoding="utf-8")
    assert refused(tmp_path, ("tekken",)).code == "bad_tokenizer"
