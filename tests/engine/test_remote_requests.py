"""Remote models through the engine: added, asked, answered in a conversation, and their keys kept out of sight."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from plain_keyring import FILE
from stand_in_server import StandInServer, Wire

from desktop.pipe import EnginePipe
from engine.api.errors import UserError

KEY = "sk-very-secret-1234"
NO_KEYRING = "keyring.backends.fail.Keyring"


@pytest.fixture
def server() -> Iterator[StandInServer]:
    made = StandInServer(models=[{"id": "tiny", "max_model_len": 2048}, {"id": "nomic-embed"}, {"id": "org/big:7b"}])
    yield made
    made.close()


@pytest.fixture
def no_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", NO_KEYRING)


@pytest.fixture
def keyring_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "plain_keyring.PlainKeyring")
    monkeypatch.setenv(FILE, str(tmp_path / "keyring.json"))
    return tmp_path / "keyring.json"


def code_of(engine: EnginePipe, request: str, /, **params: Any) -> str:
    with pytest.raises(UserError) as caught:
        engine.ask(request, **params)
    return caught.value.code


def chat_with(engine: EnginePipe, model: str, **values: Any) -> str:
    return str(engine.ask("chats.create", model=model, **values)["id"])


def test_nobody_is_asked_until_an_address_is_given(no_keyring: None, engine: EnginePipe, server: StandInServer) -> None:
    assert engine.ask("remotes.list")["remotes"] == []
    assert not [row for row in engine.ask("models.list")["models"] if row["source"] == "remote"]
    assert server.asked == []


def test_an_address_becomes_models_of_the_list(no_keyring: None, engine: EnginePipe, server: StandInServer) -> None:
    found = engine.ask("remotes.check", url=server.host)
    assert found["url"] == f"{server.url}/v1"
    assert [(m["id"], m["context"], m["kind"]) for m in found["models"]] == [
        ("tiny", 2048, "chat"), ("nomic-embed", 0, "embedding"), ("org/big:7b", 0, "chat"),
    ]  # fmt: skip
    added = engine.ask("remotes.add", url=server.host, name="Work", models=["tiny", "org/big:7b"])
    assert (added["host"], added["this_computer"], added["key"]) == (server.host, True, "none")
    rows = {row["id"]: row for row in engine.ask("models.list")["models"] if row["source"] == "remote"}
    assert set(rows) == {"remote:Work/tiny", "remote:Work/org/big:7b"}
    row = rows["remote:Work/tiny"]
    assert (row["name"], row["path"], row["context"], row["installed"]) == ("tiny", found["url"], 2048, True)
    assert row["fit"]["fit"] == "unknown"
    shown = engine.ask("models.show", model="remote:Work/tiny")
    assert (shown["details"]["host"], shown["details"]["remote"]) == (server.host, "Work")
    assert engine.ask("models.fit", model="remote:Work/tiny")["total"] == 0
    assert engine.ask("models.load", model="remote:Work/tiny") == {"model": "remote:Work/tiny", "context": 2048}
    assert engine.ask("remotes.check", name="Work")["models"] == found["models"]
    engine.ask("models.remove", model="remote:Work/tiny")
    assert len(engine.ask("remotes.list")["remotes"][0]["models"]) == 1
    engine.ask("models.remove", model="remote:Work/org/big:7b")
    assert engine.ask("remotes.list")["remotes"] == []


def test_a_conversation_is_answered_from_there(no_keyring: None, engine: EnginePipe, server: StandInServer) -> None:
    engine.ask("remotes.add", url=server.url, name="Work")
    chat = chat_with(engine, "remote:Work/tiny", system="Be brief.", sampling={"temperature": 0.0, "seed": 3})
    server.chat = lambda wire: wire.text("<think>hm</think>", "Hel", "lo")
    events: list[dict[str, Any]] = []
    answer = engine.stream("chat.send", events.append, chat=chat, text="Hi")["message"]
    assert (answer["text"], answer["thinking"], answer["state"]) == ("Hello", "hm", "done")
    assert answer["model"] == "remote:Work/tiny"
    assert (answer["stats"]["stop"], answer["stats"]["context_used"]) == ("end", 14)
    assert answer["stats"]["context_size"] == 2048
    assert "".join(e["text"] for e in events if e["event"] == "token") == "Hello"
    sent = server.chats()[0].body
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    assert (sent["temperature"], sent["seed"]) == (0.0, 3)
    shown = json.loads(engine.ask("chat.sent", message=answer["id"])["prompt"])
    assert shown == sent["messages"]
    server.chat = lambda wire: wire.text(" again", finish="length")
    longer = engine.ask("chat.continue", message=answer["id"])["message"]
    assert (longer["text"], longer["stats"]["stop"]) == ("Hello again", "length")
    assert server.chats()[1].body["messages"][-1] == {"role": "assistant", "content": "Hello"}
    assert len(server.chats()) == 2, "nothing was sent but what the person asked"


def test_old_turns_stay_here_when_the_context_there_is_full(
    no_keyring: None, engine: EnginePipe, server: StandInServer
) -> None:
    engine.ask("remotes.add", url=server.url, name="Work")
    chat = chat_with(engine, "remote:Work/tiny", sampling={"max_tokens": 100})
    told: list[dict[str, Any]] = []
    for text in ("first " * 400, "second " * 400, "third " * 400, "last " * 3000):
        engine.stream("chat.send", told.append, chat=chat, text=text.strip())
    asked = [[message["content"][:5] for message in one.body["messages"]] for one in server.chats()]
    assert asked == [["first"], ["first", "Hello", "secon"], ["third"], ["last "]]
    assert [len(event["dropped"]) for event in told if event["event"] == "dropped"] == [4, 6]


def test_an_answer_that_breaks_off_keeps_its_text(no_keyring: None, engine: EnginePipe, server: StandInServer) -> None:
    def breaks_off(wire: Wire) -> None:
        wire.begin()
        wire.delta(content="Once upon")

    server.chat = breaks_off
    engine.ask("remotes.add", url=server.url, name="Work")
    chat = chat_with(engine, "remote:Work/tiny")
    assert code_of(engine, "chat.send", chat=chat, text="A tale") == "remote_cut_off"
    last = engine.ask("chats.get", chat=chat)["messages"][-1]
    assert (last["text"], last["state"], last["error"]["code"]) == ("Once upon", "failed", "remote_cut_off")


def test_stopping_leaves_a_silent_server(no_keyring: None, engine: EnginePipe, server: StandInServer) -> None:
    def silent(wire: Wire) -> None:
        wire.begin()
        wire.delta(content="Well")
        wire.wait_until_hung_up()

    server.chat = silent
    engine.ask("remotes.add", url=server.url, name="Work")
    chat = chat_with(engine, "remote:Work/tiny")

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "token":
            engine._send({"cancel": engine._last_id})

    server.left.clear()
    answer = engine.stream("chat.send", stop, chat=chat, text="Hi")["message"]
    assert (answer["text"], answer["state"], answer["stats"]["stop"]) == ("Well", "stopped", "cancelled")
    assert server.left.wait(30)


def test_a_key_without_a_keyring_lasts_as_long_as_the_engine(
    no_keyring: None, engine: EnginePipe, server: StandInServer, home: Path
) -> None:
    server.key = KEY
    assert engine.ask("remotes.list")["keyring"] is False
    assert code_of(engine, "remotes.add", url=server.url, name="Work") == "remote_refused"
    assert code_of(engine, "remotes.check", url=server.url, key="sk-other") == "remote_refused"
    added = engine.ask("remotes.add", url=server.url, name="Work", key=KEY)
    assert added["key"] == "memory"
    chat = chat_with(engine, "remote:Work/tiny")
    assert engine.ask("chat.send", chat=chat, text="Hi")["message"]["text"] == "Hello"
    engine.close()
    assert holding(KEY, home) == []
    with EnginePipe() as again:
        assert code_of(again, "chat.send", chat=chat, text="Hi") == "remote_key_missing"
        assert again.ask("remotes.add", url=server.url, name="Work", key=KEY)["key"] == "memory"
        assert again.ask("chat.send", chat=chat, text="Hi")["message"]["text"] == "Hello"


def test_a_key_lies_in_a_closed_file_only_if_asked_for(
    no_keyring: None, engine: EnginePipe, server: StandInServer, home: Path
) -> None:
    server.key = KEY
    assert engine.ask("remotes.add", url=server.url, name="Work", key=KEY, keep="file")["key"] == "file"
    (file,) = holding(KEY, home)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    engine.close()
    with EnginePipe() as again:
        chat = chat_with(again, "remote:Work/tiny")
        assert again.ask("chat.send", chat=chat, text="Hi")["message"]["text"] == "Hello"
        again.ask("remotes.remove", name="Work")
    assert holding(KEY, home) == []


def test_a_key_lies_in_the_keyring_and_goes_with_its_address(
    keyring_file: Path, engine: EnginePipe, server: StandInServer, home: Path
) -> None:
    server.key = KEY
    assert engine.ask("remotes.list")["keyring"] is True
    assert engine.ask("remotes.add", url=server.url, name="Work", key=KEY)["key"] == "keyring"
    assert list(json.loads(keyring_file.read_text()).values()) == [KEY]
    engine.close()
    assert holding(KEY, home) == []
    with EnginePipe() as again:
        chat = chat_with(again, "remote:Work/tiny")
        assert again.ask("chat.send", chat=chat, text="Hi")["message"]["text"] == "Hello"
        assert KEY not in json.dumps([again.ask("remotes.list"), again.ask("models.show", model="remote:Work/tiny")])
        again.ask("models.remove", model="remote:Work/tiny")
        again.ask("remotes.remove", name="Work")
    assert json.loads(keyring_file.read_text()) == {}


def test_a_key_is_not_sent_to_another_host_than_its_own(
    keyring_file: Path, engine: EnginePipe, server: StandInServer, home: Path
) -> None:
    other = StandInServer()
    engine.ask("remotes.add", url=server.url, name="Work", key=KEY)
    changed = (home / "remotes.json").read_text().replace(server.host, other.host)
    (home / "remotes.json").write_text(changed)
    chat = chat_with(engine, "remote:Work/tiny")
    assert code_of(engine, "chat.send", chat=chat, text="Hi") == "remote_key_missing"
    assert other.asked == []
    other.close()


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a path that nobody can write")
def test_a_locked_keyring_is_said_and_nothing_is_added(
    keyring_file: Path, engine: EnginePipe, server: StandInServer
) -> None:
    keyring_file.mkdir()
    assert code_of(engine, "remotes.add", url=server.url, name="Work", key=KEY) == "keyring_failed"
    assert engine.ask("remotes.list")["remotes"] == []


def test_names_addresses_and_models_that_will_not_do(
    no_keyring: None, engine: EnginePipe, server: StandInServer
) -> None:
    other = StandInServer(models=None)
    engine.ask("remotes.add", url=server.url, name="Work")
    assert code_of(engine, "remotes.add", url=other.url, name="Else") == "remote_not_api"
    assert engine.ask("remotes.add", url=f"{other.url}/v1", name="Else", models=["x"])["models"][0]["id"] == "x"
    assert code_of(engine, "remotes.add", url=server.url, name="Else") == "remote_name_taken"
    assert code_of(engine, "remotes.add", url=server.url, name="Third", models=["huge"]) == "remote_no_model"
    assert code_of(engine, "remotes.add", url=server.url, name="a/b") == "bad_remote_name"
    assert code_of(engine, "remotes.add", url="not an address", name="x") == "bad_remote_address"
    assert code_of(engine, "remotes.add", url=server.url, name="Third", key=KEY, keep="cloud") == "bad_request"
    assert code_of(engine, "remotes.remove", name="Third") == "remote_unknown"
    assert code_of(engine, "remotes.check", name="Third") == "remote_unknown"
    assert code_of(engine, "models.show", model="remote:Work/huge") == "remote_unknown"
    server.models = []
    assert code_of(engine, "remotes.add", url=server.url, name="Third") == "remote_empty"
    server.close()
    assert code_of(engine, "remotes.check", name="Work") == "remote_away"
    assert len(engine.ask("remotes.list")["remotes"]) == 2, "the list needs nobody"
    other.close()


@pytest.mark.parametrize("listed", [[{"id": "x" * 300}, {"id": 5}, {}, 7, {"id": "a\nb"}], "no list"])
def test_a_list_of_nonsense_has_no_models(
    no_keyring: None, engine: EnginePipe, server: StandInServer, listed: Any
) -> None:
    server.models = listed
    assert code_of(engine, "remotes.add", url=server.url, name="Work") in ("remote_empty", "remote_not_api")


def holding(words: str, folder: Path) -> list[Path]:
    """The files under a folder that hold these words, the database and the logs among them."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if words.encode() in path.read_bytes()]
