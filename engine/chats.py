"""Conversations as trees of messages: nothing is overwritten, a new branch is a new child."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from engine.api.errors import UserError
from engine.api.messages import Attachment, Chat, ChatTree, Message, MessageState, Role
from engine.segment import prepare
from engine.store import Store

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.db import Table

_CHANGEABLE = ("title", "folder", "pinned", "system", "model", "sampling", "adapters", "documents")
_JSON = ("sampling", "adapters", "documents")


class Chats:
    """All conversations of the store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def recover(self) -> None:
        """After a start: answers cut off by a kill become `interrupted`, what was deleted before is purged."""
        with self.store.transaction() as db:
            db.execute("UPDATE messages SET state = 'interrupted' WHERE state = 'streaming'")
            for row in self.store.rows("SELECT id, chat FROM messages WHERE state = 'interrupted'"):
                index_message(db, row["id"])
            db.execute("DELETE FROM search WHERE chat IN (SELECT id FROM chats WHERE deleted IS NOT NULL)")
            db.execute("DELETE FROM search WHERE message IN (SELECT id FROM messages WHERE deleted IS NOT NULL)")
            db.execute("PRAGMA defer_foreign_keys = ON")
            db.execute("DELETE FROM messages WHERE deleted IS NOT NULL")
            db.execute("DELETE FROM chats WHERE deleted IS NOT NULL")

    def list(self) -> list[Chat]:
        """All conversations, the newest first."""
        rows = self.store.rows("SELECT * FROM chats WHERE deleted IS NULL ORDER BY updated DESC, rowid DESC")
        return [_chat(row) for row in rows]

    def create(self, values: dict[str, Any]) -> Chat:
        """A new, empty conversation."""
        now = time.time()
        identity = uuid.uuid4().hex
        fresh: dict[str, Any] = {"title": "", "folder": "", "pinned": False, "system": "", "model": "", "sampling": {}}
        fresh |= {"adapters": [], "documents": []}
        row = fresh | values | {"id": identity, "leaf": None, "created": now, "updated": now, "deleted": None}
        with self.store.transaction() as db:
            cast("Table", db["chats"]).insert(row | {name: json.dumps(row[name]) for name in _JSON})
            index_title(db, identity, str(row["title"]))
        return self.get(identity)

    def get(self, chat: str) -> Chat:
        """One conversation. Raises UserError unknown_chat."""
        row = self.store.row("SELECT * FROM chats WHERE id = ? AND deleted IS NULL", chat)
        if row is None:
            raise UserError("unknown_chat", "This conversation does not exist (any more).", "Choose another one.")
        return _chat(row)

    def update(self, chat: str, values: dict[str, Any]) -> Chat:
        """Change title, folder, pinned, system, model, sampling, adapters or documents."""
        self.get(chat)
        changed = {name: values[name] for name in _CHANGEABLE if name in values}
        changed |= {name: json.dumps(changed[name]) for name in _JSON if name in changed}
        with self.store.transaction() as db:
            cast("Table", db["chats"]).update(chat, changed)
            if "title" in values:
                index_title(db, chat, values["title"])
        return self.get(chat)

    def delete(self, chat: str) -> None:
        """Hide a conversation; it is purged at the engine's next start, so that this can be undone."""
        self.get(chat)
        self.store.run("UPDATE chats SET deleted = ? WHERE id = ?", time.time(), chat)

    def restore(self, chat: str) -> Chat:
        """Undo `delete`."""
        self.store.run("UPDATE chats SET deleted = NULL WHERE id = ?", chat)
        return self.get(chat)

    def tree(self, chat: str) -> ChatTree:
        """The conversation with all branches and the path of the branch on show."""
        rows = self.store.rows("SELECT * FROM messages WHERE chat = ? AND deleted IS NULL ORDER BY id", chat)
        shown = self.get(chat)
        messages = [_message(row) for row in rows]
        return {"chat": shown, "messages": messages, "path": path_to(messages, shown["leaf"])}

    def message(self, message: int) -> Message:
        """One message. Raises UserError unknown_message."""
        row = self.store.row("SELECT * FROM messages WHERE id = ? AND deleted IS NULL", message)
        if row is None:
            raise UserError("unknown_message", "This message does not exist (any more).", "Reload the conversation.")
        return _message(row)

    def add(
        self,
        chat: str,
        parent: int | None,
        role: Role,
        text: str,
        state: MessageState,
        model: str = "",
        media: Sequence[Attachment] = (),
    ) -> Message:
        """A new child of `parent`, which becomes the end of the branch on show."""
        now = time.time()
        with self.store.transaction() as db:
            cursor = db.execute(
                "INSERT INTO messages (chat, parent, role, text, media, thinking, state, model, created, stats, sent)"
                " VALUES (?, ?, ?, ?, ?, '', ?, ?, ?, '{}', '{}')",
                (chat, parent, role, text, json.dumps(media), state, model, now),
            )
            new = cast(int, cursor.lastrowid)
            db.execute("UPDATE chats SET leaf = ?, updated = ? WHERE id = ?", (new, now, chat))
            index_message(db, new)
        return self.message(new)

    def switch(self, chat: str, message: int) -> ChatTree:
        """Show the newest branch that runs through `message`."""
        tree = self.tree(chat)
        if message not in {m["id"] for m in tree["messages"]}:
            raise UserError("unknown_message", "This message does not exist (any more).", "Reload the conversation.")
        self.store.run("UPDATE chats SET leaf = ? WHERE id = ?", newest_end(tree["messages"], message), chat)
        return self.tree(chat)

    def delete_message(self, message: int) -> ChatTree:
        """Hide a message and all that follows it; the branch on show moves to what is left beside or before it."""
        row = self.message(message)
        tree = self.tree(row["chat"])
        gone = subtree(tree["messages"], message)
        left = [m for m in tree["messages"] if m["id"] not in gone]
        beside = [m["id"] for m in left if m["parent"] == row["parent"]]
        start = beside[-1] if beside else row["parent"]
        leaf = newest_end(left, start) if start is not None else None
        with self.store.transaction() as db:
            now = time.time()  # one stamp for the whole subtree, so that `restore` finds exactly what this call hid
            for identity in gone:
                db.execute("UPDATE messages SET deleted = ? WHERE id = ?", (now, identity))
            db.execute("UPDATE chats SET leaf = ? WHERE id = ?", (leaf, row["chat"]))
        return self.tree(row["chat"])

    def restore_message(self, message: int) -> ChatTree:
        """Undo `delete_message`."""
        row = self.store.row("SELECT chat, deleted FROM messages WHERE id = ?", message)
        if row is None:
            raise UserError("unknown_message", "This message does not exist any more.", "Reload the conversation.")
        self.store.run("UPDATE messages SET deleted = NULL WHERE chat = ? AND deleted = ?", row["chat"], row["deleted"])
        return self.switch(row["chat"], message)


