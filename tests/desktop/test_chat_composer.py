"""The composer: Enter, Shift+Enter, input methods, growing, stopping, the queue."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QInputMethodEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QPushButton
from pytestqt.qtbot import QtBot

from desktop.widgets.composer import MAX_LINES, Composer


@pytest.fixture
def composer(qtbot: QtBot) -> Composer:
    made = Composer()
    qtbot.addWidget(made)
    made.resize(600, 300)
    made.show()
    return made


def test_enter_sends_and_shift_enter_breaks_the_line(composer: Composer, qtbot: QtBot) -> None:
    QTest.keyClicks(composer.field, "one")
    QTest.keyClick(composer.field, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClicks(composer.field, "two")
    with qtbot.waitSignal(composer.submitted) as sent:
        QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.args == ["one\ntwo"]
    assert composer.text() == "one\ntwo", "what was typed stays until the engine has it"


def test_enter_while_an_input_method_composes_never_sends(composer: Composer, qtbot: QtBot) -> None:
    QApplication.sendEvent(composer.field, QInputMethodEvent("nihao", []))
    with qtbot.assertNotEmitted(composer.submitted):
        QTest.keyClick(composer.field, Qt.Key.Key_Return)
    done = QInputMethodEvent("", [])
    done.setCommitString("你好")
    QApplication.sendEvent(composer.field, done)
    assert composer.text() == "你好"
    with qtbot.waitSignal(composer.submitted) as sent:
        QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert sent.args == ["你好"]


def test_blank_text_and_a_blocked_composer_send_nothing(composer: Composer, qtbot: QtBot) -> None:
    composer.set_text("  \n ")
    with qtbot.assertNotEmitted(composer.submitted):
        QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert not composer.send_button.isEnabled()
    composer.set_text("words")
    composer.set_blocked(True)
    with qtbot.assertNotEmitted(composer.submitted):
        QTest.keyClick(composer.field, Qt.Key.Key_Return)
    assert not composer.send_button.isEnabled()


def test_the_field_grows_with_its_text_up_to_a_limit(composer: Composer) -> None:
    heights = []
    for lines in (1, 3, MAX_LINES, MAX_LINES * 3):
        composer.set_text("\n".join("x" * lines))
        QTest.qWait(1)
        heights.append(composer.field.height())
    assert heights[0] < heights[1] < heights[2] == heights[3]
    composer.set_text("")
    assert composer.field.height() == heights[0]


def test_stop_shows_while_an_answer_is_written_and_escape_stops(composer: Composer, qtbot: QtBot) -> None:
    assert not composer.stop_button.isVisible()
    composer.set_running(True)
    assert composer.stop_button.isVisible() and not composer.send_button.isVisible()
    with qtbot.waitSignal(composer.stop_wanted):
        QTest.keyClick(composer.field, Qt.Key.Key_Escape)
    composer.set_text("next question")
    assert composer.send_button.isVisible() and composer.send_button.text() == "Send next"
    composer.set_running(False)
    with qtbot.assertNotEmitted(composer.stop_wanted):
        QTest.keyClick(composer.field, Qt.Key.Key_Escape)


def test_waiting_messages_are_shown_and_can_be_taken_back(composer: Composer, qtbot: QtBot) -> None:
    composer.set_queue(["first thing", "second thing"])
    buttons = composer.queue.findChildren(QPushButton)
    assert composer.queue.isVisible() and len(buttons) == 2
    with qtbot.waitSignal(composer.unqueue_wanted) as taken:
        buttons[1].click()
    assert taken.args == [1]
    composer.set_queue([])
    assert not composer.queue.isVisible()


def test_every_control_has_a_name(composer: Composer) -> None:
    for button in composer.findChildren(QPushButton):
        assert button.accessibleName()
    assert composer.field.accessibleName()
