"""documents.db: its tables, its lock between processes, its settings, and what a damaged file becomes."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from engine.api.errors import UserError
from engine.api.folders import documents_file
from engine.documents import collection as collections
from engine.documents.block import Block, Box, assemble
from engine.documents.chunking import about_tokens, chunks_of
from engine.documents.database import QUESTIONS_FROM, DocumentStore
from engine.documents.sync import OnDisk, insert_file
from engine.documents.writing import Seen, Written, boxes_of, document_of, storable, write_files


def test_it_is_made_with_every_table_and_the_right_modes(home: Path) -> None:
    store = DocumentStore()
    names = {row["name"] for row in store.rows("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"collections", "folders", "files", "texts", "chunks", "questions"} <= names
    modes = {name: store.db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "secure_delete")}
    assert modes == {"journal_mode": "wal", "secure_delete": 1}
    store.close()
    again = DocumentStore()  # every step is known already
    assert again.recovered is None
    again.close()


def test_a_damaged_file_is_moved_aside_by_its_owner_alone(home: Path) -> None:
    documents_file().write_bytes(b"this is no database at all" * 100)
    with pytest.raises(UserError, match="damaged"):
        DocumentStore(owner=False)
    assert documents_file().read_bytes().startswith(b"this is no")
    store = DocumentStore()
    assert store.recovered is not None
    assert Path(store.recovered["old"]).read_bytes().startswith(b"this is no")
    assert collections.listed(store) == []
    store.close()


WRITER = """
import sys, time
from engine.documents.database import DocumentStore
from engine.documents.collection import create
store = DocumentStore(owner=False)
with store.transaction() as db:
    print("in", flush=True)
    db.execute("INSERT INTO collections (id, name, settings, created, updated) VALUES ('x', 'Other', '{}', 0, 0)")
    sys.stdin.readline()
store.close()
"""


def test_two_processes_take_turns_to_write(home: Path) -> None:
    store = DocumentStore()
    other = subprocess.Popen(
        [sys.executable, "-c", WRITER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert other.stdin
    assert other.stdout
    assert other.stdout.readline() == b"in\n"
    assert collections.listed(store) == []  # reading waits for nobody
    mine = threading.Thread(target=collections.create, args=(store, "Mine"))
    mine.start()
    time.sleep(0.2)
    assert mine.is_alive()
    other.stdin.write(b"\n")
    other.stdin.close()
    mine.join(20)
    assert other.wait(20) == 0
    other.stdout.close()
    assert [row["name"] for row in collections.listed(store)] == ["Mine", "Other"]
    store.close()


def test_a_failed_transaction_leaves_nothing(home: Path) -> None:
    store = DocumentStore()
    insert = "INSERT INTO collections (id, name, settings, created, updated) VALUES ('x', 'Other', '{}', 0, 0)"
    with pytest.raises(sqlite3.IntegrityError), store.transaction() as db:
        db.execute(insert)
        db.execute(insert)
    assert collections.listed(store) == []
    collections.create(store, "Fine")
    store.close()


def test_collections_are_named_once_and_their_settings_checked(home: Path) -> None:
    store = DocumentStore()
    made = collections.create(store, "  Two   words ", {"chunk_tokens": 200})
    assert made["name"] == "Two words"
    assert made["settings"]["chunk_tokens"] == 200
    assert made["settings"]["rerank"] == "off"
    for name in ("", " \n", "x" * 201, "a\x07b"):
        with pytest.raises(UserError) as refused:
            collections.create(store, name)
        assert refused.value.code == "bad_collection_name"
    with pytest.raises(UserError) as taken:
        collections.create(store, "Two words")
    assert taken.value.code == "collection_exists"
    for values in ({"chunk_tokens": 3}, {"chunk_tokens": True}, {"rerank": "often"}, {"colour": "red"}, {"system": 1}):
        with pytest.raises(UserError) as bad:
            collections.update(store, made["id"], values)
        assert bad.value.code == "bad_collection_setting"
    changed = collections.update(store, "Two words", {"name": "Renamed", "system": "Be brief."})
    assert (changed["id"], changed["name"]) == (made["id"], "Renamed")
    assert changed["settings"] == made["settings"] | {"system": "Be brief."}
    with pytest.raises(UserError) as unknown:
        collections.get(store, "Two words")
    assert unknown.value.code == "unknown_collection"
    store.close()


def test_a_file_goes_in_and_comes_out_as_it_was_read(home: Path) -> None:
    store = DocumentStore()
    number = collections.number_of(store, collections.create(store, "One")["id"])
    blocks = [
        Block("heading", "Titl\ud800e", level=1, page=1),
        Block("text", "Nul\x00 inside. Good 文字.", page=2, boxes=(Box(2, 1.0, 2.0, 3.5, 4.0),)),
    ]
    document = storable(assemble(blocks))
    with store.transaction() as db:
        insert_file(db, number, OnDisk("/x/a.txt", 5, 6, None))
    row = store.rows("SELECT * FROM files")[0]
    chunks = chunks_of(document, 50, about_tokens)
    done = write_files(store, number, [Written(row, Seen(5, 6, "ab"), document, chunks)])
    assert done == [row["id"]]
    assert document_of(store, row["id"]) == document
    stored = store.rows("SELECT * FROM chunks")
    assert [(c["text"], c["heading"], c["page"]) for c in stored] == [
        ("Nul\ufffd inside. Good 文字.", "Titl\ufffde", 2)
    ]
    assert boxes_of(stored[0]["boxes"]) == blocks[1].boxes
    assert json.loads(stored[0]["boxes"])[0]["right"] == 3.5
    store.run("UPDATE files SET mtime_ns = 7")
    assert write_files(store, number, [Written(row, Seen(5, 6, "ab"), document, chunks)]) == []
    store.close()


def test_ids_of_questions_are_none_of_chunks(home: Path) -> None:
    store = DocumentStore()
    number = collections.number_of(store, collections.create(store, "One")["id"])
    with store.transaction() as db:
        insert_file(db, number, OnDisk("/x/a.txt", 5, 6, None))
    row = store.rows("SELECT * FROM files")[0]
    document = assemble([Block("text", "Some text to be found.")])
    write_files(store, number, [Written(row, Seen(5, 6, "ab"), document, chunks_of(document, 50, about_tokens))])
    store.run("INSERT INTO questions (chunk, text) SELECT id, 'What is to be found?' FROM chunks")
    ids = store.rows(
        "SELECT chunks.id AS chunk, questions.id AS question FROM questions JOIN chunks ON chunk = chunks.id"
    )
    assert ids == [{"chunk": 1, "question": QUESTIONS_FROM}]
    store.close()
