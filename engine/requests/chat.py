"""Requests that have a model answer, and those about what it was given."""

from __future__ import annotations

import base64
import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine.answer import WINDOW, Answer
from engine.api.errors import UserError
from engine.api.messages import AdapterUse, Attachment, Chat, ChatTree, Message
from engine.api.sampling import Sampling
from engine.attachments import checked as attached
from engine.chats import path_to
from engine.chosen_adapters import checked, choices
from engine.context import Turn, start_plan
from engine.conversation_prompt import prompt_of
from engine.core import Call, Core
from engine.generation import Generation, Unheard
from engine.loading import context_of, memory_of, using
from engine.machine import hardware
from engine.remotes.addresses import find as find_remote
from engine.remotes.addresses import is_remote, remotes
from engine.remotes.failures import not_chosen
from engine.requests.chats import announce

TITLE_LENGTH = 48


def attach(core: Core, call: Call, path: str = "", data: str = "", name: str = "") -> Attachment:
    """Keep an image or a sound for a message to come: a file, or bytes as base64."""
    from engine.attachments import keep, keep_file

    if path:
        return keep_file(Path(path))
    try:
        return keep(base64.b64decode(data, validate=True), name)
    except ValueError:
        raise UserError("bad_request", "The data of an attachment is base64.", name="data") from None


