"""The message view: rows, lazy building, following the end, actions, editing, figures."""

from __future__ import annotations

from typing import Any, cast

import pytest
from chat_kit import dialogue, message
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from desktop.desk import Desk
from desktop.text import set_language, tr
from desktop.widgets.composer import ComposerText
from desktop.widgets.figures import dropped_words, exact_figures, short_figures, stop_words, waiting_words
from desktop.widgets.message_row import AnswerRow, QuestionRow
from desktop.widgets.message_view import CHUNK, MessageView
from engine.api.messages import Message

STATS: dict[str, Any] = {
    "prompt_tokens": 1200, "reused_tokens": 1000, "tokens": 40, "first_token_s": 0.312, "decode_s": 1.5,
    "tokens_per_s": 26.4, "stop": "end", "context_used": 1240, "context_size": 4096,
}  # fmt: skip


@pytest.fixture
def view(qtbot: QtBot, desk: Desk) -> MessageView:
    made = MessageView()
    qtbot.addWidget(made)
    made.resize(700, 500)
    made.show()
    return made


def answer(view: MessageView, number: int) -> AnswerRow:
    row = view.row(number)
    assert isinstance(row, AnswerRow)
    return row


def question(view: MessageView, number: int) -> QuestionRow:
    row = view.row(number)
    assert isinstance(row, QuestionRow)
    return row


def show(view: MessageView, messages: list[Message]) -> None:
    ids = [m["id"] for m in messages]
    view.set_path(messages, lambda number: [number] if number in ids else [])


def test_five_hundred_messages_build_only_the_newest_rows_and_older_ones_on_the_way_up(
    view: MessageView, qtbot: QtBot
) -> None:
    show(view, dialogue(500))
    assert len(view.rows()) == CHUNK
    qtbot.waitUntil(lambda: view.verticalScrollBar().maximum() > 0)
    qtbot.waitUntil(lambda: view.verticalScrollBar().value() == view.verticalScrollBar().maximum())
    assert len(view.rows()) == CHUNK, "standing at the end builds nothing older"
    first = view.rows()[0]
    view.verticalScrollBar().setValue(0)
    qtbot.waitUntil(lambda: len(view.rows()) > CHUNK)
    assert first in view.rows() and view.rows()[0].number < first.number
    view.show_message(3)
    assert view.row(3) is not None
    assert [row.number for row in view.rows()] == list(range(view.rows()[0].number, 501))


def test_a_streamed_answer_keeps_its_row_and_its_neighbours(view: MessageView) -> None:
    messages = [*dialogue(2), message(3, "user", "go on"), message(4, "assistant", "", state="streaming")]
    show(view, messages)
    before = view.rows()
    for _ in range(50):
        view.append(4, "word ", "")
    done = message(4, "assistant", "word " * 50, stats=STATS)
    view.update_message(4, done)
    assert view.rows() == before
    assert answer(view, 4).body.plain_text() == "word " * 50


def test_the_view_follows_only_while_it_is_at_the_end(view: MessageView, qtbot: QtBot) -> None:
    show(view, [*dialogue(21), message(22, "assistant", "", state="streaming")])
    bar = view.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 200 and bar.value() == bar.maximum())
    view.append(22, "line\n\n" * 30, "")
    qtbot.waitUntil(lambda: answer(view, 22).body.height() > 200)
    qtbot.waitUntil(lambda: bar.value() == bar.maximum())
    bar.setValue(bar.maximum() - 300)
    here, grown = bar.value(), bar.maximum()
    assert not view.jump.isHidden() and not view.following
    view.append(22, "line\n\n" * 30, "")
    qtbot.waitUntil(lambda: bar.maximum() > grown)
    assert bar.value() == here
    view.jump.click()
    assert bar.value() == bar.maximum() and view.following and view.jump.isHidden()


def test_switching_a_branch_keeps_the_rows_before_it(view: MessageView) -> None:
    show(view, dialogue(4))
    kept = view.rows()[:2]
    other = [*dialogue(2), message(7, "user", "other", parent=2), message(8, "assistant", "else", parent=7)]
    view.set_path(other, lambda number: {7: [3, 7]}.get(number, [number]))
    assert view.rows()[:2] == kept
    assert [row.number for row in view.rows()] == [1, 2, 7, 8]
    switcher = question(view, 7).switcher
    assert not switcher.isHidden() and switcher.label.text() == "2 / 2"
    assert switcher.back.isEnabled() and not switcher.forward.isEnabled()


def test_rows_say_what_is_wanted(view: MessageView, qtbot: QtBot) -> None:
    show(view, [message(1, "user", "q"), message(2, "assistant", "a", state="stopped", sent={"messages": [1]})])
    row = answer(view, 2)
    wanted: list[Any] = []
    view.wanted.connect(lambda *what: wanted.append(what))
    for button in (row.copy, row.again, row.more_of_it, row.sent, row.delete):
        assert not button.isHidden()
        button.click()
    assert wanted == [("copy", 2), ("regenerate", 2), ("continue", 2), ("sent", 2), ("delete", 2)]


def test_while_an_answer_is_written_there_is_nothing_to_act_on(view: MessageView) -> None:
    show(view, [message(1, "user", "q"), message(2, "assistant", "", state="streaming")])
    view.set_waiting(2, "Reading…")
    row = answer(view, 2)
    assert not row.waiting.isHidden() and row.copy.isHidden() and row.again.isHidden()
    view.append(2, "text", "")
    assert row.waiting.isHidden()


