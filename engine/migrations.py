"""The database's history: numbered steps, each run in a transaction together with the record that it ran."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database


def m001_chats(db: Database) -> None:
    """Conversations are trees of messages; an answer being streamed has the state `streaming`."""
    db.execute("""
        CREATE TABLE chats (
            id TEXT PRIMARY KEY, title TEXT NOT NULL, folder TEXT NOT NULL, pinned INTEGER NOT NULL,
            system TEXT NOT NULL, model TEXT NOT NULL, sampling TEXT NOT NULL, leaf INTEGER,
            created REAL NOT NULL, updated REAL NOT NULL, deleted REAL)""")
    db.execute("""
        CREATE TABLE messages (
            id INTEGER PRIMARY KEY AUTOINCREMENT, chat TEXT NOT NULL REFERENCES chats(id) ON DELETE CASCADE,
            parent INTEGER REFERENCES messages(id), role TEXT NOT NULL, text TEXT NOT NULL, thinking TEXT NOT NULL,
            state TEXT NOT NULL, model TEXT NOT NULL, created REAL NOT NULL,
            stats TEXT NOT NULL, sent TEXT NOT NULL, error TEXT, deleted REAL)""")
    db.execute("CREATE INDEX messages_of_chat ON messages(chat, id)")
    db.execute("CREATE INDEX messages_in_flight ON messages(state) WHERE state = 'streaming'")


def m002_search(db: Database) -> None:
    """Full text over titles and messages; the text is prepared by engine.segment on both sides."""
    db.execute("""
        CREATE VIRTUAL TABLE search USING fts5(
            prepared, chat UNINDEXED, message UNINDEXED, tokenize = "porter unicode61 remove_diacritics 2")""")


def m003_jobs(db: Database) -> None:
    """Every job ever started, with what it cost and how it ended."""
    db.execute("""
        CREATE TABLE jobs (
            id TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, folder TEXT NOT NULL, params TEXT NOT NULL,
            state TEXT NOT NULL, done INTEGER NOT NULL, total INTEGER NOT NULL, unit TEXT NOT NULL, text TEXT NOT NULL,
            seconds REAL NOT NULL, peak_bytes INTEGER NOT NULL, result TEXT, error TEXT, created REAL NOT NULL)""")


def m004_adapters(db: Database) -> None:
    """The LoRA adapters of a conversation, a JSON list of AdapterUse."""
    db.execute("ALTER TABLE chats ADD COLUMN adapters TEXT NOT NULL DEFAULT '[]'")


def m005_media(db: Database) -> None:
    """What goes with a message, a JSON list of Attachment; the bytes lie in the attachments folder."""
    db.execute("ALTER TABLE messages ADD COLUMN media TEXT NOT NULL DEFAULT '[]'")


def m006_documents(db: Database) -> None:
    """The documents a conversation is answered from, a JSON list of DocumentUse, and how an answer rests on them."""
    db.execute("ALTER TABLE chats ADD COLUMN documents TEXT NOT NULL DEFAULT '[]'")
    db.execute("ALTER TABLE messages ADD COLUMN found TEXT NOT NULL DEFAULT '{}'")


STEPS = (m001_chats, m002_search, m003_jobs, m004_adapters, m005_media, m006_documents)


def migrate(db: Database, history: str = "deskside", steps: Sequence[Callable[[Database], None]] = STEPS) -> None:
    """Run the steps of `history` that `db` has not seen yet, in their order."""
    # Imported here because sqlite_utils brings numpy with it, which no module may cost at its import.
    from sqlite_utils.migrations import Migrations

    migrations = Migrations(history)
    for step in steps:
        migrations()(step)
    migrations.apply(db)
