"""The job that has a model write questions which chunks answer, for them to be found by.

It runs in the engine, which has the models, and only while nobody else wants one: engine/documents/aside.py. What is
done is in the database, so it goes on after a kill with the chunks that were not asked about.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.job import Cancelled, Job
from engine.documents.aside import AsideWriter
from engine.documents.collection import changed, row_of
from engine.documents.database import DocumentStore, sql_of, vector_table
from engine.documents.prepare import prepared
from engine.documents.questions import LEAST, question_about
from engine.documents.sentences import sentences
from engine.documents.stale_words import remember
from engine.documents.writing import has_table
from engine.remotes.addresses import is_remote

if TYPE_CHECKING:
    import numpy as np
    from sqlite_utils import Database

    from engine.core import Core
    from engine.documents.ask import Writer

MOST = 3  # questions a chunk
LONGEST = 2000  # characters that a question is asked about
AT_ONCE, WRITE_EVERY_S = 16, 20.0  # chunks written together: each time what is found is another
REMOVED_AT_ONCE = 2000
_OPEN = "FROM chunks WHERE collection = ? AND length(text) >= ? AND id NOT IN (SELECT chunk FROM questions)"
_NEXT = f"SELECT id, heading, text {_OPEN} AND id > ? ORDER BY id LIMIT 1"
_LEFT = f"SELECT COUNT(*) AS chunks {_OPEN}"
_DONE = """
    SELECT COUNT(DISTINCT questions.chunk) AS chunks FROM questions JOIN chunks ON chunks.id = questions.chunk
    WHERE chunks.collection = ?"""
_SOME = """
    SELECT questions.id FROM questions JOIN chunks ON chunks.id = questions.chunk WHERE chunks.collection = ? LIMIT ?"""


@dataclass(frozen=True)
class Asked:
    """A chunk and the questions it answers, none where the model had no good one."""

    chunk: int
    questions: tuple[str, ...]


def run(core: Core, params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Parameters {"collection": id}. The result: {"chunks", "questions"} done by this run. Raises Cancelled."""
    row = row_of(core.documents.store, params["collection"])
    writer = AsideWriter(core, local_model(core, row["settings"]["chat_model"]), job.cancelled)
    work = _Work(core, row, job)
    try:
        work.run(writer)
    except Cancelled:
        work.write()
        raise
    work.write()
    return {"chunks": work.chunks, "questions": work.questions}


def lacking(store: DocumentStore, number: int) -> bool:
    """Whether there are chunks that were not asked about."""
    return store.row(_NEXT, number, LEAST, 0) is not None


def remove_questions(store: DocumentStore, number: int) -> None:
    """All questions of a collection go, out of both indexes too."""
    while rows := store.rows(_SOME, number, REMOVED_AT_ONCE):
        singles = [(row["id"],) for row in rows]
        with store.transaction() as db:
            db.conn.executemany(sql_of(number, "DELETE FROM {fts} WHERE rowid = ?"), singles)
            if has_table(db, vector_table(number)):
                db.conn.executemany(sql_of(number, "DELETE FROM {vec} WHERE chunk = ?"), singles)
            db.conn.executemany("DELETE FROM questions WHERE id = ?", singles)
            remember(db, number)
            changed(db, number)


def local_model(core: Core, wanted: str) -> str:
    """The model that writes: the collection's, or the usual one; never one elsewhere, which would get to see all that
    the collection holds. Raises UserError no_local_model, no_model_installed."""
    from engine.requests.chat import usual_model

    chosen = next((one for one in (wanted, usual_model(core)) if one and not is_remote(one)), "")
    if not chosen:
        raise UserError(
            "no_local_model",
            "Questions are written by a model on this computer, and none is chosen.",
            "Choose one in the settings.",
        )
    return chosen