def send(
    core: Core,
    call: Call,
    chat: str,
    text: str,
    parent: int | None = None,
    model: str = "",
    media: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Store a question and have it answered. `parent` 0 starts a new branch at the root, `media` goes with it."""
    if not text.strip() and not media:
        raise UserError("empty_message", "There is nothing to send.", "Type a message first.")
    row = core.chats.get(chat)
    above = row["leaf"] if parent is None else parent or None
    if above is not None and core.chats.message(above)["chat"] != chat:
        raise UserError("unknown_message", "This message does not exist (any more).", "Reload the conversation.")
    name = _choose_model(core, chat, model)
    question = core.chats.add(chat, above, "user", text, "done", media=attached(media or []))
    call.emit("message", message=question)
    if not row["title"]:
        announce(
            core, core.chats.update(chat, {"title": _title(text if text.strip() else question["media"][0]["name"])})
        )
    return _answer(core, call, question, name)


def regenerate(core: Core, call: Call, message: int, model: str = "") -> dict[str, Any]:
    """Answer the same question again: a new branch beside the old answer."""
    old = core.chats.message(message)
    if old["role"] != "assistant" or old["parent"] is None:
        raise UserError("not_an_answer", "Only an answer can be generated again.", "Choose an answer.")
    return _answer(core, call, core.chats.message(old["parent"]), _choose_model(core, old["chat"], model))


def compare(core: Core, call: Call, message: int) -> dict[str, Any]:
    """Answer the question of an answer twice, without and with the conversation's adapters: two new branches.

    Both are drawn with the same seed, so that what differs comes from the adapters. Stopping ends both.
    """
    old = core.chats.message(message)
    if old["role"] != "assistant" or old["parent"] is None:
        raise UserError("not_an_answer", "Only an answer can be generated again.", "Choose an answer.")
    chat = core.chats.get(old["chat"])
    if not chat["adapters"]:
        raise UserError("nothing_to_compare", "No adapter is chosen here.", "Choose one beside the conversation.")
    model = _choose_model(core, old["chat"], "")
    if is_remote(model):
        raise UserError("adapters_elsewhere", "A remote model takes no adapters.", "Choose a model on this computer.")
    question, sampling, answers = core.chats.message(old["parent"]), _seeded(chat), list[Message]()
    for adapters in ([], chat["adapters"]):
        row = core.chats.add(old["chat"], question["id"], "assistant", "", "streaming", model)
        answers.append(_run(core, call, row, model, sampling, adapters)["message"])
        call.emit("answer", message=answers[-1])
        if call.cancelled.is_set():
            break
    return {"messages": answers}


def _seeded(chat: Chat) -> Sampling:
    """The conversation's sampling, with a seed if anything is left to chance."""
    sampling = Sampling.from_json(chat["sampling"])
    return sampling if sampling.repeatable else replace(sampling, seed=secrets.randbelow(2**31))


def continue_answer(core: Core, call: Call, message: int) -> dict[str, Any]:
    """Go on with an answer that was stopped or cut off."""
    row = core.chats.message(message)
    if row["role"] != "assistant" or row["parent"] is None:
        raise UserError("not_an_answer", "Only an answer can be continued.", "Choose an answer.")
    if row["state"] == "streaming":
        raise UserError("still_running", "This answer is still being written.", "Wait for it, or stop it first.")
    return _run(core, call, row, _choose_model(core, row["chat"], ""))


def sent(core: Core, call: Call, message: int) -> dict[str, Any]:
    """The exact text the model was given for an answer, and what had been left out."""
    row = core.chats.message(message)
    record = row["sent"]
    if not record:
        raise UserError("nothing_sent", "Nothing was sent to a model for this message.", "Choose an answer.")
    messages = {m["id"]: m for m in core.chats.tree(row["chat"])["messages"]}
    plan = start_plan(record["system"], [messages[i] for i in record["messages"] if i in messages])
    plan.summary = record.get("summary", "")
    turns = record.get("turns", plan.turns())
    if is_remote(row["model"]) or not turns:
        from engine.remotes.answering import as_sent

        return {"prompt": as_sent([*turns]), "sent": record}
    with using(core, call, row["model"]) as resident:
        return {"prompt": prompt_of(resident, turns), "sent": record}


def count(core: Core, call: Call, chat: str, text: str = "") -> dict[str, Any]:
    """Tokens that the branch on show would take in the context, together with a draft; None without a loaded model."""
    tree = core.chats.tree(chat)
    turns = _turns(tree, text)
    with core.residents.present(tree["chat"]["model"]) as resident:
        if resident is None:
            return {"used": None, "size": context_of(core)}
        used = resident.count(prompt_of(resident, turns)) if turns else 0
        return {"used": used, "size": resident.info.context_size}


def draft(
    core: Core,
    call: Call,
    chat: str,
    text: str,
    model: str = "",
    system: str = "",
    adapters: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Read a message into the cache while it is still being typed, so that its answer begins at once.

    Only where the model is in memory and has nothing else to do. `read`: tokens in the cache afterwards. `chat` ""
    stands for a new conversation, of which `model`, `system` and `adapters` are told.
    """
    tree = core.chats.tree(chat) if chat else None
    with core.residents.present(tree["chat"]["model"] if tree else model) as resident:
        if resident is None or not core.settings.read_drafts or not text.strip():
            return {"read": 0}
        turns = _turns(tree, text) if tree else [*start_plan(system, []).turns(), {"role": "user", "content": text}]
        if any("media" in turn for turn in turns):
            return {"read": 0}
        prompt = prompt_of(resident, turns)
        if resident.count(prompt) >= resident.info.context_size:
            return {"read": 0}
        used = choices(tree["chat"]["adapters"] if tree else checked(adapters or []))
        request = Generation(prompt, adapters=used, conversation=chat, read_only=True, owner=WINDOW)
        return {"read": resident.generate(request, Unheard(), call.cancelled)["context_used"]}


def _turns(tree: ChatTree, text: str) -> list[Turn]:
    """What the model would be sent of the branch on show, with a draft behind it."""
    messages = {m["id"]: m for m in tree["messages"]}
    plan = start_plan(tree["chat"]["system"], [messages[i] for i in tree["path"]])
    return plan.turns() + ([{"role": "user", "content": text}] if text else [])


def _choose_model(core: Core, chat: str, model: str) -> str:
    """The model asked for, else the conversation's, else the settings', else any that is installed."""
    from models.registry import find

    row = core.chats.get(chat)
    chosen = model or row["model"] or usual_model(core)
    find_remote(chosen) if is_remote(chosen) else find(chosen)
    if chosen != row["model"]:
        announce(core, core.chats.update(chat, {"model": chosen, "sampling": row["sampling"] or _recommended(chosen)}))
    return chosen


def usual_model(core: Core) -> str:
    """The model of the settings, else any that is installed. Raises UserError no_model_installed."""
    return core.settings.default_model or _any_model(core)


def _recommended(model: str) -> dict[str, Any]:
    """The sampling that the model's makers recommend, where the catalogue knows it."""
    from models.catalogue import entry

    known = entry(model)
    return dict(known.sampling) if known else {}


def _any_model(core: Core) -> str:
    """A chat model before a base model, a small one before a large one."""
    from models.rows import installed_rows

    here = installed_rows(hardware(core), memory_of(core.settings))
    usable = [row for row in here if row["kind"] in ("chat", "base")]
    if not usable and remotes():
        raise not_chosen()
    if not usable:
        raise UserError("no_model_installed", "No model is installed yet.", "Get one on the Models page first.")
    return min(usable, key=lambda r: (r["kind"] == "base", r["problem"] != "", r["bytes"]))["id"]


def _answer(core: Core, call: Call, question: Message, model: str) -> dict[str, Any]:
    row = core.chats.add(question["chat"], question["id"], "assistant", "", "streaming", model)
    return _run(core, call, row, model)


def _run(
    core: Core,
    call: Call,
    row: Message,
    model: str,
    sampling: Sampling | None = None,
    adapters: list[AdapterUse] | None = None,
) -> dict[str, Any]:
    messages = core.chats.tree(row["chat"])["messages"]
    ancestors = set(path_to(messages, row["parent"]))
    path = [m for m in messages if m["id"] in ancestors]
    answer = Answer(core, call, row, path, sampling, adapters)
    call.emit("message", message=row)
    try:
        done = answer.generate(model)
    finally:
        announce(core, core.chats.get(row["chat"]))
    return {"message": done}


def _title(text: str) -> str:
    line = next(line.strip() for line in text.splitlines() if line.strip())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"
