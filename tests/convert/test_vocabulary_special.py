"""Special tokens, what is put around a text, chat templates, and whether an answer ends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import vocabulary_folders as small
import vocabulary_kit as kit

from convert.vocabulary import Vocabulary, read, to_huggingface, verify, write_alone

END = small.SIZE
CHAT = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"


def chat_json(*more: str) -> dict[str, Any]:
    """GPT-2's beginning with ChatML's tokens and others behind the end of a text."""
    tokenizer = small.gpt2_json()
    for number, text in enumerate(("<|im_start|>", "<|im_end|>", *more), END + 1):
        tokenizer["added_tokens"].append(tokenizer["added_tokens"][0] | {"id": number, "content": text})
    return tokenizer


def found(folder: Path, tokenizer: dict[str, Any], settings: dict[str, Any], **config: Any) -> Vocabulary:
    rows = END + len(tokenizer["added_tokens"])
    return read(small.write(folder, tokenizer, settings), small.config(vocab_size=rows, **config), ("bpe",))


def special(vocabulary: Vocabulary) -> dict[str, Any]:
    names = [name for name in vocabulary.entries if name.endswith(("_token_id", "_token"))]
    return {name.removeprefix("tokenizer.ggml."): vocabulary.entries[name][1] for name in names}


def around(first: str | None, last: str | None) -> dict[str, Any]:
    ends = [[{"SpecialToken": {"id": text, "type_id": 0}}] if text else [] for text in (first, last)]
    return {
        "type": "TemplateProcessing",
        "single": [*ends[0], {"Sequence": {"id": "A", "type_id": 0}}, *ends[1]],
        "pair": [],
        "special_tokens": {text: {"id": text, "ids": [END], "tokens": [text]} for text in (first, last) if text},
    }


def test_words_of_the_settings_come_before_numbers_of_the_config(tmp_path: Path) -> None:
    settings = {"eos_token": {"content": "<|im_end|>"}, "pad_token": None}
    said = special(found(tmp_path, chat_json(), settings, eos_token_id=END, bos_token_id=END, pad_token_id=-1))
    assert said == {"eos_token_id": END + 2, "bos_token_id": END}


def test_what_the_post_processor_puts_around_a_text_is_said(tmp_path: Path) -> None:
    tokenizer = chat_json() | {"post_processor": around("<|im_start|>", None)}
    said = special(found(tmp_path, tokenizer, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"}))
    assert said == {"bos_token_id": END + 1, "eos_token_id": END + 2, "add_bos_token": True}


def test_another_last_token_than_the_end_makes_that_one_the_end_of_a_turn(tmp_path: Path) -> None:
    tokenizer = chat_json() | {"post_processor": around(None, "<|endoftext|>")}
    said = special(found(tmp_path, tokenizer, {"eos_token": "<|im_end|>"}))
    assert said == {"eos_token_id": END, "eot_token_id": END + 2, "add_eos_token": True}


def test_a_way_to_cut_that_adds_a_first_token_is_told_not_to_where_the_tokenizer_does_not(tmp_path: Path) -> None:
    regex = kit.CONTRACTIONS + kit.WORDS % "{1,3}"
    tokenizer = chat_json()
    tokenizer["pre_tokenizer"] = kit.steps(kit.split(regex), kit.BYTES_ONLY)
    tokenizer["model"]["ignore_merges"] = True
    vocabulary = found(tmp_path / "llama3", tokenizer, {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>"})
    assert (vocabulary.pre, special(vocabulary)["add_bos_token"]) == ("llama-bpe", False)
    write_alone(vocabulary, tmp_path / "words.gguf")
    agreement = verify(vocabulary, tmp_path / "llama3", tmp_path / "words.gguf")
    assert (agreement.differing, agreement.notes) == ((), ())


def test_named_templates_get_an_entry_each(tmp_path: Path) -> None:
    named = [{"name": "default", "template": CHAT}, {"name": "tool use", "template": "T"}, {"name": 5}, "x"]
    entries = found(tmp_path, chat_json(), {"eos_token": "<|im_end|>", "chat_template": named}).entries
    assert entries["tokenizer.chat_template"] == ("str", CHAT)
    assert entries["tokenizer.chat_template.tool_use"] == ("str", "T")
    assert entries["tokenizer.chat_templates"] == ("[str]", ["tool_use"])


def test_a_template_in_a_file_of_its_own_is_found(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    vocabulary = found(tmp_path, chat_json(), {"eos_token": "<|im_end|>"})
    assert vocabulary.entries["tokenizer.chat_template"] == ("str", CHAT)
    assert vocabulary.notes == ()
    more = tmp_path / "additional_chat_templates"
    more.mkdir()
    (more / "rag.jinja").write_text("R", encoding="utf-8")
    entries = found(tmp_path, chat_json(), {"eos_token": "<|im_end|>"}).entries
    assert (entries["tokenizer.chat_template"][1], entries["tokenizer.chat_template.rag"][1]) == (CHAT, "R")


def test_an_older_template_file_holds_json(tmp_path: Path) -> None:
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": CHAT}), encoding="utf-8")
    assert found(tmp_path, chat_json(), {"eos_token": "<|im_end|>"}).entries["tokenizer.chat_template"] == ("str", CHAT)


@pytest.mark.parametrize(
    ("template", "note"),
    [
        (CHAT, ""),
        (CHAT.replace("<|im_end|>", "[DONE]"), "[DONE], at which llama.cpp does not stop"),
        (CHAT.replace("<|im_end|>", " "), "does not mark"),
        ("{{ messages[0].content }}", "leaves an answer's text out"),
    ],
)
def test_whether_an_answer_ends_is_seen_by_rendering(tmp_path: Path, template: str, note: str) -> None:
    settings = {"eos_token": "<|endoftext|>", "chat_template": template}
    notes = found(tmp_path, chat_json("[DONE]"), settings).notes
    assert notes == () if not note else any(note in each for each in notes)


def test_glms_ends_are_known_by_name(tmp_path: Path) -> None:
    tokenizer = chat_json("[gMASK]", "<|user|>", "<|observation|>")
    said = special(found(tmp_path, tokenizer, {}, model_type="glm4_moe", eos_token_id=END))
    assert said == {
        "bos_token_id": END + 3,
        "eos_token_id": END,
        "eot_token_id": END + 4,
        "eom_token_id": END + 5,
        "unknown_token_id": END,
    }


def test_special_tokens_and_templates_survive_the_way_to_gguf_and_back(tmp_path: Path) -> None:
    settings = {"bos_token": "<|im_start|>", "eos_token": "<|im_end|>", "chat_template": CHAT, "add_bos_token": True}
    one = found(tmp_path / "one", chat_json(), settings)
    (tmp_path / "two").mkdir()
    to_huggingface(one.entries, tmp_path / "two")
    other = read(tmp_path / "two", small.config(vocab_size=one.size), ("bpe",))
    said_more = {"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_sep_token"}  # both False, as before
    assert {name: other.entries[name] for name in other.entries if name not in said_more} == one.entries
    assert not any(other.entries[name][1] for name in said_more)
