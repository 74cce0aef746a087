"""A conversation fed with the engine's events: branches, streaming, queue, failure."""

from __future__ import annotations

from typing import Any

import pytest
from chat_kit import chat, dialogue, message
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop.chat.conversation import Conversation
from engine.api.errors import UserError


@pytest.fixture
def talk(qapp: QApplication) -> Conversation:
    made = Conversation(chat("c"))
    made.set_tree({"chat": chat("c"), "messages": dialogue(2), "path": [1, 2]})
    return made


def ask(talk: Conversation, number: int = 3) -> None:
    talk.begin(7)
    talk.take_event({"event": "message", "message": message(number, "user", "again")})
    talk.take_event({"event": "message", "message": message(number + 1, "assistant", "", state="streaming")})


def token(text: str = "", thinking: str = "", number: int = 4) -> dict[str, Any]:
    return {"event": "token", "message": number, "text": text, "thinking": thinking}


def test_pieces_are_handed_on_together(talk: Conversation, qtbot: QtBot) -> None:
    ask(talk)
    appended: list[Any] = []
    talk.appended.connect(lambda *piece: appended.append(piece))
    for word in ("One ", "two ", "three"):
        talk.take_event(token(word))
    assert not appended, "nothing is drawn for each token"
    qtbot.waitUntil(lambda: len(appended) == 1)
    assert appended == [(4, "One two three", "")]
    assert talk.shown()[-1]["text"] == "One two three"


def test_the_answer_ends_with_what_was_stored(talk: Conversation) -> None:
    ask(talk)
    talk.take_event(token("Yes"))
    talk.take_result({"message": message(4, "assistant", "Yes.", stats={"stop": "end"})})
    assert not talk.running and talk.live is None
    assert talk.shown()[-1]["text"] == "Yes."


def test_an_edit_is_a_branch_beside_the_old_question(talk: Conversation) -> None:
    talk.begin(1)
    talk.take_event({"event": "message", "message": message(3, "user", "other words", parent=None)})
    talk.take_event({"event": "message", "message": message(4, "assistant", parent=3, state="streaming")})
    assert talk.path == [3, 4]
    assert talk.siblings(3) == talk.siblings(1) == [1, 3]
    assert talk.siblings(4) == [4]


def test_a_dead_engine_leaves_the_text_and_says_interrupted(talk: Conversation) -> None:
    ask(talk)
    talk.take_event(token("Half an ans"))
    talk.take_error(UserError("engine_died", "The engine stopped."))
    last = talk.shown()[-1]
    assert (last["text"], last["state"]) == ("Half an ans", "interrupted")
    stored = message(4, "assistant", "Half an", state="interrupted")
    talk.set_tree({"chat": chat("c"), "messages": [*dialogue(3), stored], "path": [1, 2, 3, 4]})
    assert talk.shown()[-1]["text"] == "Half an ans", "what was on screen does not vanish"


def test_another_error_is_kept_with_the_answer(talk: Conversation) -> None:
    ask(talk)
    talk.take_error(UserError("vanished_model", "The file is gone.", "Add it again.", name="m"))
    error = talk.shown()[-1]["error"]
    assert talk.shown()[-1]["state"] == "failed" and error and error["code"] == "vanished_model"


def test_a_reload_while_an_answer_is_written_keeps_the_newer_text(talk: Conversation) -> None:
    ask(talk)
    talk.take_event(token("newer text"))
    behind = message(4, "assistant", "newer", state="streaming")
    talk.set_tree({"chat": chat("c"), "messages": [*dialogue(3), behind], "path": [1, 2, 3, 4]})
    assert talk.shown()[-1]["text"] == "newer text"


def test_continuing_appends_to_the_same_answer(talk: Conversation) -> None:
    talk.begin(9, live=2)
    assert talk.messages[2]["state"] == "streaming"
    talk.take_event({"event": "message", "message": message(2, "assistant", "words of message 2", state="stopped")})
    talk.take_event(token(" and more", number=2))
    talk.flush()
    assert talk.messages[2]["text"] == "words of message 2 and more"
    assert talk.path == [1, 2]


def test_what_was_dropped_is_kept_with_the_answer(talk: Conversation) -> None:
    ask(talk)
    talk.take_event({"event": "dropped", "dropped": [1, 2], "summary": ""})
    assert talk.shown()[-1]["sent"].get("dropped") == [1, 2]


def test_progress_follows_the_events(talk: Conversation) -> None:
    seen: list[Any] = []
    talk.progress_changed.connect(lambda: seen.append((talk.progress.kind, talk.progress.done, talk.progress.total)))
    ask(talk)
    talk.take_event({"event": "load", "done": 0.5})
    talk.take_event({"event": "prefill", "done": 10, "total": 40, "left_s": 3.0})
    talk.take_event(token("x"))
    assert seen == [("start", 0, 0), ("load", 0.5, 1), ("prefill", 10, 40), ("write", 0, 0)]


def test_waiting_messages_leave_in_order(talk: Conversation) -> None:
    for text in ("a", "b", "c"):
        talk.enqueue(text)
    assert (talk.dequeue(1), talk.dequeue(), talk.queue) == ("b", "a", ["c"])
    assert talk.dequeue(5) == ""


def test_thinking_is_timed(talk: Conversation) -> None:
    ask(talk)
    talk.take_event(token(thinking="Let me see"))
    talk.take_event(token("Yes"))
    talk.flush()
    assert talk.shown()[-1]["thinking"] == "Let me see"
    assert 4 in talk.thought_s
