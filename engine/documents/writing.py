"""One file into the database and out of it: everything of a file changes in one transaction, so a kill leaves the old
or the new."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.documents.block import Block, Box, Document
from engine.documents.chunking import Chunk
from engine.documents.collection import changed, make_vectors
from engine.documents.database import DocumentStore, sql_of, vector_table
from engine.documents.prepare import prepared
from engine.documents.stale_words import remember

if TYPE_CHECKING:
    import numpy as np
    from sqlite_utils import Database

_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_INSERT = """
    INSERT INTO chunks (collection, file, number, heading, text, page, start, "end", tokens, boxes, language)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""

_INDEXED = """
    UPDATE files SET state = 'indexed', error = NULL, bytes = ?, mtime_ns = ?, sha256 = ?, pages = ?, chars = ?,
        title = ?, indexed = ? WHERE id = ? AND bytes = ? AND mtime_ns = ?"""


@dataclass(frozen=True)
class Seen:
    """A file as it was when it was read."""

    bytes: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True)
class Written:
    """All that is stored of one file. `row` is its row as it was when the work on it began; `vectors` one a chunk."""

    row: dict[str, Any]
    seen: Seen
    document: Document
    chunks: list[Chunk]
    vectors: np.ndarray | None = None
    stored: bool = False  # whether the text comes from the database and is there already


def storable(document: Document) -> Document:
    """The document without what SQLite cannot hold, every character staying at its place."""
    if not _UNREADABLE.search(document.text) and not any(_UNREADABLE.search(b.text) for b in document.blocks):
        return replace(document, title=_UNREADABLE.sub("\ufffd", document.title))
    blocks = tuple(replace(block, text=_UNREADABLE.sub("\ufffd", block.text)) for block in document.blocks)
    text, title = (_UNREADABLE.sub("\ufffd", each) for each in (document.text, document.title))
    return replace(document, text=text, title=title, blocks=blocks)


def adopt_embedder(store: DocumentStore, number: int, identity: str) -> None:
    """From now on the vectors of a collection are those of this embedder: those of another one go."""
    with store.transaction() as db:
        now = db.execute("SELECT embedder FROM collections WHERE number = ?", [number]).fetchone()
        if now is None or now[0] == identity:
            return
        make_vectors(db, number)
        db.execute("UPDATE collections SET embedder = ? WHERE number = ?", (identity, number))
        changed(db, number)


def write_files(store: DocumentStore, number: int, files: Sequence[Written], identity: str = "") -> list[int]:
    """Store what was made of some files in one transaction; ids of those that are gone or changed meanwhile are left.

    `identity` names the embedder of their vectors. Raises UserError embedder_changed if the collection has another.
    """
    with store.transaction() as db:
        kept = db.execute("SELECT embedder FROM collections WHERE number = ?", [number]).fetchone()
        if kept is None:
            return []
        if identity and kept[0] != identity:
            raise UserError("embedder_changed", "The collection has another embedder now.", "Start the index again.")
        done = [one.row["id"] for one in files if _write(db, number, one)]
        if done:
            changed(db, number)
    return done


def fail_file(store: DocumentStore, number: int, row: dict[str, Any], error: UserError, state: str = "failed") -> None:
    """Remember why a file cannot be read; what was known of an earlier state of it goes."""
    told = json.dumps(error.to_json(), ensure_ascii=False)
    with store.transaction() as db:
        forget_chunks(db, number, row["id"])
        db.execute("DELETE FROM texts WHERE file = ?", [row["id"]])
        db.execute(
            "UPDATE files SET state = ?, error = ?, sha256 = '', chars = 0, pages = 0 WHERE id = ?",
            (state, _UNREADABLE.sub("?", told), row["id"]),
        )
        changed(db, number)