def test_a_question_is_edited_in_place_and_escape_leaves_it(view: MessageView, qtbot: QtBot) -> None:
    show(view, dialogue(2))
    row = question(view, 1)
    row.start_editing()
    QTest.keyClick(row.findChildren(ComposerText)[0], Qt.Key.Key_Escape)
    assert not row.bubble.isHidden()
    row.start_editing()
    field = row.findChildren(ComposerText)[-1]
    field.setPlainText("better words")
    with qtbot.waitSignal(view.edited) as edited:
        QTest.keyClick(field, Qt.Key.Key_Return)
    assert edited.args == [1, "better words"]


def test_thinking_is_folded_and_laid_out_only_when_seen(view: MessageView, qtbot: QtBot) -> None:
    show(view, [message(1, "user", "q"), message(2, "assistant", "", state="streaming")])
    block = answer(view, 2).thinking
    assert block.isHidden()
    view.append(2, "", "Let me think")
    assert not block.isHidden() and block.header.text().startswith("Thinking")
    assert block._body is None
    block.header.click()
    assert block._body is not None and block._body.plain_text() == "Let me think"
    view.append(2, "", " more")
    assert block._body.plain_text() == "Let me think more"
    view.update_message(2, message(2, "assistant", "Yes", thinking="Let me think more"), 4.2)
    assert block.header.text().startswith("Thought for 4 s")


def test_failed_and_interrupted_answers_say_so_and_show_the_way_on(view: MessageView) -> None:
    error = {"code": "engine_busy_nowhere_translated", "text": "It broke.", "hint": "Mend it.", "values": {}}
    show(
        view,
        [
            message(1, "user", "q"),
            message(2, "assistant", "", state="failed", error=error),
            message(3, "user", "q"),
            message(4, "assistant", "half", state="interrupted"),
        ],
    )
    assert answer(view, 2)._problem_text.text() == "It broke. Mend it."
    assert not answer(view, 2).retry.isHidden() and answer(view, 2).go_on.isHidden()
    assert not answer(view, 4).go_on.isHidden()


def test_a_full_context_is_said_above_the_answer(view: MessageView, qtbot: QtBot) -> None:
    sent = {"messages": [3], "dropped": [1, 2]}
    show(view, [*dialogue(3), message(4, "assistant", "a", sent=sent)])
    notice = answer(view, 4).notice
    assert not notice.isHidden() and "2 oldest messages were left out" in notice.text()
    with qtbot.waitSignal(view.wanted) as wanted:
        notice.click()
    assert wanted.args == ["sent", 4]
    assert dropped_words(message(4, "assistant", sent={**sent, "summary": "They spoke."})).endswith("were summarized")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_how_documents_were_read_is_said_under_the_answer(
    desk: Desk, view: MessageView, qtbot: QtBot, language: str
) -> None:
    set_language(language)
    found = {"hits": [], "notes": [{"code": "passages_spread", "given": 7, "of": 31}, {"code": "of_a_later_version"}]}
    spread = message(2, "assistant", "It is about whales.", found=found)
    show(view, [message(1), spread, message(3), message(4, "assistant", "All of it.", found={"hits": []})])
    note = answer(view, 2).note
    assert note is not None
    qtbot.waitUntil(note.isVisible)
    assert ("7" in note.text(), "31" in note.text()) == (True, True)
    assert note.text() == tr("docs_ask.note_passages_spread", given=7, of=31)
    assert ("内容" in note.text()) == (language == "zh")
    assert answer(view, 4).note is None
    view.update_message(2, cast(Message, {**spread, "found": {"hits": []}}))
    assert not note.isVisible(), "another version of the answer may have read all of it"
    set_language("en")


def test_figures_in_short_and_exactly(desk: Desk) -> None:
    done = message(2, "assistant", "a", stats=STATS)
    assert short_figures(done)[0] == "26 tokens/s · first token 0.3 s · finished"
    assert "Tokens read: 1,200" in exact_figures(done) and "0.312 s" in exact_figures(done)
    assert stop_words(message(2, "assistant", state="stopped")) == "stopped by you"
    for reason in ("end", "stop_string", "length", "context", "cancelled"):
        assert not stop_words(message(2, "assistant", stats={"stop": reason})).startswith("chat.")


def test_waiting_says_done_of_total_and_the_time_left(desk: Desk) -> None:
    assert waiting_words("prefill", 512, 2048, 4.2) == "Reading… 512/2,048 tokens, about 4 s left"
    assert waiting_words("load", 0.25, 1, None) == "Loading the model… 25 %"


def test_nothing_is_wider_than_a_narrow_page(view: MessageView, qtbot: QtBot) -> None:
    view.resize(404, 500)
    long = message(2, "assistant", "a " * 300, stats=STATS, state="stopped", sent={"messages": [1]})
    view.set_path([message(1, "user", "w" * 300), long], lambda number: [number, 9])
    qtbot.waitUntil(lambda: not answer(view, 2).more.isHidden())
    qtbot.waitUntil(lambda: view._column.width() <= view.viewport().width())
    assert answer(view, 2).delete.isHidden()


def test_every_button_of_a_row_has_a_name(view: MessageView) -> None:
    show(view, dialogue(2))
    for button in view.findChildren(QAbstractButton):
        assert button.accessibleName() or button.isHidden(), button.text()
