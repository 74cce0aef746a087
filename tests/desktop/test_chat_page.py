"""The conversation page over a scripted engine: sending, failing, dying, branches, models, panel."""

from __future__ import annotations

from typing import Any, cast

import pytest
from chat_kit import chat, dialogue
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QLineEdit
from pytestqt.qtbot import QtBot
from window_kit import Peer, model_row

from desktop.desk import Desk
from desktop.pages.chat import ACTIONS, ChatPage
from desktop.text import words
from desktop.theme import theme_keeper
from desktop.widgets.sampling_panel import SamplingForm
from engine.api.errors import UserError
from engine.api.messages import ModelRow
from engine.api.sampling import BOUNDS, Sampling

MODELS = [model_row("smollm2", installed=True, path="/m/a.gguf"), model_row("qwen", installed=False)]
TREE = {"chat": chat("c"), "messages": dialogue(2), "path": [1, 2]}
SCRIPT = f"""
greet()
models, tree = {MODELS!r}, {TREE!r}
chat = tree["chat"]
def message(number, role, text="", **values):
    return {{**tree["messages"][0], "id": number, "role": role, "text": text, "parent": number - 1, **values}}
replies = {{
    "models.list": {{"models": models}}, "chats.list": {{"chats": [chat]}}, "chats.get": tree, "chats.create": chat,
    "chats.update": chat, "chat.count": {{"used": 1500, "size": 2000}}, "settings.set": {{}},
    "chat.sent": {{"prompt": "<|im_start|>", "sent": {{"messages": [1], "dropped": [0]}}}},
    "chats.delete": {{}}, "chats.restore": chat, "messages.delete": {{**tree, "path": [1]}}, "messages.restore": tree,
}}
sends = 0
while True:
    request = ask()
    number, call = request.get("id"), request.get("call")
    if call == "chat.send" and request["params"]["text"] == "refuse":
        say({{"id": number, "error": {{"code": "no_such_code", "text": "No.", "hint": "Later.", "values": {{}}}}}})
    elif call == "chat.send":
        text = request["params"]["text"]
        first = 3 + 2 * sends
        sends += 1
        say({{"id": number, "event": "message", "message": message(first, "user", text)}})
        live = message(first + 1, "assistant", state="streaming")
        say({{"id": number, "event": "message", "message": live}})
        say({{"id": number, "event": "prefill", "done": 5, "total": 10, "left_s": 1.0}})
        say({{"id": number, "event": "token", "message": first + 1, "text": "Answer to ", "thinking": ""}})
        if text == "die": sys.exit(3)
        if text == "wait":
            while "cancel" not in ask(): pass
        stats = {{"stop": "end", "context_used": 1800, "context_size": 2000}}
        done = message(first + 1, "assistant", "Answer to " + text, stats=stats)
        say({{"id": number, "result": {{"message": done}}}})
    elif call in replies:
        say({{"id": number, "result": replies[call]}})
    elif call:
        say({{"id": number, "error": {{"code": "unknown_call", "text": call, "hint": "", "values": {{}}}}}})
"""


@pytest.fixture
def page(qtbot: QtBot, peer: Peer) -> ChatPage:
    theme_keeper().apply("light", 14)
    client = peer(SCRIPT)
    client.start()
    made = ChatPage(Desk(client))
    made.resize(1200, 760)
    made.show()
    qtbot.addWidget(made)
    qtbot.waitUntil(lambda: bool(made.shelf.chats.chat_ids()) and bool(made.stage.header.picker.models()))
    return made


def last_text(page: ChatPage) -> str:
    answer = page.session.shown.last_answer()
    return answer["text"] if answer else ""


def send(page: ChatPage, qtbot: QtBot, text: str) -> None:
    page.stage.composer.set_text(text)
    QTest.keyClick(page.stage.composer.field, Qt.Key.Key_Return)


