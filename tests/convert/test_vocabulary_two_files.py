"""vocab.json with merges.txt, or vocab.txt: read as the tokenizer.json of the same tokenizer would be, or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import vocabulary_folders as small
import vocabulary_kit as kit

from convert.vocabulary import read, verify, write_alone
from convert.vocabulary.source import LARGEST, Source
from engine.api.errors import UserError

# The real vocabulary, its tokenizer's class, the model's type, kind.
OLD = [
    ("gpt-2", "GPT2Tokenizer", "gpt2", "bpe"),
    ("gpt-2", "CodeGenTokenizer", "phi", "bpe"),
    ("gpt-2", "", "gpt2", "bpe"),
    ("starcoder", "GPT2TokenizerFast", "starcoder2", "bpe"),
    ("qwen2", "Qwen2Tokenizer", "qwen2", "bpe"),
    ("bert-bge", "BertTokenizer", "bert", "wordpiece"),
]


def save(folder: Path, name: str, values: Any) -> None:
    text = values if isinstance(values, str) else json.dumps(values, ensure_ascii=False)
    (folder / name).write_text(text, encoding="utf-8")


def aged(folder: Path, vocab: str, named: str) -> Path:
    """The tokenizer's files as they were before tokenizer.json."""
    kit.make_tokenizer(folder, vocab)
    path = folder / "tokenizer.json"
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    path.unlink()
    if model["type"] == "WordPiece":
        save(
            folder, "vocab.txt", "".join(f"{text}\n" for text in sorted(model["vocab"], key=model["vocab"].__getitem__))
        )
    else:
        save(folder, "vocab.json", model["vocab"])
        lines = [each if isinstance(each, str) else " ".join(each) for each in model["merges"]]
        save(folder, "merges.txt", "\n".join(["#version: 0.2", *lines, ""]))
    settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    save(folder, "tokenizer_config.json", settings | {"tokenizer_class": named or None})
    return folder


def settings_of(vocab: str, model: str) -> Any:
    return small.config(**(kit.config_keys(vocab) | {"model_type": model}))


@pytest.mark.parametrize(("vocab", "named", "model", "kind"), OLD)
def test_old_files_say_what_tokenizer_json_says(tmp_path: Path, vocab: str, named: str, model: str, kind: str) -> None:
    config = settings_of(vocab, model)
    kit.make_tokenizer(tmp_path / "new", vocab)
    wanted = read(tmp_path / "new", config, (kind,))
    found = read(aged(tmp_path / "old", vocab, named), config, (kind,))
    assert (found.entries, found.pre) == (wanted.entries, wanted.pre)
    assert sum("tokenizer.json" in each for each in found.notes) == (kind == "bpe")
    source = Source(tmp_path / "old", config)
    ids = [source.tokenizer.encode(text, add_special_tokens=False).ids for text, _ in kit.cases(vocab)]
    assert ids == [each for _, each in kit.cases(vocab)]


def test_a_thousand_lines_are_cut_alike_by_old_files_and_by_llama_cpp(tmp_path: Path) -> None:
    config = settings_of("gpt-2", "gpt2")
    found = read(aged(tmp_path / "old", "gpt-2", "GPT2Tokenizer"), config, ("bpe",))
    write_alone(found, tmp_path / "words.gguf")
    agreement = verify(found, tmp_path / "old", tmp_path / "words.gguf", config)
    assert (agreement.equal, agreement.differing) == (agreement.lines, ())


# A small one, changed ------------------------------------------------------------------------------------------


def two_files(folder: Path, **settings: Any) -> Path:
    """3000 tokens of GPT-2 and the end of a text."""
    tokenizer = small.gpt2_json()["model"]
    folder.mkdir(exist_ok=True)
    save(folder, "vocab.json", tokenizer["vocab"] | {"<|endoftext|>": small.SIZE})
    save(folder, "merges.txt", "\n".join(["#version: 0.2", *tokenizer["merges"], ""]))
    save(folder, "tokenizer_config.json", {"tokenizer_class": "GPT2Tokenizer"} | settings)
    return folder


def found(folder: Path, rows: int = small.SIZE + 1, **config: Any) -> dict[str, tuple[str, Any]]:
    return read(folder, small.config(**({"vocab_size": rows, "eos_token_id": small.SIZE} | config)), ("bpe",)).entries


