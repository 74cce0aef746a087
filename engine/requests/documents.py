"""Requests about collections of documents and their files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.folders import home
from engine.core import Call, Core
from engine.documents import collection as collections
from engine.documents.deleting import Proof, delete_collection, delete_files, leave_out, passages, prove_deleted, wipe

_FILES = """
    SELECT id, path, name, suffix, bytes, state, error, pages, chars, title, indexed FROM files
    WHERE collection = ? AND (? = '' OR state = ?) ORDER BY path LIMIT ? OFFSET ?"""
_TOTAL = "SELECT COUNT(*) AS files FROM files WHERE collection = ? AND (? = '' OR state = ?)"
_TEXTS = """
    SELECT texts.text FROM texts JOIN files ON files.id = texts.file
    WHERE files.collection = ? AND (? = 0 OR files.id = ?) ORDER BY files.id LIMIT ?"""
MOST_FILES = 5000
REMEMBERED = 50  # files whose passages are kept in memory for the proof


def list_collections(core: Core, call: Call) -> dict[str, Any]:
    """All collections with their counts."""
    return {"collections": collections.listed(core.documents.store)}


def create(core: Core, call: Call, name: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """A new, empty collection."""
    made = collections.create(core.documents.store, name, settings)
    core.documents.changed(made["id"])
    return made


def update(core: Core, call: Call, collection: str, values: dict[str, Any]) -> dict[str, Any]:
    """Change the name or settings; another embedder or size of chunks starts the index job, `questions` their own."""
    store = core.documents.store
    before = collections.row_of(store, collection)
    shown = collections.update(store, before["id"], values)
    if shown["settings"]["chunk_tokens"] != before["settings"]["chunk_tokens"]:
        store.run("UPDATE files SET state = 'waiting' WHERE collection = ? AND state = 'indexed'", before["number"])
    if any(shown["settings"][name] != before["settings"][name] for name in ("chunk_tokens", "embedder")):
        core.documents.index(before["id"])
    if shown["settings"]["questions"] != before["settings"]["questions"]:
        _turn_questions(core, before, shown["settings"]["questions"])
    core.documents.changed(before["id"])
    return collections.get(store, before["id"])


def _turn_questions(core: Core, row: dict[str, Any], wanted: bool) -> None:
    """Start the job that writes a collection's questions, or end it and remove them all."""
    from engine.documents.question_job import remove_questions

    if wanted:
        core.documents.write_questions(row["id"])
    else:
        core.documents.end_jobs(row["id"], "questions")
        remove_questions(core.documents.store, row["number"])


def remove(core: Core, call: Call, collection: str, prove: bool = False) -> dict[str, Any]:
    """Delete a collection for good; with `prove` the data folder is searched for what it held."""
    store = core.documents.store
    row = collections.row_of(store, collection)
    core.documents.end_jobs(row["id"])
    held = _held(core, row["number"]) if prove else None
    gone = [one["id"] for one in store.rows("SELECT id FROM files WHERE collection = ?", row["number"])]
    delete_collection(store, row["number"])
    _forget(core, row, gone)
    wipe(store)
    return _proved(core, held)


def delete(core: Core, call: Call, collection: str, files: list[int], prove: bool = False) -> dict[str, Any]:
    """Delete files from a collection for good; those on the disk stay, and stay left out."""
    store = core.documents.store
    row = collections.row_of(store, collection)
    held = [one for file in files for one in _held(core, row["number"], file)] if prove else None
    leave_out(store, row["number"], files)
    delete_files(store, row["number"], files)
    _forget(core, row, files)
    wipe(store, [row["number"]])
    return _proved(core, held)


def add(core: Core, call: Call, collection: str, paths: list[str]) -> dict[str, Any]:
    """Add files and folders (which are watched from then on) and start the index job."""
    from engine.documents.sync import add_paths

    row = collections.row_of(core.documents.store, collection)
    files = add_paths(core.documents.store, row["number"], paths)
    job = core.documents.index(row["id"])
    core.documents.changed(row["id"])
    return {"job": job, "files": files}


def sync(core: Core, call: Call, collection: str) -> dict[str, Any]:
    """Look at the disk, and index what changed."""
    return core.documents.sync(collection)


