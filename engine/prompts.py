"""From messages to the text a model is given. A chat template comes with the model file and is hostile input."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any

from engine.api.errors import UserError

MAX_OUTPUT = 32 * 1024 * 1024  # characters of one prompt
MAX_TEMPLATE = 1024 * 1024
# Stands for the place where an open answer ends; no template or message contains it.
OPEN_END = "\ue000open\ue001end\ue000"

Messages = list[dict[str, Any]]


def render(
    template: str | None,
    messages: Messages,
    *,
    bos: str = "",
    eos: str = "",
    add_generation_prompt: bool = True,
    continue_last: bool = False,
    **extra: Any,
) -> str:
    """The prompt of a conversation. `messages` are {"role", "content"}, oldest first.

    `continue_last` leaves the last message, an answer, open so that the model goes on with it. `extra` reaches
    the template (`tools`, `enable_thinking` …). Without a template (a base model) the messages are joined as plain
    text. Raises UserError bad_template.
    """
    if continue_last:
        return _render_open(template, messages, bos=bos, eos=eos, **extra)
    if not template:
        return _plain(messages, add_generation_prompt)
    values = {"bos_token": bos, "eos_token": eos, "add_generation_prompt": add_generation_prompt, **extra}
    from engine.sandbox import Refused

    try:
        return _run(template, messages, values)
    except Refused:
        return _run_again(template, messages, values)


def _render_open(template: str | None, messages: Messages, **values: Any) -> str:
    """Render with a mark at the end of the last answer and cut there; whatever closes a turn is cut off with it."""
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant":
        return render(template, messages, **values)
    if not template:
        return _plain(messages, False)
    marked = [*messages[:-1], {**last, "content": f"{last['content']}{OPEN_END}"}]
    whole = render(template, marked, add_generation_prompt=False, **values)
    if OPEN_END not in whole:  # a template that rewrites answers: begin the turn and put the text behind it
        return render(template, messages[:-1], **values) + str(last["content"])
    return whole[: whole.rindex(OPEN_END)]


def _plain(messages: Messages, add_generation_prompt: bool) -> str:
    """A base model knows no turns. One message stays as it is; several are joined by empty lines."""
    return "\n\n".join(str(message["content"]) for message in messages) + (
        "\n\n" if add_generation_prompt and len(messages) > 1 else ""
    )


def _run_again(template: str, messages: Messages, values: dict[str, Any]) -> str:
    """Once more in the shape that strict templates (Gemma, Mistral) demand: no system role, turns alternating."""
    from engine.sandbox import Refused

    try:
        return _run(template, alternating(messages), values)
    except Refused as refused:
        raise _bad(str(refused)) from None


def alternating(messages: Messages) -> Messages:
    """The same words with the system text in front of the first question, and equal roles in a row joined."""
    system = [str(m["content"]) for m in messages if m["role"] == "system"]
    turns: Messages = []
    for message in (dict(m) for m in messages if m["role"] != "system"):
        if turns and turns[-1]["role"] == message["role"]:
            turns[-1]["content"] = f"{turns[-1]['content']}\n\n{message['content']}"
        else:
            turns.append(message)
    if not turns or turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": ""})
    turns[0]["content"] = "\n\n".join([*system, str(turns[0]["content"])]).strip("\n")
    return turns


def _run(template: str, messages: Messages, values: dict[str, Any]) -> str:
    """Render within bounds of size and time."""
    from jinja2 import TemplateError

    from engine.sandbox import Refused, TooMuch, limited

    if len(template) > MAX_TEMPLATE:
        raise _bad("it is too long")
    try:
        with limited():
            return "".join(_bounded(_compiled(template).generate(messages=messages, **values)))
    except Refused:
        raise
    except TooMuch as error:
        raise _bad(str(error)) from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
        raise _bad(f"{type(error).__name__}: {error}") from None
    except (RecursionError, MemoryError) as error:
        raise _bad(f"it asks for too much ({type(error).__name__})") from None


def _bounded(pieces: Iterable[str]) -> Iterator[str]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MAX_OUTPUT:
            raise ValueError("its output has no end")
        yield piece


def _bad(detail: str) -> UserError:
    return UserError(
        "bad_template",
        f"The chat template of this model cannot be used: {detail}.",
        "Another file of the same model may have a working one.",
        detail=detail,
    )


@functools.lru_cache(maxsize=8)
def _compiled(template: str) -> Any:
    from engine.sandbox import environment

    return environment().from_string(template)
