"""Words of rows that are gone: FTS5 keeps them in its segments until those are merged with the ones that followed.

A small index is merged at once after a file changed, as that takes a moment; a large one when nobody has changed
anything for some minutes, as someone who works on a file saves it again and again. `collections.stale` remembers it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from engine.documents.database import DocumentStore, sql_of

if TYPE_CHECKING:
    from sqlite_utils import Database

SMALL = 20_000  # chunks whose words are merged in about a quarter of a second
QUIET_S = 300.0
PAGES = 500  # of the index merged at a time, so that nobody waits long for the write lock
_MERGE = "INSERT INTO {fts}({fts}, rank) VALUES ('merge', ?)"


def remember(db: Database, number: int) -> None:
    """Say, inside the transaction that deletes rows of a full-text index, that their words are still in it."""
    db.execute("UPDATE collections SET stale = 1 WHERE number = ?", [number])


def merge(store: DocumentStore, number: int) -> None:
    """Merge a collection's full-text index into one segment, in which no word stands that no row has."""
    pages = -PAGES  # the first one, negative, has all segments take part
    while _merged(store, number, pages):
        pages = PAGES
    with store.transaction() as db:
        db.execute(sql_of(number, "INSERT INTO {fts}({fts}) VALUES ('optimize')"))


def tidy(store: DocumentStore, number: int) -> bool:
    """Take stale words out of a collection's index if this is the moment. Returns whether none are left.

    Free pages stay in the file, overwritten: giving them back would write all of it anew after every change.
    """
    row = store.row("SELECT stale, version, updated FROM collections WHERE number = ?", number)
    if row is None or not row["stale"]:
        return True
    if abs(time.time() - row["updated"]) < QUIET_S and not _small(store, number):
        return False
    merge(store, number)
    if not store.fold(share=1.0):
        return False  # another process reads what was there before; the next look tries again
    sql = "UPDATE collections SET stale = 0 WHERE number = ? AND version = ?"
    store.run(sql, number, row["version"])
    return True


def _merged(store: DocumentStore, number: int, pages: int) -> bool:
    """Whether there was anything to merge: SQLite tells it by how many rows it changed."""
    with store.transaction() as db:
        before = db.conn.total_changes
        db.execute(sql_of(number, _MERGE), [pages])
        return db.conn.total_changes - before >= 2


def _small(store: DocumentStore, number: int) -> bool:
    row = store.row("SELECT COUNT(*) AS chunks FROM chunks WHERE collection = ?", number)
    return row is not None and int(row["chunks"]) <= SMALL
