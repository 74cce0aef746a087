"""Deleted for good: the bytes are there before, and in no file of the data folder after."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from index_kit import check_consistent, found, index, made, states, write_folder

from desktop.pipe import EnginePipe
from engine.api.errors import UserError
from engine.documents import stale_words
from engine.documents.database import DocumentStore, sql_of
from engine.documents.deleting import delete_collection, delete_files, leave_out, passages, prove_deleted, wipe
from engine.documents.traces import forget_in_answers

SECRET = "The zanzibarium ledger names Quillfeather as its keeper."
HIDDEN = "秘密账本由欧阳青鸾保管，藏于琉璃塔下。"
WORDS = (b"zanzibarium", b"quillfeath", "青鸾".encode(), "琉璃塔".encode())  # as text, and as FTS5 indexes them


@pytest.fixture
def store(home: Path) -> Iterator[DocumentStore]:
    opened = DocumentStore()
    yield opened
    opened.close()


def with_secret(folder: Path, count: int = 30) -> Path:
    write_folder(folder, count)
    (folder / "secret.txt").write_text(f"{SECRET}\n{HIDDEN}\n" * 3, encoding="utf-8")
    return folder


def bytes_of(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in home.rglob("*") if path.is_file()}


def holding(home: Path, needle: bytes) -> list[str]:
    return sorted(name for name, data in bytes_of(home).items() if needle in data.lower())


def terms(store: DocumentStore, number: int) -> set[str]:
    """Every word of the full-text index."""
    reading = sqlite3.connect(store.file)
    reading.execute(sql_of(number, "CREATE VIRTUAL TABLE temp.words USING fts5vocab(main, {fts}, row)"))
    found = {row[0] for row in reading.execute("SELECT term FROM temp.words")}
    reading.close()
    return found


def test_no_byte_of_a_deleted_file_stays_in_any_file(store: DocumentStore, home: Path, tmp_path: Path) -> None:
    row = made(store, with_secret(tmp_path / "in"))
    index(row)
    store.run("UPDATE texts SET text = text || ' ' WHERE file = (SELECT id FROM files WHERE name = 'secret.txt')")
    assert all(holding(home, word) for word in WORDS)
    assert "documents.db-wal" in holding(home, WORDS[0])
    assert {"quillfeath", "青鸾"} <= terms(store, row["number"])
    proof = prove_deleted(home, [SECRET, HIDDEN])
    assert {hit["text"] for hit in proof.found} == {SECRET, HIDDEN}
    for hit in proof.found:
        piece = (home / hit["file"]).read_bytes()[hit["offset"] :][:30].decode("utf-8", "ignore")
        assert set(piece[:6]) <= set(SECRET + HIDDEN)
    secret = store.row("SELECT id FROM files WHERE name = 'secret.txt'")
    assert secret is not None
    delete_files(store, row["number"], [secret["id"]])
    wipe(store, [row["number"]])
    assert [holding(home, word) for word in WORDS] == [[], [], [], []]
    assert not {"quillfeath", "青鸾", "琉", "zanzibarium"} & terms(store, row["number"])
    after = prove_deleted(home, [SECRET, HIDDEN])
    assert after.found == []
    assert {"documents.db", "documents.db-wal", "documents.db-shm"} <= set(after.searched)
    assert after.bytes > 0
    assert (home / "documents.db-wal").stat().st_size == 0
    assert len(found(store, row["number"], "machine")) == 30
    check_consistent(store, row["number"])


def test_no_byte_of_a_changed_text_stays_once_another_is_deleted(
    store: DocumentStore, home: Path, tmp_path: Path
) -> None:
    folder = with_secret(tmp_path / "in", 5)
    row = made(store, folder)
    index(row)
    (folder / "secret.txt").write_text("Nothing to see here.", encoding="utf-8")
    (folder / "machine0000.txt").unlink()
    assert index(row)["changes"]["deleted"] == 1
    wipe(store, [row["number"]])
    assert [holding(home, word) for word in WORDS] == [[], [], [], []]


def test_no_word_of_an_earlier_version_stays_in_the_index(store: DocumentStore, home: Path, tmp_path: Path) -> None:
    folder = with_secret(tmp_path / "in", 5)
    row = made(store, folder)
    index(row)
    assert b"illfeath" in index_bytes(store, row["number"])
    (folder / "secret.txt").write_text("Nothing to see here.", encoding="utf-8")
    assert index(row)["changes"]["changed"] == 1
    assert b"illfeath" not in index_bytes(store, row["number"])
    assert [holding(home, word) for word in WORDS] == [[], [], [], []]
    assert {"noth", "machin"} <= terms(store, row["number"])
    assert len(found(store, row["number"], "machine")) == 5
    check_consistent(store, row["number"])


def test_a_large_index_forgets_words_once_it_is_left_alone(store: DocumentStore, home: Path, tmp_path: Path) -> None:
    folder = with_secret(tmp_path / "in", 5)
    row = made(store, folder)
    index(row)
    number, chunks = row["number"], stale_words.SMALL + 1
    many = "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO chunks"
    many += " SELECT i + 1000, collection, file, i, '', 'x', 1, 0, 1, 1, '[]', 'en' FROM n JOIN chunks ON id = 1"
    store.run(many, chunks)
    (folder / "secret.txt").write_text("Nothing to see here.", encoding="utf-8")
    index(row)
    assert b"illfeath" in index_bytes(store, number), "someone may be at work"
    assert not stale_words.tidy(store, number)
    store.run("UPDATE collections SET updated = updated - ?", stale_words.QUIET_S + 1)
    reading = sqlite3.connect(store.file)
    reading.execute("BEGIN")
    reading.execute("SELECT COUNT(*) FROM chunks").fetchone()
    assert not stale_words.tidy(store, number), "the log cannot be emptied while it is read"
    reading.close()
    assert stale_words.tidy(store, number)
    assert b"illfeath" not in index_bytes(store, number)
    assert [holding(home, word) for word in WORDS] == [[], [], [], []]
    assert found(store, number, "machine") == [f"machine{n:04}.txt" for n in range(5)]


def test_the_engine_takes_stale_words_out_by_itself(store: DocumentStore, tmp_path: Path) -> None:
    row = made(store, with_secret(tmp_path / "in", 3))
    index(row)
    secret = store.row("SELECT id FROM files WHERE name = 'secret.txt'")
    assert secret is not None
    leave_out(store, row["number"], [secret["id"]])
    delete_files(store, row["number"], [secret["id"]])
    assert b"illfeath" in index_bytes(store, row["number"])
    with EnginePipe():
        until = time.monotonic() + 60
        while store.row("SELECT 1 FROM collections WHERE stale = 1") and time.monotonic() < until:
            time.sleep(0.1)
    assert b"illfeath" not in index_bytes(store, row["number"])
    assert len(found(store, row["number"], "machine")) == 3


def index_bytes(store: DocumentStore, number: int) -> bytes:
    """What the full-text index is stored as."""
    blocks = store.rows(sql_of(number, "SELECT block FROM {fts}_data"))
    return b"".join(row["block"] for row in blocks)


def test_a_collection_leaves_nothing(store: DocumentStore, home: Path, tmp_path: Path) -> None:
    row = made(store, with_secret(tmp_path / "in", 12))
    other = made(store, write_folder(tmp_path / "other", 3), "Other")
    index(row)
    index(other)
    store.run("INSERT INTO questions (chunk, text) SELECT id, 'Who is Quillfeather?' FROM chunks LIMIT 1")
    delete_collection(store, row["number"])
    wipe(store)
    assert [holding(home, word) for word in WORDS] == [[], [], [], []]
    assert store.rows("SELECT * FROM questions") == []
    names = {one["name"] for one in store.rows("SELECT name FROM sqlite_master")}
    assert not [name for name in names if name.startswith(f"fts_{row['number']}")]
    assert states(store, other["number"]) == {"indexed": 3}
    check_consistent(store, other["number"])


def test_the_engine_deletes_and_proves(engine: EnginePipe, home: Path, tmp_path: Path) -> None:
    folder = with_secret(tmp_path / "in", 8)
    engine.ask("docs.create", name="Ledgers")
    added = engine.ask("docs.add", collection="Ledgers", paths=[str(folder)])
    assert added["files"] == 9
    for event in engine.broadcasts():
        if event.get("event") == "job" and event["state"] == "done":
            break
    rows = engine.ask("docs.files", collection="Ledgers")["files"]
    secret = next(row["id"] for row in rows if row["name"] == "secret.txt")
    assert SECRET in engine.ask("docs.text", file=secret)["text"]
    assert engine.ask("docs.prove_deleted", texts=[SECRET])["found"]
    proof = engine.ask("docs.delete", collection="Ledgers", files=[secret], prove=True)["proof"]
    assert (proof["found"], proof["unread"]) == ([], [])
    assert proof["needles"] >= 2
    assert engine.ask("docs.prove_deleted", texts=[SECRET, HIDDEN])["found"] == []
    assert [holding(home, word) for word in WORDS] == [[], [], [], []]
    assert engine.ask("docs.sync", collection="Ledgers")["job"] == ""
    assert engine.ask("docs.files", collection="Ledgers")["total"] == 8  # its folder is watched, but it was deleted
    with pytest.raises(UserError) as gone:
        engine.ask("docs.text", file=secret)
    assert gone.value.code == "unknown_document"
    assert engine.ask("docs.remove", collection="Ledgers", prove=True)["proof"]["found"] == []
    assert engine.ask("jobs.list")["jobs"] == []


def test_answers_keep_nothing_of_deleted_files(home: Path) -> None:
    from engine.api.folders import database_file
    from engine.store import Store

    store = Store(database_file())
    chat = "INSERT INTO chats VALUES ('c', '', '', 0, '', '', '{}', NULL, 0, 0, NULL, '[]', '[]')"
    store.run(chat)
    hits = [{"file": 1, "text": SECRET}, {"file": 2, "text": "Other."}]
    citations: list[dict[str, Any]] = [
        {"number": n, "file": n, "name": "x", "path": "/x", "quote": SECRET, "boxes": []} for n in (1, 2)
    ]
    found_text = json.dumps({"hits": hits, "citations": citations, "refused": False})
    sent = json.dumps({"turns": [{"role": "user", "content": SECRET}], "model": "m"})
    for kept_found in (found_text, "{}"):
        store.run(
            "INSERT INTO messages (chat, role, text, thinking, state, model, created, stats, sent, found)"
            " VALUES ('c', 'assistant', 'It is [1].', '', 'done', '', 0, '{}', ?, ?)",
            sent,
            kept_found,
        )
    assert forget_in_answers(store, [1]) == 1
    row = store.rows("SELECT * FROM messages")[0]
    kept = json.loads(row["found"])
    assert [hit["file"] for hit in kept["hits"]] == [2]
    assert [(one["number"], one["quote"] == "") for one in kept["citations"]] == [(1, True), (2, False)]
    assert json.loads(row["sent"]) == {"model": "m"}
    assert row["text"] == "It is [1]."
    assert forget_in_answers(store, [7]) == 0
    store.close()


def test_the_search_finds_text_in_any_form_and_at_any_place(home: Path) -> None:
    (home / "deep").mkdir()
    far = (8 << 20) - 10
    (home / "deep" / "big.bin").write_bytes(b"\0" * far + SECRET.encode() + b"\0" * 100)
    (home / "escaped.json").write_text(HIDDEN.encode("unicode_escape").decode(), encoding="utf-8")
    (home / "chinese.txt").write_bytes(HIDDEN.encode("gb18030"))
    (home / "wide.bin").write_bytes(b"x" + SECRET.encode("utf-16-le"))
    proof = prove_deleted(home, [SECRET, HIDDEN])
    assert {(hit["file"], hit["offset"]) for hit in proof.found} == {
        ("deep/big.bin", far),
        ("escaped.json", 0),
        ("chinese.txt", 0),
        ("wide.bin", 1),
    }
    assert prove_deleted(home, ["something else entirely"]).found == []
    with pytest.raises(UserError) as short:
        prove_deleted(home, ["ab", ""])
    assert short.value.code == "nothing_to_search"


def test_a_file_is_found_by_its_hash(home: Path) -> None:
    import hashlib

    (home / "copy").write_bytes(b"the whole of it")
    wanted = hashlib.sha256(b"the whole of it").hexdigest()
    (home / "row").write_text(f"sha256={wanted}", encoding="utf-8")
    proof = prove_deleted(home, [], [wanted.upper(), "0" * 64])
    assert [(hit["file"], hit["offset"]) for hit in proof.found] == [("copy", 0), ("row", 7)]


def test_passages_are_lines_of_the_text() -> None:
    text = "\n".join(f"Line number {n} of the text, which goes on and on for a while." for n in range(100))
    drawn = passages(text)
    assert len(set(drawn)) == len(drawn) == 20
    assert all(one in text and len(one) <= 40 for one in drawn)
    assert passages("ab\ncd\n") == []
