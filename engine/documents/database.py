"""documents.db: collections, their files, what was read, the chunks, and both indexes over them.

The engine and its index jobs write it, each through its own connection; SQLite's lock makes them take turns.
Every collection has an FTS5 table `fts_NUMBER` and, once there is an embedder, a table of vectors `vec_NUMBER`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engine.api.folders import documents_file
from engine.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from sqlite_utils import Database

BUSY_S = 60.0  # a long transaction of an index job may take seconds on a slow disk
FOLD_S = 0.5
CACHE_KIB = 32 * 1024
QUESTIONS_FROM = 1 << 40  # ids of questions, which share both indexes with chunks, are at least this


def m001_collections(db: Database) -> None:
    """`embedder` is the identity of the vectors stored, "" for none; `version` counts what was written."""
    db.execute("""
        CREATE TABLE collections (
            number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
            settings TEXT NOT NULL, embedder TEXT NOT NULL DEFAULT '', problem TEXT NOT NULL DEFAULT '',
            version INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL, updated REAL NOT NULL)""")
    db.execute("""
        CREATE TABLE folders (
            id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL REFERENCES collections(number),
            path TEXT NOT NULL, watched INTEGER NOT NULL, UNIQUE (collection, path))""")


def m002_files(db: Database) -> None:
    """A file's `sha256` is that of what was read, "" as long as it has to be read (again)."""
    db.execute("""
        CREATE TABLE files (
            id INTEGER PRIMARY KEY AUTOINCREMENT, collection INTEGER NOT NULL REFERENCES collections(number),
            folder INTEGER REFERENCES folders(id), path TEXT NOT NULL, name TEXT NOT NULL, suffix TEXT NOT NULL,
            bytes INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, sha256 TEXT NOT NULL DEFAULT '',
            state TEXT NOT NULL DEFAULT 'waiting', error TEXT, pages INTEGER NOT NULL DEFAULT 0,
            chars INTEGER NOT NULL DEFAULT 0, title TEXT NOT NULL DEFAULT '', added REAL NOT NULL,
            indexed REAL NOT NULL DEFAULT 0, UNIQUE (collection, path))""")
    db.execute("CREATE INDEX files_by_state ON files(collection, state, id)")
    db.execute("""
        CREATE TABLE texts (
            file INTEGER PRIMARY KEY REFERENCES files(id), text TEXT NOT NULL, blocks TEXT NOT NULL)""")


def m003_chunks(db: Database) -> None:
    """`start` and `end` are characters of the file's text; `boxes` is JSON."""
    db.execute("""
        CREATE TABLE chunks (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            collection INTEGER NOT NULL, file INTEGER NOT NULL REFERENCES files(id),
            number INTEGER NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL, page INTEGER NOT NULL,
            start INTEGER NOT NULL, "end" INTEGER NOT NULL, tokens INTEGER NOT NULL, boxes TEXT NOT NULL,
            language TEXT NOT NULL)""")
    db.execute("CREATE UNIQUE INDEX chunks_of_file ON chunks(file, number)")
    db.execute("CREATE INDEX chunks_of_collection ON chunks(collection)")


def m004_questions(db: Database) -> None:
    """Questions that a chunk answers; their ids begin where no chunk's id comes to."""
    db.execute("""
        CREATE TABLE questions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, chunk INTEGER NOT NULL REFERENCES chunks(id), text TEXT NOT NULL)""")
    db.execute("CREATE INDEX questions_of_chunk ON questions(chunk)")
    db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('questions', ?)", [QUESTIONS_FROM - 1])


def m005_left_out(db: Database) -> None:
    """Files deleted from a collection whose folder is still watched, by the hash of their path: not even that stays."""
    db.execute("""
        CREATE TABLE left_out (
            collection INTEGER NOT NULL, path_sha256 TEXT NOT NULL, PRIMARY KEY (collection, path_sha256))""")


def m006_stale(db: Database) -> None:
    """`stale` is 1 while words of rows that are gone may stand in a collection's full-text index."""
    db.execute("ALTER TABLE collections ADD COLUMN stale INTEGER NOT NULL DEFAULT 0")
    db.execute("UPDATE collections SET stale = 1")


class DocumentStore(Store):
    """The store of documents. The engine owns the file; a job says `owner=False` and never moves it aside."""

    history = "documents"
    steps = (m001_collections, m002_files, m003_chunks, m004_questions, m005_left_out, m006_stale)

    def __init__(self, file: Path | None = None, *, owner: bool = True) -> None:
        super().__init__(file or documents_file(), owner=owner)
        self.file = file or documents_file()
        self._patience(BUSY_S)
        self.db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")

    def fold(self, share: float = 0.2) -> bool:
        """As for every store, but it does not wait long for another process, as this one's threads wait meanwhile."""
        with self._lock:
            self._patience(FOLD_S)
            try:
                return super().fold(share)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                return False
            finally:
                self._patience(BUSY_S)

    def _patience(self, seconds: float) -> None:
        self.db.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")

    @contextmanager
    def transaction(self) -> Iterator[Database]:
        """Several statements that count together or not at all; other threads and processes wait.

        It takes the write lock at its beginning: one that first reads and then writes would fail, not wait,
        when another process wrote in between.
        """
        with self._lock:
            if self.db.conn.in_transaction:
                with self.db.atomic():
                    yield self.db
                return
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield self.db
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.conn.in_transaction:
                    self.db.execute("ROLLBACK")
                raise


def fts_table(number: int) -> str:
    """The name of a collection's full-text index; rowids are ids of chunks and questions."""
    return f"fts_{int(number)}"


def vector_table(number: int) -> str:
    """The name of a collection's vectors (chunk, vector): float16 of length 1; there once it has an embedder."""
    return f"vec_{int(number)}"


def sql_of(number: int, sql: str) -> str:
    """A statement over a collection's own tables, written {fts} and {vec}."""
    return sql.format(fts=fts_table(number), vec=vector_table(number))
