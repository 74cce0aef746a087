"""A checkpoint's vocabulary by the kinds that its family has, and what is checked whatever the kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert.note import note
from convert.vocabulary import bpe, chatglm3, llama_hf, ranks, spm, tekken, unigram, wordpiece
from convert.vocabulary.ends import look_at_ends
from convert.vocabulary.source import Missing, Settings, Source, bad
from convert.vocabulary.tokens import NORMAL, UNUSED, duplicate
from engine.api.errors import UserError

Entries = dict[str, tuple[str, Any]]
Reader = Callable[[Source, str], tuple[Entries, tuple[str, ...]]]
# ChatGLM 3's file is SentencePiece's, its special tokens are not.
_READERS: dict[str, tuple[Reader, ...]] = {
    "bpe": (bpe.read,),
    "spm": (chatglm3.read, spm.read),
    "llama_hf": (llama_hf.read,),
    "gemma4": (llama_hf.read,),
    "unigram": (unigram.read,),
    "wordpiece": (wordpiece.read,),
    "tiktoken": (ranks.read,),
    "tekken": (tekken.read,),
    "chatglm": (chatglm3.read,),
}


@dataclass(frozen=True)
class Vocabulary:
    """What was read. `kind` is the one that fitted; `entries` all tokenizer.* metadata; `size` in tokens; `pre` the
    name of llama.cpp's way to cut texts, "" where there is none; `notes`: what a person should know."""

    kind: str
    entries: Entries
    size: int
    pre: str
    notes: tuple[str, ...] = ()


def read(folder: Path, config: Settings, kinds: tuple[str, ...], pre: str = "") -> Vocabulary:
    """The vocabulary in `folder`, the first of `kinds` that is there: bpe, spm, llama_hf, unigram, wordpiece, tiktoken,
    tekken, none. `pre` overrides the pre-tokenizer that is recognized.

    Raises UserError no_vocabulary, bad_tokenizer, duplicate_tokens, unknown_pretokenizer, vocabulary_too_large,
    vocabulary_without_end.
    """
    source = Source(folder, config)
    # Mistral's newer models come with tekken.json alone, and are LLaMA's family otherwise.
    for kind in (*kinds, "tekken") if "llama_hf" in kinds else kinds:
        if kind == "none":
            return Vocabulary("none", {"tokenizer.ggml.model": ("str", "none")}, 0, "")
        for reader in _READERS.get(kind, ()):
            try:
                entries, notes = reader(source, pre)
            except Missing:
                continue
            return _checked(source, kind, entries, notes)
    raise UserError(
        "no_vocabulary",
        f"{folder.name} has no tokenizer that this family of models can use.",
        "Download tokenizer.json or tokenizer.model, and tokenizer_config.json, into the same folder.",
        name=folder.name,
        kinds=", ".join(kinds),
    )


def _checked(source: Source, kind: str, entries: Entries, notes: tuple[str, ...]) -> Vocabulary:
    entries = _glm(source, entries)
    texts, kinds = entries["tokenizer.ggml.tokens"][1], entries["tokenizer.ggml.token_type"][1]
    notes += _distinct(texts, kinds)
    _usable(texts)
    notes += look_at_ends(entries)
    pre = entries.get("tokenizer.ggml.pre", ("str", ""))[1]
    return Vocabulary(kind, entries, len(texts), str(pre), notes)


def _distinct(texts: list[str], kinds: list[int]) -> tuple[str, ...]:
    """llama.cpp aborts where two tokens have one text; an unused one or one with a twin gets a name of its own."""
    seen: dict[str, int] = {}
    renamed = []
    for place, text in enumerate(texts):
        first = seen.setdefault(text, place)
        if first == place:
            continue
        later = first if kinds[first] == UNUSED else place
        if kinds[later] == NORMAL and kinds[first + place - later] == NORMAL:
            both = {"first": first, "second": place}
            raise duplicate(note("one_text_twice", "{token} is number {first} and {second}", token=repr(text), **both))
        texts[later], kinds[later] = f"[UNREACHABLE{later}]", UNUSED
        seen[text] = first + place - later
        renamed.append(later)
    return (
        (note("tokens_set_aside", "{count} tokens have the text of another and are set aside", count=len(renamed)),)
        if renamed
        else ()
    )


def _usable(texts: list[str]) -> None:
    if not any(texts):
        raise bad("tokenizer.json", note("holds_no_vocabulary", "it holds no vocabulary"))
    for place, text in enumerate(texts):
        if "\0" in text:
            raise bad("tokenizer.json", note("zero_byte", "token {place} holds a zero byte", place=place))


def _glm(source: Source, entries: Entries) -> Entries:
    """GLM-4 and later: what ends a text and a turn is known by name where no file says it."""
    kind = str(source.config.get("model_type", default=""))
    if not kind.startswith(("glm", "chatglm")) or entries["tokenizer.ggml.model"][1] != "gpt2":
        return entries
    places = {
        text: place for place, text in enumerate(entries["tokenizer.ggml.tokens"][1]) if text.startswith(("<|", "[g"))
    }
    first = "[gMASK]" if kind.startswith(("glm4_moe", "glm_moe")) else "" if kind == "chatglm" else "<|endoftext|>"
    words = {"bos": first, "eos": "<|endoftext|>", "eot": "<|user|>", "unknown": "<|endoftext|>"}
    if kind.startswith(("glm4_moe", "glm_moe")):
        words = {"bos": first, "eot": "<|user|>", "unknown": "<|endoftext|>", "eom": "<|observation|>"}
    found: Entries = {
        f"tokenizer.ggml.{name}_token_id": ("u32", places[word]) for name, word in words.items() if word in places
    }
    return found | entries
