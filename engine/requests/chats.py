"""Requests about conversations as things: list, change, delete, find, carry in and out."""

from __future__ import annotations

from typing import Any

from engine.api.errors import UserError
from engine.api.messages import Chat, ChatTree
from engine.api.sampling import Sampling
from engine.chosen_adapters import checked
from engine.core import Call, Core
from engine.documents.in_chat import chosen_documents
from engine.search import search


def list_chats(core: Core, call: Call) -> dict[str, Any]:
    """All conversations, the newest first."""
    return {"chats": core.chats.list()}


def create(
    core: Core,
    call: Call,
    title: str = "",
    system: str | None = None,
    model: str = "",
    folder: str = "",
    sampling: dict[str, Any] | None = None,
    adapters: list[dict[str, Any]] | None = None,
    documents: list[dict[str, Any]] | None = None,
) -> Chat:
    """A new conversation; without a system prompt of its own it takes the one of the settings."""
    Sampling.from_json(sampling or {})
    values: dict[str, Any] = {"title": title, "model": model, "folder": folder, "sampling": sampling or {}}
    values["adapters"] = checked(adapters or [])
    values["documents"] = chosen_documents(core, documents or [])
    values["system"] = core.settings.default_system if system is None else system
    return announce(core, core.chats.create(values))


def get(core: Core, call: Call, chat: str) -> ChatTree:
    """One conversation with all its branches."""
    return core.chats.tree(chat)


def update(
    core: Core,
    call: Call,
    chat: str,
    title: str | None = None,
    folder: str | None = None,
    pinned: bool | None = None,
    system: str | None = None,
    model: str | None = None,
    sampling: dict[str, Any] | None = None,
    adapters: list[dict[str, Any]] | None = None,
    documents: list[dict[str, Any]] | None = None,
) -> Chat:
    """Change what is given, leave the rest."""
    Sampling.from_json(sampling or {})
    values = {
        "title": title,
        "folder": folder,
        "pinned": pinned,
        "system": system,
        "model": model,
        "sampling": sampling,
        "adapters": None if adapters is None else checked(adapters),
        "documents": None if documents is None else chosen_documents(core, documents),
    }
    return announce(core, core.chats.update(chat, {k: v for k, v in values.items() if v is not None}))


def switch(core: Core, call: Call, chat: str, message: int) -> ChatTree:
    """Show another branch."""
    return core.chats.switch(chat, message)


def delete(core: Core, call: Call, chat: str) -> dict[str, Any]:
    """Delete a conversation; `restore` brings it back until the engine stops."""
    core.chats.delete(chat)
    core.forget_conversation(chat)
    core.broadcast("chat_deleted", chat=chat)
    return {}


def restore(core: Core, call: Call, chat: str) -> Chat:
    """Undo `delete`."""
    return announce(core, core.chats.restore(chat))


def search_chats(core: Core, call: Call, query: str, limit: int = 50) -> dict[str, Any]:
    """Titles and messages that contain the query's words."""
    return {"hits": search(core.store, query, max(1, min(limit, 500)))}


def export(core: Core, call: Call, format: str = "markdown", chats: list[str] | None = None) -> dict[str, Any]:
    """Conversations as one text, `markdown` (the branch on show) or `json` (all branches)."""
    from engine.exchange import as_json, as_markdown

    writers = {"markdown": as_markdown, "json": as_json}
    if format not in writers:
        raise UserError("unknown_format", f"Export as {' or '.join(writers)}, not as '{format}'.", format=format)
    chosen = [c["id"] for c in core.chats.list()] if chats is None else chats
    return {"text": writers[format]([core.chats.tree(chat) for chat in chosen])}


def import_chats(core: Core, call: Call, path: str) -> dict[str, Any]:
    """Read a dump of Deskside, Open WebUI or ChatGPT. What is already here is skipped."""
    from engine.exchange import read_dump, store_conversation

    conversations = read_dump(path)
    stored: list[Chat] = []
    for done, conversation in enumerate(conversations):
        call.emit("step", done=done, total=len(conversations))
        chat = store_conversation(core.chats, conversation)
        if chat:
            stored.append(announce(core, chat))
    return {"chats": stored, "skipped": len(conversations) - len(stored)}


def delete_message(core: Core, call: Call, message: int) -> ChatTree:
    """Delete a message and what follows it."""
    return core.chats.delete_message(message)


def restore_message(core: Core, call: Call, message: int) -> ChatTree:
    """Undo `delete_message`."""
    return core.chats.restore_message(message)


def announce(core: Core, chat: Chat) -> Chat:
    """Tell every client how a conversation looks now."""
    core.broadcast("chat", chat=chat)
    return chat