def pieces(heading: str, text: str) -> list[str]:
    """The stretches of a chunk that are asked about, of whole sentences and about equal length."""
    many = max(1, min(MOST, len(text) // (2 * LEAST)))
    parts: list[list[str]] = [[] for _ in range(many)]
    for start, end in sentences(text):
        parts[start * many // len(text)].append(text[start:end])
    return [f"{heading}\n\n{' '.join(part)}".strip()[:LONGEST] for part in parts if part]


def asked_about(chunk: int, heading: str, text: str, writer: Writer) -> Asked:
    """Have a model write the questions of one chunk. Raises Cancelled and the UserErrors of the model."""
    found = [question_about(piece, writer) for piece in pieces(heading, text)]
    return Asked(chunk, tuple(dict.fromkeys(filter(None, found))))


def write_asked(
    store: DocumentStore, number: int, done: list[Asked], identity: str = "", vectors: np.ndarray | None = None
) -> int:
    """Store the questions of some chunks in one transaction; those whose chunk is gone are left. How many there are.

    `vectors` (questions, width) are of the embedder `identity`; without, or if the collection has another one now, the
    questions are found by their words alone.
    """
    with store.transaction() as db:
        row = db.execute("SELECT embedder FROM collections WHERE number = ?", [number]).fetchone()
        if row is None:
            return 0
        fits = vectors is not None and row[0] == identity and has_table(db, vector_table(number))
        at = stored = 0
        for one in done:
            own = vectors[at : at + len(one.questions)] if fits and vectors is not None else None
            stored += _write(db, number, one, own)
            at += len(one.questions)
        changed(db, number)
    return stored


def _write(db: Database, number: int, one: Asked, vectors: np.ndarray | None) -> int:
    known = db.execute("SELECT 1 FROM chunks WHERE id = ? AND collection = ?", (one.chunk, number)).fetchone()
    if known is None or db.execute("SELECT 1 FROM questions WHERE chunk = ?", [one.chunk]).fetchone():
        return 0
    insert = "INSERT INTO questions (chunk, text) VALUES (?, ?)"
    if not one.questions:
        db.execute(insert, (one.chunk, ""))  # in neither index: it only says that the chunk was asked about
    for at, question in enumerate(one.questions):
        key = db.execute(insert, (one.chunk, question)).lastrowid
        db.execute(sql_of(number, "INSERT INTO {fts} (rowid, prepared) VALUES (?, ?)"), (key, prepared(question)))
        if vectors is not None:
            blob = vectors[at].astype("float16").tobytes()
            db.execute(sql_of(number, "INSERT INTO {vec} (chunk, vector) VALUES (?, ?)"), (key, blob))
    return len(one.questions)


class _Work:
    """One run over the chunks of a collection."""

    def __init__(self, core: Core, row: dict[str, Any], job: Job) -> None:
        self._core, self._store, self._job = core, core.documents.store, job
        self._collection, self._number = str(row["id"]), int(row["number"])
        self._ready: list[Asked] = []
        self._written_at = time.monotonic()
        self.chunks = self.questions = 0

    def run(self, writer: Writer) -> None:
        """Until every chunk was asked about."""
        before, left = self._count(_DONE, self._number), self._count(_LEFT, self._number, LEAST)
        last = 0
        while row := self._store.row(_NEXT, self._number, LEAST, last):
            last = row["id"]
            self._job.step(before + self.chunks, max(before + self.chunks, before + left), "chunks")
            self._ready.append(asked_about(last, row["heading"], row["text"], writer))
            self.chunks += 1
            if len(self._ready) >= AT_ONCE or time.monotonic() - self._written_at > WRITE_EVERY_S:
                self.write()
        self._job.step(before + self.chunks, before + self.chunks, "chunks")

    def write(self) -> None:
        """Store what is ready."""
        ready, self._ready = self._ready, []
        self._written_at = time.monotonic()
        if not ready:
            return
        texts = [question for one in ready for question in one.questions]
        identity, vectors = self._core.searching.embedded(self._store, self._collection, texts)
        self.questions += write_asked(self._store, self._number, ready, identity, vectors)
        self._core.documents.changed(self._collection)

    def _count(self, sql: str, *values: Any) -> int:
        row = self._store.row(sql, *values)
        return int(row["chunks"]) if row else 0