def test_a_new_conversation_is_stored_with_its_first_message(page: ChatPage, qtbot: QtBot) -> None:
    assert page.chat_id == "" and page.stage.empty.isVisible()
    send(page, qtbot, "hello")
    qtbot.waitUntil(lambda: last_text(page) == "Answer to hello")
    assert page.chat_id == "c" and page.stage.view.isVisible()
    assert page.stage.composer.text() == ""
    assert page.stage.header.meter.percent.text() == "90%"


def test_what_was_refused_stays_in_the_composer_with_the_reason(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    send(page, qtbot, "refuse")
    qtbot.waitUntil(lambda: page.stage.composer.notice.text() == "No. Later.")
    assert page.stage.composer.text() == "refuse"
    assert not page.session.shown.running


def test_what_is_sent_meanwhile_waits_and_goes_next(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    send(page, qtbot, "wait")
    qtbot.waitUntil(lambda: last_text(page) == "Answer to ")
    send(page, qtbot, "second")
    assert page.session.shown.queue == ["second"] and page.stage.composer.queue.isVisible()
    page.stage.stop()
    qtbot.waitUntil(lambda: last_text(page) == "Answer to second")
    assert not page.session.shown.queue


def test_an_answer_goes_on_while_another_conversation_is_on_show(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    send(page, qtbot, "wait")
    qtbot.waitUntil(lambda: last_text(page) == "Answer to ")
    talk = page.session.shown
    page.stage.composer.set_text("half a thought")
    page.new_chat()
    assert page.stage.composer.text() == "" and page.session.live() == {"c"}
    page.show_chat("c")
    assert page.session.shown is talk and talk.running
    assert page.stage.composer.text() == "half a thought"
    page.stage.stop()
    qtbot.waitUntil(lambda: not talk.running)
    assert last_text(page) == "Answer to wait"


def test_a_dead_engine_leaves_the_text_and_offers_to_continue(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    send(page, qtbot, "die")
    qtbot.waitUntil(lambda: any(m["state"] == "interrupted" for m in page.session.shown.shown()))
    assert last_text(page) == "Answer to "


def test_deleting_offers_the_way_back(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    with qtbot.waitSignal(page.desk.toast_wanted) as toast:
        page.shelf.delete("c")
    assert page.chat_id == "" and page.shelf.chats.chat("c") is None
    cast(Any, toast.args)[1]()
    qtbot.waitUntil(lambda: page.chat_id == "c")


def test_a_message_is_deleted_with_the_way_back(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    qtbot.waitUntil(lambda: page.session.shown.path == [1, 2])
    with qtbot.waitSignal(page.desk.toast_wanted) as toast:
        page.stage.do("delete", 2)
    assert page.session.shown.path == [1]
    cast(Any, toast.args)[1]()
    qtbot.waitUntil(lambda: page.session.shown.path == [1, 2])


def test_what_was_sent_is_shown_in_the_panel(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    qtbot.waitUntil(lambda: page.session.shown.loaded)
    page.stage.do_last("sent")
    qtbot.waitUntil(page.stage.panel.isVisible)
    assert page.stage.panel.sent.prompt.toPlainText() == "<|im_start|>"
    assert "1 older message was left out" in page.stage.panel.sent.words.text()
    page.stage.toggle_panel()
    assert page.stage.panel.isVisible() and page.stage.panel.shows_settings
    page.stage.toggle_panel()
    assert not page.stage.panel.isVisible()


def test_other_pages_send_and_choose_a_model(page: ChatPage, qtbot: QtBot) -> None:
    page.opened(send="from the start page")
    qtbot.waitUntil(lambda: last_text(page) == "Answer to from the start page")
    page.opened(model="smollm2")
    assert page.chat_id == "" and page.session.shown.chat["model"] == "smollm2"
    page.opened(chat="c")
    assert page.chat_id == "c"


def test_without_a_model_the_page_shows_the_way_to_one(page: ChatPage, qtbot: QtBot) -> None:
    page.stage.set_models(cast(list[ModelRow], [model_row("qwen")]))
    assert page.stage.empty.get_model.isVisible() and not page.stage.empty.samples[0].isVisible()
    with qtbot.waitSignal(page.desk.page_wanted) as wanted:
        page.stage.empty.get_model.click()
    assert cast(Any, wanted.args)[0] == "models"
    send(page, qtbot, "typed before")
    assert page.stage.composer.text() == "typed before"


def test_the_picker_offers_what_is_installed_with_its_fit(page: ChatPage, qtbot: QtBot) -> None:
    picker = page.stage.header.picker
    picker._fill()
    offered = [action.text() for action in picker._menu.actions()]
    assert offered[0].startswith("Smollm2\tfits") and offered[-1] == "Get more models…"
    assert not any("Qwen" in text for text in offered)
    page.stage.choose_model("smollm2")
    assert page.desk.settings.default_model == "smollm2"


def test_every_sampling_value_has_a_field_and_only_differences_travel(qtbot: QtBot, desk: Desk) -> None:
    form = SamplingForm()
    qtbot.addWidget(form)
    assert set(form.fields) == set(BOUNDS)
    assert form.values() == {}
    form.fields["temperature"].setValue(1.5)  # type: ignore[arg-type]
    form.fields["seed"].setValue(4_294_967_294)  # beyond 32 bits
    form.stop.setPlainText("END\nSTOP")
    form.bias.setText('{"12": -100}')
    values = form.values()
    assert values["temperature"] == 1.5 and values["seed"] == 4_294_967_294 and values["stop"] == ["END", "STOP"]
    assert Sampling.from_json(values).logit_bias == {12: -100.0}
    form.bias.setText("nonsense")
    with pytest.raises(UserError):
        form.values()
    with qtbot.waitSignal(form.changed) as changed:
        form.reset()
    assert changed.args == [{}] and form.values() == {}


def test_values_set_from_outside_are_shown_and_not_announced(qtbot: QtBot, desk: Desk) -> None:
    form = SamplingForm()
    qtbot.addWidget(form)
    with qtbot.assertNotEmitted(form.changed, wait=700):
        form.set_values({"top_k": 7, "stop": ["x"]})
    assert form.fields["top_k"].value() == 7 and form.values() == {"top_k": 7, "stop": ["x"]}


def test_titles_are_renamed_in_place(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    header = page.stage.header
    header.title.click()
    header.field.setText("Another name")
    with qtbot.waitSignal(header.renamed) as renamed:
        QTest.keyClick(header.field, Qt.Key.Key_Return)
    assert renamed.args == ["Another name"] and header.field.isHidden()
    header.start_renaming()
    QTest.keyClick(header.field, Qt.Key.Key_Escape)
    assert header.field.isHidden() and not header.title.isHidden()


def test_every_action_has_words_and_every_control_a_name(page: ChatPage, qtbot: QtBot) -> None:
    page.show_chat("c")
    qtbot.waitUntil(lambda: page.session.shown.loaded)
    assert all(not action.label.startswith("chat.") for action in ACTIONS)
    shortcuts = [action.shortcut for action in ACTIONS if action.shortcut]
    assert len(shortcuts) == len(set(shortcuts))
    for kind in (QAbstractButton, QAbstractSpinBox, QLineEdit):
        for control in page.findChildren(kind):
            inner = isinstance(control.parent(), QAbstractSpinBox | QLineEdit)
            assert inner or control.isHidden() or control.accessibleName(), control


def test_both_languages_have_the_same_words() -> None:
    english = {key for key in words("en") if key.startswith(("chat.", "errors."))}
    chinese = {key for key in words("zh") if key.startswith(("chat.", "errors."))}
    assert {key for key in english if key.startswith("chat.")} == {key for key in chinese if key.startswith("chat.")}
