"""Collections for tests: folders of small files, and the index job as a call or as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from engine.api.folders import home
from engine.api.job import Job
from engine.documents import collection as collections
from engine.documents import sync
from engine.documents.database import DocumentStore, sql_of
from engine.documents.index_job import run


def write_folder(folder: Path, count: int, sentences: int = 4) -> Path:
    """`count` text files, each about a machine of its own, in two languages."""
    folder.mkdir(parents=True, exist_ok=True)
    for n in range(count):
        english = f"Machine number{n}x weighs {n * 7} kilograms and stands in hall {n}. "
        chinese = f"第{n}号机器重{n * 7}公斤，放在{n}号大厅。"
        (folder / f"machine{n:04}.txt").write_text((english + chinese) * sentences, encoding="utf-8")
    return folder


def made(store: DocumentStore, folder: Path, name: str = "Machines", **settings: Any) -> dict[str, Any]:
    """A collection with a watched folder, nothing of it read yet: its row."""
    created = collections.create(store, name, settings)
    row = collections.row_of(store, created["id"])
    sync.add_paths(store, row["number"], [str(folder)])
    return row


def index(row: dict[str, Any], events: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """Run the job here, to its end: its result."""
    return run(
        {"collection": row["id"]}, Job(home() / "job.partial", {}, (events if events is not None else []).append)
    )


def start_job(row: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Run the job in a process of its own, as the engine does."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.job_main", "index", str(home() / "indexing" / "job.partial")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdin
    process.stdin.write(json.dumps({"collection": row["id"]}).encode() + b"\n")
    process.stdin.flush()
    return process


def end_of(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait for a job's process; its last line, {} if it was killed. Closing its stdin earlier would cancel it."""
    assert process.stdin
    assert process.stdout
    with process.stdin, process.stdout:
        lines = process.stdout.readlines()
        process.wait(30)
    last = json.loads(lines[-1]) if lines else {}
    return last if last.get("event") == "end" else {}


def states(store: DocumentStore, number: int) -> dict[str, int]:
    """How many files are in each state."""
    rows = store.rows("SELECT state, COUNT(*) AS files FROM files WHERE collection = ? GROUP BY state", number)
    return {row["state"]: row["files"] for row in rows}


def found(store: DocumentStore, number: int, words: str) -> list[str]:
    """Names of the files whose chunks hold these words, by the full-text index."""
    sql = "SELECT DISTINCT files.name FROM {fts} JOIN chunks ON chunks.id = {fts}.rowid"
    sql += " JOIN files ON files.id = chunks.file WHERE {fts} MATCH ? ORDER BY files.name"
    return [row["name"] for row in store.rows(sql_of(number, sql), words)]


def check_consistent(store: DocumentStore, number: int) -> None:
    """Every indexed file has its text and its chunks, and both indexes hold the chunks and nothing else."""
    rows = store.rows("SELECT * FROM files WHERE collection = ?", number)
    for row in rows:
        chunks = store.rows("SELECT * FROM chunks WHERE file = ? ORDER BY number", row["id"])
        assert [chunk["number"] for chunk in chunks] == list(range(len(chunks)))
        text = store.row("SELECT text FROM texts WHERE file = ?", row["id"])
        if row["state"] == "indexed" and row["chars"]:
            assert text is not None
            assert chunks
            assert len(text["text"]) == row["chars"]
            assert all(text["text"][c["start"] : c["end"]].strip() for c in chunks)
        if row["state"] == "failed":
            assert (text, chunks) == (None, [])
    ids = {row["id"] for row in store.rows("SELECT id FROM chunks WHERE collection = ?", number)}
    assert {row["id"] for row in store.rows(sql_of(number, "SELECT rowid AS id FROM {fts}"))} == ids
    if collections.has_vectors(store, number):
        assert {row["chunk"] for row in store.rows(sql_of(number, "SELECT chunk FROM {vec}"))} <= ids