def refused(folder: Path, **config: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        found(folder, **config)
    return caught.value


def test_roberta_puts_its_tokens_around_a_text(tmp_path: Path) -> None:
    folder = two_files(tmp_path, tokenizer_class="RobertaTokenizer")
    words = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    words |= {word: small.SIZE + place for place, word in enumerate(("<s>", "<pad>", "</s>", "<unk>", "<mask>"))}
    del words["<|endoftext|>"]
    save(folder, "vocab.json", words)
    entries = found(folder, small.SIZE + 5, bos_token_id=small.SIZE, eos_token_id=small.SIZE + 2)
    assert entries["tokenizer.ggml.add_bos_token"] == ("bool", True)
    assert entries["tokenizer.ggml.add_sep_token"] == ("bool", True)
    config = small.config(vocab_size=small.SIZE + 5, model_type="roberta")
    assert Source(folder, config).tokenizer.encode("a").ids[::2] == [small.SIZE, small.SIZE + 2]


def test_added_tokens_lie_behind_the_pieces(tmp_path: Path) -> None:
    folder = two_files(tmp_path)
    save(folder, "added_tokens.json", {"<tool>": small.SIZE + 1, "<|im_end|>": small.SIZE + 2})
    save(folder, "special_tokens_map.json", {"eos_token": "<|im_end|>"})
    entries = found(folder, small.SIZE + 3, eos_token_id=small.SIZE + 2)
    assert entries["tokenizer.ggml.tokens"][1][-3:] == ["<|endoftext|>", "<tool>", "<|im_end|>"]
    assert entries["tokenizer.ggml.token_type"][1][-3:] == [3, 4, 3]


def test_a_merge_may_begin_with_the_sign_of_the_version(tmp_path: Path) -> None:
    folder = two_files(tmp_path)
    lines = (folder / "merges.txt").read_text(encoding="utf-8").split("\n")
    words = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    words["##"] = words.pop(max(words, key=lambda word: words[word] if word != "<|endoftext|>" else 0))
    save(folder, "vocab.json", words)
    save(folder, "merges.txt", "\n".join(["# #", *lines[1:-2]]))
    merges = found(folder)["tokenizer.ggml.merges"][1]
    assert (merges[0], merges[1]) == ("# #", lines[1])


def test_a_class_that_is_not_known_is_not_guessed(tmp_path: Path) -> None:
    assert refused(two_files(tmp_path, tokenizer_class="CLIPTokenizer"), model_type="gpt2").code == "no_vocabulary"
    assert refused(two_files(tmp_path, tokenizer_class=None), model_type="nobody").code == "no_vocabulary"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("vocab.json", "{"),
        ("vocab.json", "[]"),
        ("vocab.json", "{}"),
        ("vocab.json", '{"a": -1}'),
        ("vocab.json", '{"a": true, "b": 1}'),
        ("vocab.json", '{"a": 99999999999}'),
        ("vocab.json", '{"a": ' * 5000),
        ("merges.txt", "#version: 0.2\nĠ"),
        ("merges.txt", "#version: 0.2\nĠ t h"),
        ("merges.txt", "#version: 0.2\nnever there"),
        ("merges.txt", ""),
        ("added_tokens.json", '{"<x>": "3"}'),
        ("added_tokens.json", '{"<x>": -3}'),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, name: str, content: str) -> None:
    folder = two_files(tmp_path)
    save(folder, name, content)
    error = refused(folder)
    assert error.code == "bad_tokenizer"
    assert error.values["name"] in (name, "tokenizer.json" if not content else name)


def test_bytes_that_are_no_text_and_files_without_end_are_refused(tmp_path: Path) -> None:
    folder = two_files(tmp_path)
    (folder / "merges.txt").write_bytes(b"#version: 0.2\n\xff\xfe\n")
    assert refused(folder).values["name"] == "merges.txt"
    with (folder / "merges.txt").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert "larger" in str(refused(folder).values["reason"])


def test_more_tokens_than_rows_and_two_of_one_number_are_refused(tmp_path: Path) -> None:
    folder = two_files(tmp_path)
    assert refused(folder, vocab_size=small.SIZE - 10).code == "vocabulary_too_large"
    save(folder, "added_tokens.json", {"<other>": 5})
    assert refused(folder).code == "duplicate_tokens"
    (folder / "added_tokens.json").unlink()
    (folder / "vocab.json").unlink()
    save(folder, "vocab.txt", "[UNK]\na\na\n")
    with pytest.raises(UserError) as caught:
        read(folder, small.config(vocab_size=3, model_type="bert"), ("wordpiece",))
    assert caught.value.code == "no_vocabulary"  # another class is named
    save(folder, "tokenizer_config.json", {"tokenizer_class": "BertTokenizer"})
    with pytest.raises(UserError) as caught:
        read(folder, small.config(vocab_size=3, model_type="bert"), ("wordpiece",))
    assert caught.value.values["name"] == "vocab.txt"