def index_message(db: Database, message: int) -> None:
    """Bring the full-text index up to date with a message."""
    db.execute("DELETE FROM search WHERE message = ?", (message,))
    for row in list(db.query("SELECT chat, text FROM messages WHERE id = ? AND text <> ''", (message,))):
        db.execute(
            "INSERT INTO search (prepared, chat, message) VALUES (?, ?, ?)",
            (prepare(row["text"]), row["chat"], message),
        )


def index_title(db: Database, chat: str, title: str) -> None:
    """Bring the full-text index up to date with a title."""
    db.execute("DELETE FROM search WHERE chat = ? AND message IS NULL", (chat,))
    if title:
        db.execute("INSERT INTO search (prepared, chat, message) VALUES (?, ?, NULL)", (prepare(title), chat))


def path_to(messages: list[Message], leaf: int | None) -> list[int]:
    """Ids from the root to `leaf`."""
    parents = {m["id"]: m["parent"] for m in messages}
    path: list[int] = []
    while leaf is not None and leaf in parents:
        path.append(leaf)
        leaf = parents[leaf]
    return path[::-1]


def newest_end(messages: list[Message], start: int) -> int:
    """Follow the newest children from `start` to the end of their branch."""
    newest = {m["parent"]: m["id"] for m in messages}
    while start in newest:
        start = newest[start]
    return start


def subtree(messages: list[Message], root: int) -> set[int]:
    """`root` and all its descendants. A child's id is always greater than its parent's."""
    inside = {root}
    for message in messages:
        if message["parent"] in inside:
            inside.add(message["id"])
    return inside


def _chat(row: dict[str, Any]) -> Chat:
    values = {name: row[name] for name in Chat.__annotations__}
    return cast(Chat, values | {"pinned": bool(row["pinned"])} | {name: json.loads(row[name]) for name in _JSON})


def _message(row: dict[str, Any]) -> Message:
    values = {name: row[name] for name in Message.__annotations__}
    decoded = {name: json.loads(row[name]) for name in ("stats", "sent", "media", "found")}
    return cast(Message, values | decoded | {"error": json.loads(row["error"]) if row["error"] else None})