def import_corpus(core: Core, call: Call, collection: str, path: str) -> dict[str, Any]:
    """Rows {"_id", "title", "text"} of a file as documents; then the index job starts."""
    from engine.documents.corpus import import_corpus as read

    row = collections.row_of(core.documents.store, collection)
    counts = read(core.documents.store, row["number"], Path(path).expanduser(), call.step)
    job = core.documents.index(row["id"])
    core.documents.changed(row["id"])
    return {"job": job, **counts}


def files(
    core: Core, call: Call, collection: str, offset: int = 0, limit: int = 500, state: str = ""
) -> dict[str, Any]:
    """The files of a collection by path, `limit` of them; those of one `state` if it is not ""."""
    store = core.documents.store
    number = collections.number_of(store, collection)
    found = store.rows(_FILES, number, state, state, max(0, min(limit, MOST_FILES)), max(0, offset))
    total = store.row(_TOTAL, number, state, state)
    return {"files": [_file(row) for row in found], "total": total["files"] if total else 0}


def retry(core: Core, call: Call, collection: str, files: list[int] | None = None) -> dict[str, Any]:
    """Read failed and left out files again: all of them, or those named."""
    store = core.documents.store
    row = collections.row_of(store, collection)
    again = "UPDATE files SET state = 'waiting', error = NULL WHERE collection = ? AND state IN ('failed', 'skipped')"
    if not files:
        store.run(again, row["number"])
    for file in files or ():
        store.run(again + " AND id = ?", row["number"], file)
    core.documents.changed(row["id"])
    return {"job": core.documents.index(row["id"])}


def prove(core: Core, call: Call, texts: list[str] | None = None, sha256s: list[str] | None = None) -> dict[str, Any]:
    """Search every file of the data folder for the bytes of texts, or for files of those hashes."""
    return _proof(prove_deleted(home(), texts or [], sha256s or [], call.step))


def text(core: Core, call: Call, file: int) -> dict[str, Any]:
    """What was read of a file."""
    from engine.documents.writing import document_of

    document = document_of(core.documents.store, file)
    if document is None:
        raise unknown_file()
    told = document.to_json()
    return {name: told[name] for name in ("text", "blocks", "pages", "title")}


def page(core: Core, call: Call, file: int, page: int, width_px: int) -> dict[str, Any]:
    """The picture of a page: {"png" base64, "width", "height" in points, "pages" in all}; "" where there is none."""
    import base64

    row = core.documents.store.row("SELECT path, pages FROM files WHERE id = ?", file)
    if row is None:
        raise unknown_file()
    path = Path(row["path"])
    if not path.is_file():
        raise UserError("no_such_path", f"There is no {path}.", "Check the path.", path=str(path))
    picture = core.documents.reading.picture(path, max(1, page), max(16, min(width_px, 4000)), call.cancelled)
    if picture is None:
        return {"png": "", "width": 0, "height": 0, "pages": row["pages"]}
    png = base64.b64encode(picture.png).decode()
    return {"png": png, "width": picture.width, "height": picture.height, "pages": row["pages"]}


def unknown_file() -> UserError:
    """There is no such file, or nothing was read of it."""
    return UserError("unknown_document", "This document is not in the collection (any more).", "Look at its files.")


def _file(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"error": json.loads(row["error"]) if row["error"] else None}


def _held(core: Core, number: int, file: int = 0) -> list[str]:
    """Passages of files about to be deleted (0: all of a collection), in memory only."""
    rows = core.documents.store.rows(_TEXTS, number, file, file, REMEMBERED)
    return [passage for row in rows for passage in passages(row["text"])]


def _forget(core: Core, row: dict[str, Any], files: list[int]) -> None:
    """What was deleted goes from memory, from the caches, from stored answers and from the list of jobs."""
    from engine.documents import lexical, vectors
    from engine.documents.traces import forget_in_answers

    for leg in (lexical, vectors):
        leg.forget(core.documents.store, row["number"])
    forget_in_answers(core.store, files)
    core.forget_read()
    core.documents.forget_names(row["id"])
    core.store.fold()
    core.documents.changed(row["id"])


def _proved(core: Core, held: list[str] | None) -> dict[str, Any]:
    """The search for what was deleted, passages that other documents have as well left out."""
    if held is None:
        return {}
    store = core.documents.store
    own = [one for one in held if not store.row("SELECT 1 FROM texts WHERE instr(text, ?) LIMIT 1", one)]
    return {"proof": _proof(prove_deleted(home(), own)) if own else None}


def _proof(proof: Proof) -> dict[str, Any]:
    return asdict(proof)
