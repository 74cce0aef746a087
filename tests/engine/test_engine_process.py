"""The engine as a process: requests over its pipe, a real model, kill -9, two on one folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import real_models

from desktop.pipe import EnginePipe
from engine.api.errors import UserError
from engine.api.messages import decode, encode


@pytest.fixture
def chat(engine: EnginePipe) -> str:
    """An empty conversation with the starter model, the same answer every time."""
    (row,) = engine.ask("models.add", path=str(real_models.smollm2()))["models"]
    created = engine.ask("chats.create", model=row["id"], sampling={"temperature": 0.0, "max_tokens": 60})
    return str(created["id"])


def code_of(engine: EnginePipe, name: str, **params: Any) -> str:
    with pytest.raises(UserError) as caught:
        engine.ask(name, **params)
    return caught.value.code


def test_a_conversation_from_question_to_search(engine: EnginePipe, chat: str) -> None:
    events: list[dict[str, Any]] = []
    answer = engine.stream("chat.send", events.append, chat=chat, text="Count from one to five.")["message"]
    kinds = [event["event"] for event in events]
    assert kinds[:2] == ["message", "message"]
    assert kinds.index("load") < kinds.index("prefill") < kinds.index("token")
    streamed = "".join(e["text"] for e in events if e["event"] == "token")
    assert streamed == answer["text"] != ""
    assert answer["state"] == "done"
    assert answer["stats"]["stop"] in ("end", "length")
    second = engine.ask("chat.send", chat=chat, text="Go on.")["message"]
    assert second["stats"]["reused_tokens"] >= answer["stats"]["context_used"] - 2, "the last turn is not read again"
    sent = engine.ask("chat.sent", message=second["id"])
    assert "Count from one to five." in sent["prompt"]
    assert answer["text"] in sent["prompt"]
    assert engine.ask("chats.list")["chats"][0]["title"] == "Count from one to five."
    assert engine.ask("chats.search", query="count five")["hits"]


def test_regenerate_is_a_branch_and_continue_goes_on(engine: EnginePipe, chat: str) -> None:
    engine.ask("chats.update", chat=chat, sampling={"temperature": 0.0, "max_tokens": 8})
    first = engine.ask("chat.send", chat=chat, text="Tell me about the sea.")["message"]
    assert first["stats"]["stop"] == "length"
    again = engine.ask("chat.regenerate", message=first["id"])["message"]
    assert again["id"] != first["id"]
    assert (again["parent"], again["text"]) == (first["parent"], first["text"]), "temperature 0 says the same"
    longer = engine.ask("chat.continue", message=first["id"])["message"]
    assert longer["id"] == first["id"]
    assert longer["text"].startswith(first["text"])
    assert len(longer["text"]) > len(first["text"])


def test_cancel_keeps_what_was_written(engine: EnginePipe, chat: str) -> None:
    engine.ask("chats.update", chat=chat, sampling={"temperature": 0.0, "max_tokens": 2000, "logit_bias": {"2": -1000}})
    tokens = 0

    def stop_after_some(event: dict[str, Any]) -> None:
        nonlocal tokens
        tokens += event["event"] == "token"
        if tokens == 3:
            engine._send({"cancel": engine._last_id})

    answer = engine.stream("chat.send", stop_after_some, chat=chat, text="Write a long story.")["message"]
    assert (answer["state"], answer["stats"]["stop"]) == ("stopped", "cancelled")
    assert answer["text"]
    assert answer["stats"]["tokens"] < 1000


def test_when_the_context_is_full_the_oldest_turns_go_and_it_is_said(engine: EnginePipe, chat: str) -> None:
    engine.ask("settings.set", values={"context_size": 512})
    dropped: list[dict[str, Any]] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "dropped":
            dropped.append(event)

    engine.ask("chats.update", chat=chat, system="You are a pirate.", sampling={"temperature": 0.0, "max_tokens": 24})
    for turn in range(4):
        question = f"Note {turn}: " + "the ship sails over the wide blue sea " * 12
        answer = engine.stream("chat.send", note, chat=chat, text=question)["message"]
    assert dropped
    assert answer["sent"]["dropped"] == dropped[-1]["dropped"] == sorted(dropped[-1]["dropped"])
    prompt = engine.ask("chat.sent", message=answer["id"])["prompt"]
    assert "You are a pirate." in prompt
    assert "Note 3" in prompt
    assert "Note 0" not in prompt
    assert len(engine.ask("chats.get", chat=chat)["messages"]) == 8, "nothing is lost from the conversation itself"


def test_dropped_turns_can_be_summarized(engine: EnginePipe, chat: str) -> None:
    engine.ask("settings.set", values={"context_size": 768, "when_full": "summarize"})
    engine.ask("chats.update", chat=chat, sampling={"temperature": 0.0, "max_tokens": 24})
    for turn in range(4):
        question = f"Note {turn}: " + "my dog Bella likes the river and the old mill " * 20
        answer = engine.ask("chat.send", chat=chat, text=question)["message"]
    assert answer["sent"]["summary"]
    assert answer["sent"]["summary"] in engine.ask("chat.sent", message=answer["id"])["prompt"]


def test_a_question_longer_than_the_context_is_kept_and_says_by_how_much(engine: EnginePipe, chat: str) -> None:
    engine.ask("settings.set", values={"context_size": 256})
    with pytest.raises(UserError) as caught:
        engine.ask("chat.send", chat=chat, text="word " * 1000)
    assert caught.value.code == "context_too_long"
    assert isinstance(over := caught.value.values["over"], int)
    assert over > 500
    question, answer = engine.ask("chats.get", chat=chat)["messages"]
    assert question["text"] == "word " * 1000
    assert (answer["state"], answer["error"]["code"]) == ("failed", "context_too_long")


@pytest.mark.parametrize(
    ("call", "params", "code"),
    [
        ("nonsense", {}, "unknown_request"),
        ("chats.get", {}, "bad_request"),
        ("chats.get", {"chat": "x", "more": 1}, "bad_request"),
        ("chats.get", {"chat": "x"}, "unknown_chat"),
        ("chat.send", {"chat": "x", "text": "hi"}, "unknown_chat"),
        ("chat.regenerate", {"message": 99}, "unknown_message"),
        ("chats.create", {"sampling": {"temperature": "hot"}}, "bad_sampling"),
        ("chats.create", {"sampling": {"warmth": 1}}, "unknown_sampling"),
        ("settings.set", {"values": {"theme": "pink"}}, "bad_setting"),
        ("models.load", {"model": "nobody"}, "unknown_model"),
        ("jobs.pause", {"job": "x"}, "unknown_job"),
        ("chats.import", {"path": "/nowhere.json"}, "cannot_read_file"),
        ("chats.export", {"format": "pdf"}, "unknown_format"),
    ],
)
def test_a_bad_request_is_answered_and_the_next_one_too(
    engine: EnginePipe, call: str, params: dict[str, Any], code: str
) -> None:
    assert code_of(engine, call, **params) == code
    assert engine.ask("engine.hello")["recovered"] is None


def test_without_a_model_the_question_is_refused_before_it_is_stored(engine: EnginePipe) -> None:
    chat = engine.ask("chats.create")["id"]
    assert code_of(engine, "chat.send", chat=chat, text="hello") == "no_model_installed"
    assert code_of(engine, "chat.send", chat=chat, text="  \n") == "empty_message"
    assert engine.ask("chats.get", chat=chat)["messages"] == []


def test_a_vanished_model_is_said_and_chats_stay(engine: EnginePipe, tmp_path: Path) -> None:
    copy = tmp_path / "mine.gguf"
    os.link(real_models.smollm2(), copy)
    (row,) = engine.ask("models.add", path=str(copy))["models"]
    chat = engine.ask("chats.create", model=row["id"])["id"]
    copy.unlink()
    assert code_of(engine, "chat.send", chat=chat, text="hello") == "vanished_model"
    problems = {r["id"]: r["problem"] for r in engine.ask("models.list")["models"]}
    assert problems[row["id"]] == "vanished_model"


@contextmanager
def raw_engine() -> Iterator[subprocess.Popen[bytes]]:
    """A bare process, killed at the end if the test has not ended it."""
    with subprocess.Popen([sys.executable, "-m", "engine"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


def tell(process: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert process.stdin
    process.stdin.write(encode(message))
    process.stdin.flush()


def test_kill_9_in_mid_answer_loses_at_most_half_a_second(home: Path) -> None:
    with raw_engine() as process:
        assert process.stdout
        tell(process, {"id": 1, "call": "models.add", "params": {"path": str(real_models.smollm2())}})
        sampling = {"temperature": 0.0, "max_tokens": 3000, "logit_bias": {"2": -1000}}
        tell(process, {"id": 2, "call": "chats.create", "params": {"sampling": sampling}})
        seen: list[tuple[float, str]] = []
        for line in process.stdout:
            message = decode(line)
            if message.get("id") == 2 and "result" in message:
                chat = message["result"]["id"]
                tell(process, {"id": 3, "call": "chat.send", "params": {"chat": chat, "text": "Tell a long story."}})
            if message.get("event") == "token":
                seen.append((time.monotonic(), message["text"]))
                if seen[-1][0] - seen[0][0] > 2:
                    break
        process.kill()
        killed = time.monotonic()
        process.wait()
        with EnginePipe() as after:
            answer = after.ask("chats.get", chat=chat)["messages"][-1]
        assert answer["state"] == "interrupted"
        # 0.5 s, and as much again for a loaded machine that wakes the journal late.
        old_enough = "".join(text for when, text in seen if when < killed - 1.0)
        assert old_enough
        assert answer["text"].startswith(old_enough)


def test_a_second_engine_on_the_folder_passes_its_requests_to_the_first(engine: EnginePipe) -> None:
    chat = engine.ask("chats.create", title="from the first")["id"]
    with EnginePipe() as second:
        assert [c["id"] for c in second.ask("chats.list")["chats"]] == [chat]
        second.ask("chats.update", chat=chat, title="from the second")
        assert second.pid != engine.pid
    assert engine.ask("chats.list")["chats"][0]["title"] == "from the second"


def test_engines_that_are_started_together_find_each_other(home: Path) -> None:
    with raw_engine() as one, raw_engine() as other:
        for process in (one, other):
            tell(process, {"id": 1, "call": "chats.create", "params": {"title": "x"}})
        for process in (one, other):
            assert process.stdout
            assert any(decode(line).get("id") == 1 for line in process.stdout)
        tell(other, {"id": 2, "call": "chats.list", "params": {}})
        assert other.stdout
        listed = next(message for message in map(decode, other.stdout) if message.get("id") == 2)
        assert len(listed["result"]["chats"]) == 2


def test_an_engine_waits_for_one_that_is_about_to_end(home: Path) -> None:
    from filelock import FileLock

    home.mkdir(parents=True, exist_ok=True)
    with FileLock(home / "engine.lock") as ending, raw_engine() as next_one:
        with pytest.raises(subprocess.TimeoutExpired):
            next_one.wait(timeout=1)
        ending.release()
        tell(next_one, {"id": 1, "call": "engine.hello", "params": {}})
        assert next_one.stdout
        assert decode(next_one.stdout.readline())["result"]["home"] == str(home)


def test_a_first_engine_that_does_not_answer_is_said(engine: EnginePipe, home: Path) -> None:
    engine.ask("engine.hello")
    (home / "engine.key").write_bytes(b"x" * 32)
    with raw_engine() as second:
        assert second.stdout
        assert decode(second.stdout.readline())["error"]["code"] == "engine_running"
        assert second.wait() == 2


def test_the_engine_ends_when_its_client_is_gone(home: Path) -> None:
    with raw_engine() as process:
        tell(process, {"id": 1, "call": "engine.hello", "params": {}})
        assert process.stdin
        assert process.stdout
        process.stdout.readline()
        process.stdin.close()
        assert process.wait(timeout=30) == 0


def test_junk_on_the_pipe_is_answered_and_survived(home: Path) -> None:
    with raw_engine() as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b'\xff\xfe\n[]\n"x"\n{"id": null, "call": "engine.hello"}\n{}\n' + b"[" * 100_000 + b"\n")
        tell(process, {"id": 1, "call": "engine.hello", "params": {}})
        replies = [decode(process.stdout.readline()) for _ in range(7)]
        assert [r["error"]["code"] for r in replies[:6]] == ["bad_request"] * 6
        assert replies[6]["result"]["version"]
        process.stdin.close()
        process.wait(timeout=30)


def test_a_damaged_database_is_reported_to_the_client(home: Path) -> None:
    (home / "deskside.db").write_bytes(b"this was a database once" * 500)
    with EnginePipe() as engine:
        recovered = engine.ask("engine.hello")["recovered"]
        assert Path(recovered["old"]).read_bytes().startswith(b"this was")
        assert engine.ask("chats.list")["chats"] == []


def test_an_unusable_folder_is_a_fatal_error_with_a_way_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("in the way")
    monkeypatch.setenv("DESKSIDE_HOME", str(home / "file" / "below"))
    with raw_engine() as process:
        assert process.stdout
        assert decode(process.stdout.readline())["error"]["code"] == "home_unusable"
        assert process.wait() == 2


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs POSIX signals")
def test_a_client_that_stops_reading_does_not_stall_the_others(engine: EnginePipe, chat: str) -> None:
    with raw_engine() as silent:  # a guest that never reads
        tell(silent, {"id": 1, "call": "chats.list", "params": {}})
        done = threading.Event()

        def talk() -> None:
            engine.ask("chat.send", chat=chat, text="Say hello.")
            done.set()

        threading.Thread(target=talk, daemon=True).start()
        assert done.wait(120)
        silent.kill()
        silent.wait()
