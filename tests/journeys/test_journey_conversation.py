"""From the first start to a branched, searched, deleted and restored conversation, with the starter model."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import real_models
from person import Person
from PySide6.QtCore import Qt

from desktop.listmodels.chats import Roles
from desktop.text import tr

LONG = "Write a very long story about a lighthouse keeper."


@pytest.fixture
def at_chat(person: Person) -> Person:
    """Someone past the first start, with the starter model."""
    person.add_model(real_models.smollm2())
    person.desk.set(first_start_done=True)
    person.desk.open_page("chat")
    person.wait(lambda: not person.chat.stage.header.picker.isHidden())
    return person


def steady(person: Person, max_tokens: int) -> None:
    """From now on the conversation on show answers the same every time, and no longer than this."""
    sampling = {"temperature": 0.0, "max_tokens": max_tokens}
    if max_tokens > 500:
        sampling["logit_bias"] = {"2": -1000.0}  # type: ignore[assignment]
    person.chat.session.update(person.chat.session.shown, sampling=sampling)


def asked(person: Person, words: str) -> bool:
    """Whether a question with these words is on show."""
    return any(words in question.message["text"] for question in person.questions())


def test_first_start_language_question_answer(person: Person) -> None:
    assert person.window.current == "welcome"
    person.add_model(real_models.smollm2())
    person.wait(lambda: person.reads(tr("welcome.ready")))
    person.click("中文")
    person.wait(lambda: person.reads("开始") or person.reads("欢迎"))
    person.click("English")
    person.wait(lambda: person.reads(tr("welcome.title")))
    person.welcome.field.setText("Say hello in one short sentence.")
    person.click(tr("welcome.send"))
    person.wait(lambda: person.window.current == "chat" and person.answers())
    person.wait(lambda: not person.chat.session.shown.running)
    (answer,) = person.answers()
    assert answer.message["state"] == "done"
    assert answer.body.plain_text() == answer.message["text"] != ""
    assert answer.figures.text(), "speed and why it stopped are to be seen"
    assert person.desk.settings.first_start_done


def test_the_first_start_is_not_shown_twice(open_window: Callable[[], Person]) -> None:
    first = open_window()
    first.ask_engine("settings.set", values={"first_start_done": True})
    first.close()
    assert open_window().window.current == "chat"


def test_stop_in_mid_answer_keeps_what_is_written_and_continue_goes_on(at_chat: Person) -> None:
    steady(at_chat, 2000)
    at_chat.type_and_send(LONG)
    at_chat.wait(lambda: at_chat.answers() and len(at_chat.answers()[-1].body.plain_text()) > 40)
    at_chat.click(tr("chat.stop"))
    at_chat.wait(lambda: not at_chat.chat.session.shown.running)
    answer = at_chat.answers()[-1]
    before = answer.message["text"]
    assert answer.message["state"] == "stopped"
    assert answer.body.plain_text() == before
    steady(at_chat, 12)
    at_chat.click(tr("chat.continue_name"), answer)
    at_chat.wait(lambda: at_chat.answers()[-1].message["state"] == "done")
    assert at_chat.answers()[-1].body.plain_text().startswith(before)
    assert len(at_chat.answers()[-1].body.plain_text()) > len(before)


def test_edit_and_regenerate_make_branches_that_can_be_switched(at_chat: Person) -> None:
    steady(at_chat, 12)
    first = at_chat.ask("Name a colour.").message["text"]
    at_chat.click(tr("chat.again_name"), at_chat.answers()[-1])
    at_chat.wait(lambda: at_chat.reads("2 / 2", at_chat.answers()[-1]) and not at_chat.chat.session.shown.running)
    at_chat.questions()[0].start_editing()
    at_chat.questions()[0].edited.emit(at_chat.questions()[0].number, "Name an animal.")
    at_chat.wait(lambda: [q.message["text"] for q in at_chat.questions()] == ["Name an animal."])
    at_chat.wait(lambda: at_chat.answers() and not at_chat.chat.session.shown.running)
    at_chat.click(tr("chat.branch_back"), at_chat.questions()[0])
    at_chat.wait(lambda: [q.message["text"] for q in at_chat.questions()] == ["Name a colour."])
    assert at_chat.answers()[0].message["text"] == first


def test_search_finds_words_of_both_languages_and_opens_the_conversation(at_chat: Person) -> None:
    steady(at_chat, 4)
    at_chat.ask("供应商晚交货两周,违约金怎么算?")
    at_chat.chat.new_chat()
    steady(at_chat, 4)
    at_chat.ask("Which penguins live in Africa?")
    search = at_chat.chat.shelf.list
    for query in ("违约", "penguin"):
        search.search.setText(query)
        at_chat.press(Qt.Key.Key_Return, search.search)  # before anything was found: it opens once it is
        at_chat.wait(partial(asked, at_chat, query))
        found = {search.hits.index(row, 0).data(Roles.chat_id) for row in range(search.hits.rowCount())}
        assert found == {at_chat.chat.chat_id}


def test_a_deleted_conversation_comes_back_by_undo(at_chat: Person) -> None:
    steady(at_chat, 4)
    at_chat.ask("Keep me.")
    chat = at_chat.chat.chat_id
    at_chat.chat.shelf.delete(chat)
    at_chat.wait(lambda: at_chat.chat.shelf.chats.chat(chat) is None and at_chat.reads(tr("frame.undo")))
    at_chat.click(tr("frame.undo"))
    at_chat.wait(lambda: at_chat.chat.shelf.chats.chat(chat) is not None)
    assert len(at_chat.ask_engine("chats.get", chat=chat)["messages"]) == 2


def test_kill_9_of_the_engine_in_mid_answer_keeps_the_text_and_the_way_on(at_chat: Person, home: Path) -> None:
    steady(at_chat, 2000)
    at_chat.type_and_send(LONG)
    at_chat.wait(lambda: at_chat.answers() and len(at_chat.answers()[-1].body.plain_text()) > 20)
    shown = at_chat.answers()[-1].body.plain_text()
    at_chat.look_on(1.5)
    pid = at_chat.client.pid
    at_chat.kill_engine()
    at_chat.wait(lambda: at_chat.client.state == "ready" and at_chat.client.pid not in (0, pid))
    at_chat.wait(lambda: at_chat.answers() and at_chat.answers()[-1].message["state"] == "interrupted")
    answer = at_chat.answers()[-1]
    stored = sqlite3.connect(home / "deskside.db").execute("SELECT text FROM messages WHERE role = 'assistant'")
    text = stored.fetchone()[0]
    stored.connection.close()
    assert text.startswith(shown)
    assert answer.body.plain_text().startswith(text), "what was seen stays, what is stored is at most 0.5 s behind"
    assert at_chat.reads(tr("chat.interrupted"), answer)
    steady(at_chat, 12)
    at_chat.click(tr("chat.continue_name"), answer)
    at_chat.wait(lambda: at_chat.answers()[-1].message["state"] == "done")
    assert at_chat.answers()[-1].message["text"].startswith(text)


def test_an_error_stands_where_it_happened_and_keeps_what_was_typed(at_chat: Person) -> None:
    at_chat.ask_engine("settings.set", values={"context_size": 256})
    at_chat.type_and_send("word " * 600)
    at_chat.wait(lambda: at_chat.answers() and at_chat.answers()[-1].message["state"] == "failed")
    assert at_chat.answers()[-1].message["error"]
    assert "word word" in at_chat.questions()[-1].message["text"]
    problem = at_chat.answers()[-1].problem
    assert problem and problem.isVisible()


def test_the_window_shows_what_the_model_was_sent(at_chat: Person) -> None:
    steady(at_chat, 4)
    answer = at_chat.ask("Say yes.")
    at_chat.click(tr("chat.sent_name"), answer)
    at_chat.wait(lambda: at_chat.chat.stage.panel.isVisible())
    at_chat.wait(lambda: at_chat.chat.stage.panel.sent.prompt.toPlainText())
    assert "user\nSay yes." in at_chat.chat.stage.panel.sent.prompt.toPlainText()
