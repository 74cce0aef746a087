"""Conversation trees, their journal and their search, on a real database file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from engine.api.errors import UserError
from engine.chats import Chats
from engine.search import search
from engine.store import Store


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(Store(tmp_path / "deskside.db"))


def grow(chats: Chats, *texts: str) -> tuple[str, list[int]]:
    """A conversation of questions and answers in turn."""
    chat = chats.create({})["id"]
    ids: list[int] = []
    for index, text in enumerate(texts):
        parent = ids[-1] if ids else None
        ids.append(chats.add(chat, parent, "assistant" if index % 2 else "user", text, "done")["id"])
    return chat, ids


def test_an_edit_is_a_new_branch_and_nothing_is_overwritten(chats: Chats) -> None:
    chat, (question, answer) = grow(chats, "first", "one")
    edited = chats.add(chat, None, "user", "first, edited", "done")["id"]
    tree = chats.tree(chat)
    assert tree["path"] == [edited]
    assert [m["text"] for m in tree["messages"]] == ["first", "one", "first, edited"]
    assert chats.switch(chat, question)["path"] == [question, answer]


def test_switching_shows_the_newest_branch_through_a_message(chats: Chats) -> None:
    chat, ids = grow(chats, "q", "a1", "q2", "a2")
    other = chats.add(chat, ids[0], "assistant", "b1", "done")["id"]
    assert chats.tree(chat)["path"] == [ids[0], other]
    assert chats.switch(chat, ids[1])["path"] == ids


def test_a_deleted_message_takes_its_branch_along_and_both_come_back(chats: Chats) -> None:
    _chat, ids = grow(chats, "q", "a", "q2", "a2")
    assert chats.delete_message(ids[2])["path"] == ids[:2]
    assert chats.restore_message(ids[2])["path"] == ids


def test_restoring_leaves_what_was_deleted_before_deleted(chats: Chats) -> None:
    _chat, ids = grow(chats, "q", "a", "q2", "a2")
    chats.delete_message(ids[3])
    chats.delete_message(ids[1])
    assert [m["id"] for m in chats.restore_message(ids[1])["messages"]] == ids[:3]


def test_deleting_the_first_of_two_roots_shows_the_other(chats: Chats) -> None:
    chat, ids = grow(chats, "q", "a")
    other = chats.add(chat, None, "user", "another beginning", "done")["id"]
    assert chats.delete_message(ids[0])["path"] == [other]


def test_a_deleted_chat_comes_back_until_the_next_start_and_then_is_gone(chats: Chats) -> None:
    chat, _ = grow(chats, "a secret about walruses", "noted")
    chats.delete(chat)
    assert chats.list() == []
    assert search(chats.store, "walruses", 5) == []
    chats.restore(chat)
    assert len(search(chats.store, "walruses", 5)) == 1
    chats.delete(chat)
    chats.recover()
    with pytest.raises(UserError):
        chats.restore(chat)
    assert chats.store.rows("SELECT * FROM messages") == []
    assert chats.store.rows("SELECT * FROM search") == []


def test_an_answer_cut_off_by_a_kill_is_found_interrupted_with_its_text(tmp_path: Path) -> None:
    chats = Chats(Store(tmp_path / "deskside.db"))
    chat, (question,) = grow(chats, "q")
    answer = chats.add(chat, question, "assistant", "", "streaming")["id"]
    chats.store.run("UPDATE messages SET text = text || 'half a zebra' WHERE id = ?", answer)
    again = Chats(Store(tmp_path / "deskside.db"))  # the first is not closed: as after kill -9
    again.recover()
    row = again.message(answer)
    assert (row["state"], row["text"]) == ("interrupted", "half a zebra")
    assert search(again.store, "zebra", 5)[0]["message"] == answer


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("供方逾期交货的,每逾期一日应支付违约金。", "违约"),
        ("供方逾期交货的,每逾期一日应支付违约金。", "违约金"),
        ("供方逾期交货的,每逾期一日应支付违约金。", "期"),
        ("合同 contract 第9条", "合同 contract"),
        ("The invoices were running late", "invoice run"),
        ("Überweisung nach Zürich", "zurich"),
        ("ABC 全角字", "ABC"),
        ("half typed wor", "typ"),
        ("東京タワーへ行く", "タワー"),
    ],
)
def test_search_finds(chats: Chats, text: str, query: str) -> None:
    grow(chats, text)
    (hit,) = search(chats.store, query, 5)
    assert hit["marks"], hit
    for start, end in hit["marks"]:
        assert 0 <= start < end <= len(hit["snippet"])


@pytest.mark.parametrize("query", ["金约", "赔偿", "", "  ", '"', "AND OR NOT *", "a" * 5000, "(", "title:x", "违 "])
def test_search_finds_nothing_and_survives(chats: Chats, query: str) -> None:
    grow(chats, "每逾期一日应支付违约金。" if query != "违 " else "没有")
    assert search(chats.store, query, 5) == []


def test_titles_come_before_messages_and_follow_a_rename(chats: Chats) -> None:
    chat, _ = grow(chats, "about penguins")
    other = chats.create({"title": "Penguins"})["id"]
    assert [(h["chat"], h["message"] is None) for h in search(chats.store, "penguins", 5)] == [
        (other, True),
        (chat, False),
    ]
    chats.update(other, {"title": "Seals"})
    assert [h["chat"] for h in search(chats.store, "penguins", 5)] == [chat]
    assert [h["title"] for h in search(chats.store, "seals", 5)] == ["Seals"]


@pytest.mark.parametrize("damage", [b"", b"not a database at all, just text" * 100, None])
def test_a_damaged_database_is_moved_aside_and_kept(tmp_path: Path, damage: bytes | None) -> None:
    file = tmp_path / "deskside.db"
    store = Store(file)
    _chat, _ = grow(Chats(store), *["some text " * 200] * 20)
    store.close()
    content = file.read_bytes()
    if damage is None:  # pages in the middle overwritten
        content = content[:4096] + b"\xff" * (len(content) - 8192) + content[-4096:]
    file.write_bytes(damage if damage is not None else content)
    again = Store(file)
    if damage == b"":  # SQLite takes an empty file for a new database
        assert again.recovered is None
        return
    assert again.recovered is not None
    assert Path(again.recovered["old"]).read_bytes() == (damage or content)
    assert Chats(again).list() == []


def test_a_locked_or_unwritable_place_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "deskside.db").mkdir()
    with pytest.raises(UserError) as caught:
        Store(tmp_path / "deskside.db")
    assert caught.value.code == "cannot_open_database"


def test_migrations_run_once_each_in_a_transaction(tmp_path: Path) -> None:
    Store(tmp_path / "deskside.db").close()
    Store(tmp_path / "deskside.db").close()
    names = sqlite3.connect(tmp_path / "deskside.db").execute("SELECT name FROM _sqlite_migrations").fetchall()
    steps = ["m001_chats", "m002_search", "m003_jobs", "m004_adapters", "m005_media", "m006_documents"]
    assert [name for (name,) in names] == steps
