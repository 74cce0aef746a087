"""Documents that are rows of a file: corpus.jsonl with {"_id", "title", "text"} a line."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from engine.api.errors import UserError
from engine.documents.block import Block, Document, assemble
from engine.documents.database import DocumentStore
from engine.documents.sync import CORPUS
from engine.documents.writing import put_text, storable

LONGEST_LINE = 64 << 20
LONGEST_ID = 500
ROWS_AT_ONCE = 500
Step = Callable[[int, int], object]  # bytes done, bytes in all; may raise to end the reading


def import_corpus(
    store: DocumentStore, number: int, path: Path, step: Step = lambda done, total: None
) -> dict[str, int]:
    """Each row becomes a document of its own, named by its `_id`, waiting for the index.

    Rows that are there and the same are left alone. Returns {"added", "changed", "same", "bad"}. Raises UserError
    cannot_read_file.
    """
    counts = {"added": 0, "changed": 0, "same": 0, "bad": 0}
    try:
        total = path.stat().st_size
        with path.open("rb") as file:
            rows: list[tuple[str, Document]] = []
            for row in _rows(file, counts):
                rows.append(row)
                if len(rows) >= ROWS_AT_ONCE:
                    _store(store, number, rows, counts)
                    rows = []
                    step(file.tell(), total)
            _store(store, number, rows, counts)
    except OSError as error:
        raise UserError(
            "cannot_read_file", f"{path} cannot be read ({error.strerror}).", "Check the name.", path=str(path)
        ) from None
    return counts


def _rows(file: BinaryIO, counts: dict[str, int]) -> Iterator[tuple[str, Document]]:
    for line in iter(lambda: file.readline(LONGEST_LINE), b""):
        if not line.strip():
            continue
        row = _row(line)
        if row is None:
            counts["bad"] += 1
        else:
            yield row


def _row(line: bytes) -> tuple[str, Document] | None:
    """None for what is no row."""
    try:
        data = json.loads(line.decode("utf-8-sig"))
        identity, text = str(data["_id"]).strip(), data["text"]
        title = data.get("title") or ""
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if not isinstance(text, str) or not isinstance(title, str) or not 0 < len(identity) <= LONGEST_ID:
        return None
    if not identity.isprintable():
        return None
    return identity, storable(_document(title, text))


def _document(title: str, text: str) -> Document:
    heading = [Block("heading", " ".join(title.split()), level=1)] if title.strip() else []
    return assemble([*heading, *(Block("text", part) for part in re.split(r"\n[ \t]*\n", text))], title.strip())


def _store(store: DocumentStore, number: int, rows: list[tuple[str, Document]], counts: dict[str, int]) -> None:
    with store.transaction() as db:
        for identity, document in rows:
            counts[_store_one(db, number, identity, document)] += 1


def _store_one(db: Any, number: int, identity: str, document: Document) -> str:
    raw = document.text.encode()
    hashed = hashlib.sha256(document.title.encode() + b"\0" + raw).hexdigest()
    path = CORPUS + identity
    known = db.execute("SELECT id, sha256 FROM files WHERE collection = ? AND path = ?", (number, path)).fetchone()
    if known and known[1] == hashed:
        return "same"
    if known:
        file = known[0]
        db.execute("UPDATE files SET state = 'waiting', error = NULL, sha256 = ? WHERE id = ?", (hashed, file))
    else:
        file = db.execute(
            "INSERT INTO files (collection, path, name, suffix, bytes, mtime_ns, sha256, added)"
            " VALUES (?, ?, ?, '', ?, 0, ?, ?)",
            (number, path, identity, len(raw), hashed, time.time()),
        ).lastrowid
    facts = (len(raw), len(document.text), document.title, file)
    db.execute("UPDATE files SET bytes = ?, chars = ?, title = ? WHERE id = ?", facts)
    put_text(db, file, document)
    return "changed" if known else "added"