def forget_chunks(db: Database, number: int, file: int) -> None:
    """Chunks, questions, full-text rows and vectors of a file go, inside the caller's transaction."""
    ids = [row[0] for row in db.execute("SELECT id FROM chunks WHERE file = ?", [file])]
    if not ids:
        return
    ofs = "SELECT id FROM questions WHERE chunk IN (SELECT id FROM chunks WHERE file = ?)"
    ids += [row[0] for row in db.execute(ofs, [file])]
    singles = [(one,) for one in ids]
    db.conn.executemany(sql_of(number, "DELETE FROM {fts} WHERE rowid = ?"), singles)
    if has_table(db, vector_table(number)):
        db.conn.executemany(sql_of(number, "DELETE FROM {vec} WHERE chunk = ?"), singles)
    db.execute("DELETE FROM questions WHERE chunk IN (SELECT id FROM chunks WHERE file = ?)", [file])
    db.execute("DELETE FROM chunks WHERE file = ?", [file])
    remember(db, number)


def has_table(db: Database, name: str) -> bool:
    """Whether there is such a table."""
    return db.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [name]).fetchone() is not None


def document_of(store: DocumentStore, file: int) -> Document | None:
    """What was read of a file, None where nothing was."""
    row = store.row(
        "SELECT texts.text, texts.blocks, files.pages, files.title FROM texts JOIN files ON files.id = texts.file"
        " WHERE file = ?",
        file,
    )
    if row is None:
        return None
    text = row["text"]
    blocks = tuple(
        Block(kind, text[start:end], level, page, _boxes(boxes), start, end)
        for kind, level, page, start, end, boxes in json.loads(row["blocks"])
    )
    return Document(text, blocks, row["pages"], row["title"])


def put_text(db: Database, file: int, document: Document) -> None:
    """Store what was read of a file, inside the caller's transaction."""
    blocks = [[b.kind, b.level, b.page, b.start, b.end, _packed(b.boxes)] for b in document.blocks]
    packed = json.dumps(blocks, separators=(",", ":"))
    db.execute("INSERT OR REPLACE INTO texts (file, text, blocks) VALUES (?, ?, ?)", (file, document.text, packed))


def boxes_json(boxes: Sequence[Box]) -> str:
    """Boxes as a row of `chunks` keeps them: [{"page", "left", "top", "right", "bottom"}]."""
    names = ("page", "left", "top", "right", "bottom")
    return json.dumps([dict(zip(names, row, strict=True)) for row in _packed(boxes)], separators=(",", ":"))


def boxes_of(stored: str) -> tuple[Box, ...]:
    """The boxes of a row of `chunks`."""
    return tuple(Box(**box) for box in json.loads(stored))


def _packed(boxes: Sequence[Box]) -> list[list[float]]:
    return [[b.page, *(round(v, 1) for v in (b.left, b.top, b.right, b.bottom))] for b in boxes]


def _boxes(rows: list[list[float]]) -> tuple[Box, ...]:
    return tuple(Box(int(page), *place) for page, *place in rows)


def _write(db: Database, number: int, one: Written) -> bool:
    """False if the file went, or changed, since `row` was read."""
    row, seen, document = one.row, one.seen, one.document
    facts = (*astuple(seen), document.pages, len(document.text), document.title, time.time())
    updated = db.execute(_INDEXED, (*facts, row["id"], row["bytes"], row["mtime_ns"]))
    if updated.rowcount != 1:
        return False
    forget_chunks(db, number, row["id"])
    if not one.stored:
        put_text(db, row["id"], document)
    ids = [_insert(db, number, row["id"], chunk) for chunk in one.chunks]
    texts = ((key, prepared(chunk.indexed)) for key, chunk in zip(ids, one.chunks, strict=True))
    db.conn.executemany(sql_of(number, "INSERT INTO {fts} (rowid, prepared) VALUES (?, ?)"), texts)
    if one.vectors is not None:
        blobs = ((key, vector.astype("float16").tobytes()) for key, vector in zip(ids, one.vectors, strict=True))
        db.conn.executemany(sql_of(number, "INSERT INTO {vec} (chunk, vector) VALUES (?, ?)"), blobs)
    return True


def _insert(db: Database, number: int, file: int, chunk: Chunk) -> int:
    place = (chunk.page, chunk.start, chunk.end, chunk.tokens, boxes_json(chunk.boxes), chunk.language)
    values = (number, file, chunk.number, chunk.heading, chunk.text, *place)
    return int(db.execute(_INSERT, values).lastrowid or 0)
