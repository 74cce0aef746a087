"""Does an answer end? The chat template is rendered; after an answer must stand a token that llama.cpp stops at."""

from __future__ import annotations

import re
from typing import Any

from convert.note import note
from engine.api.errors import UserError

Entries = dict[str, tuple[str, Any]]
ANSWER = "Deskside-answer-7351"
# What llama.cpp takes for the end of a turn by its text alone (llama-vocab.cpp).
KNOWN_ENDS = (
    *("<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "<|end_of_text|>", "<EOT>", "_<EOT>"),
    *("[EOT]", "<｜end▁of▁sentence｜>", "<end_of_utterance>", "<|eom_id|>", "<|return|>", "<|call|>", "<|flush|>"),
    *("<|calls|>", "<|endofprompt|>", "</s>", "<turn|>"),
)
_IDS = ("eos", "eot", "eom")
_MODELS_WITH_ENDS = ("gpt2", "llama", "gemma4")


def look_at_ends(entries: Entries) -> tuple[str, ...]:
    """Notes on what ends a text and an answer. Raises UserError vocabulary_without_end."""
    template = entries.get("tokenizer.chat_template", ("", ""))[1]
    texts = entries["tokenizer.ggml.tokens"][1]
    ids = [entries[name][1] for each in _IDS if (name := f"tokenizer.ggml.{each}_token_id") in entries]
    _within(entries, len(texts))
    ends = {texts[place] for place in ids} | {text for text in KNOWN_ENDS if text in texts}
    if entries["tokenizer.ggml.model"][1] in _MODELS_WITH_ENDS and not ids:
        if not ends:
            raise UserError(
                "vocabulary_without_end",
                "No file of this model names the token that ends a text, so no answer would end.",
                "Download config.json, generation_config.json and tokenizer_config.json again.",
            )
        return (
            note("end_by_its_looks", "no file names the token that ends a text; llama.cpp knows one by its looks"),
            *_rendered(template, entries, ends),
        )
    return _rendered(template, entries, ends)


def _within(entries: Entries, size: int) -> None:
    for name, (kind, value) in entries.items():
        if name.endswith("_token_id") and kind == "u32" and not 0 <= value < size:
            raise UserError(
                "special_token_out_of_range",
                f"{name} is {value}, but the vocabulary has {size} tokens.",
                "The tokenizer files and config.json are not of one model. Download them together.",
                name=name,
                value=value,
                size=size,
            )


def _rendered(template: str, entries: Entries, ends: set[str]) -> tuple[str, ...]:
    if not template:
        return ()
    messages = [{"role": "user", "content": "Deskside-question-7351"}, {"role": "assistant", "content": ANSWER}]
    try:
        text = _render(template, messages, entries)
    except UserError as error:
        return (note("template_untried", "the chat template cannot be tried: {reason}", reason=error.text),)
    if ANSWER not in text:
        return (note("template_drops_answers", "the chat template leaves an answer's text out"),)
    after = text[text.rindex(ANSWER) + len(ANSWER) :].lstrip(" \n")
    return () if after.startswith(tuple(ends)) else _open_end(after, entries)


def _open_end(after: str, entries: Entries) -> tuple[str, ...]:
    texts, kinds = entries["tokenizer.ggml.tokens"][1], entries["tokenizer.ggml.token_type"][1]
    special = [text for text, kind in zip(texts, kinds, strict=True) if kind in (3, 4) and text.strip()]
    found = (
        re.match("|".join(re.escape(text) for text in sorted(special, key=len, reverse=True)), after)
        if special
        else None
    )
    if found and after:
        return (
            note(
                "template_open_end",
                "the chat template ends an answer with {token}, at which llama.cpp does not stop",
                token=found[0],
            ),
        )
    return (note("template_no_end", "the chat template does not mark an answer's end"),)


def _render(template: str, messages: list[dict[str, str]], entries: Entries) -> str:
    """In the engine's own sandbox: a template is foreign code. Raises UserError bad_template."""
    from engine.llama.vocabulary import rendered

    texts = entries["tokenizer.ggml.tokens"][1]
    named = (entries.get(f"tokenizer.ggml.{name}_token_id") for name in ("bos", "eos"))
    bos, eos = ("" if found is None else str(texts[found[1]]) for found in named)
    return rendered(template, messages, bos, eos)
