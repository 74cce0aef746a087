"""Conversations carried out and in again, and dumps of other programs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from engine.api.errors import UserError
from engine.chats import Chats
from engine.exchange import as_json, as_markdown, read_dump, store_conversation
from engine.store import Store


@pytest.fixture
def chats(tmp_path: Path) -> Chats:
    return Chats(Store(tmp_path / "deskside.db"))


def take_in(chats: Chats, path: Path) -> list[str]:
    return [chat["id"] for conversation in read_dump(str(path)) if (chat := store_conversation(chats, conversation))]


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def test_json_carries_every_branch_to_another_machine(chats: Chats, tmp_path: Path) -> None:
    chat = chats.create({"title": "Zwei Zweige", "system": "Sei kurz.", "pinned": True, "sampling": {"seed": 7}})["id"]
    question = chats.add(chat, None, "user", "Frage", "done")["id"]
    chats.add(chat, question, "assistant", "eins", "done", "m")
    chats.add(chat, question, "assistant", "zwei", "done", "m")
    dump = tmp_path / "dump.json"
    dump.write_text(as_json([chats.tree(chat)]), encoding="utf-8")
    other = Chats(Store(tmp_path / "other.db"))
    (copy,) = take_in(other, dump)
    before, after = chats.tree(chat), other.tree(copy)
    assert [(m["role"], m["text"], m["model"]) for m in after["messages"]] == [
        (m["role"], m["text"], m["model"]) for m in before["messages"]
    ]
    assert abs(after["chat"]["updated"] - before["chat"]["updated"]) < 1
    for name in ("title", "system", "pinned", "sampling"):
        assert after["chat"][name] == before["chat"][name]
    assert len(after["path"]) == 2
    assert take_in(other, dump) == [], "a second import brings nothing twice"


def test_markdown_shows_the_branch_on_show(chats: Chats) -> None:
    chat = chats.create({"title": "T", "system": "Be\nbrief."})["id"]
    question = chats.add(chat, None, "user", "Q", "done")["id"]
    chats.add(chat, question, "assistant", "old", "done", "m")
    chats.add(chat, question, "assistant", "new", "done", "m")
    text = as_markdown([chats.tree(chat)])
    assert text == "# T\n\n> Be\n> brief.\n\n## You\n\nQ\n\n## m\n\nnew\n"


CHATGPT = [
    {
        "title": "Trip",
        "create_time": 1700000000.5,
        "current_node": "d",
        "mapping": {
            "root": {"parent": None, "message": None},
            "s": {"parent": "root", "message": {"author": {"role": "system"}, "content": {"parts": [""]}}},
            "a": {
                "parent": "s",
                "message": {"author": {"role": "user"}, "create_time": 1700000001, "content": {"parts": ["Where?"]}},
            },
            "t": {"parent": "a", "message": {"author": {"role": "tool"}, "content": {"parts": ["{}"]}}},
            "c": {
                "parent": "t",
                "message": {"author": {"role": "assistant"}, "content": {"parts": ["Rome.", {"image": 1}]}},
            },
            "d": {"parent": "a", "message": {"author": {"role": "assistant"}, "content": {"parts": ["巴黎。"]}}},
        },
    }
]
OPEN_WEBUI = [
    {
        "title": "W",
        "pinned": True,
        "created_at": 1700000000,
        "chat": {
            "title": "Weather",
            "history": {
                "currentId": "2",
                "messages": {
                    "2": {"parentId": "1", "role": "assistant", "content": "Sunny.", "timestamp": 5, "model": "llama3"},
                    "1": {"parentId": None, "role": "user", "content": "Weather?", "timestamp": 4},
                },
            },
        },
    }
]


def test_chatgpt_dumps_keep_their_branches_and_drop_what_has_no_text(chats: Chats, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "export.zip", "w") as archive:
        archive.writestr("conversations.json", json.dumps(CHATGPT))
    (chat,) = take_in(chats, tmp_path / "export.zip")
    tree = chats.tree(chat)
    texts = {m["id"]: m["text"] for m in tree["messages"]}
    assert sorted(texts.values()) == ["Rome.", "Where?", "巴黎。"]
    assert [texts[i] for i in tree["path"]] == ["Where?", "巴黎。"]


def test_open_webui_dumps(chats: Chats, tmp_path: Path) -> None:
    (chat,) = take_in(chats, written(tmp_path / "webui.json", OPEN_WEBUI))
    tree = chats.tree(chat)
    assert (tree["chat"]["title"], tree["chat"]["pinned"]) == ("Weather", True)
    assert [(m["text"], m["model"]) for m in tree["messages"]] == [("Weather?", ""), ("Sunny.", "llama3")]


def test_a_ring_in_a_tree_ends(chats: Chats, tmp_path: Path) -> None:
    ring = {"a": {"parent": "b", "message": None}, "b": {"parent": "a", "message": None}}
    dump = written(tmp_path / "ring.json", [{"title": "x", "mapping": ring, "current_node": "a"}])
    assert take_in(chats, dump) == []


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[1]", b'{"a": 1}', b'[{"mapping": 3}]', b'[{"chat": {}}]', b"\xff\xfe\x00", b"[" * 100_000),
        b'[{"path": [], "messages": [{"id": 1, "parent": null, "role": "root", "text": "x"}], "chat": {}}]',
        b"PK\x03\x04",
    ],
)
def test_what_is_no_dump_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_dump(str(path))
    assert caught.value.code == "not_a_dump"


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        read_dump(str(tmp_path / "nowhere.json"))
    assert caught.value.code == "cannot_read_file"
