"""The conversation list: its models, its search field and its menu."""

from __future__ import annotations

import datetime
import time

from chat_kit import chat
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from desktop.listmodels.chats import ChatsModel, HitsModel, Roles
from desktop.widgets.chat_list import ChatList

DAY = 86400.0
TODAY = datetime.date(2026, 7, 30)
NOON = datetime.datetime(2026, 7, 30, 12).timestamp()


def filled() -> ChatsModel:
    model = ChatsModel({"smollm2": "SmolLM2 135M"}.get, lambda: TODAY)  # type: ignore[arg-type]
    model.set_chats(
        [
            chat("old", updated=NOON - 30 * DAY),
            chat("new", updated=NOON),
            chat("week", updated=NOON - 3 * DAY),
            chat("filed", updated=NOON, folder="合同审阅"),
            chat("pinned", updated=NOON - 90 * DAY, pinned=True, folder="合同审阅"),
        ]
    )
    return model


def texts(model: ChatsModel) -> list[str]:
    return [str(model.index(row).data()) for row in range(model.rowCount())]


def test_sections_come_in_order_and_empty_ones_not_at_all(qapp: QApplication, qtmodeltester: ModelTester) -> None:
    model = filled()
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]
    assert texts(model) == [
        "Pinned", "Talk pinned", "合同审阅", "Talk filed", "Today", "Talk new", "This week", "Talk week",
        "Older", "Talk old",
    ]  # fmt: skip
    model.remove("week")
    assert "This week" not in texts(model)
    qtmodeltester.check(model)  # type: ignore[no-untyped-call]


def test_a_change_in_place_keeps_the_rows_and_a_new_chat_comes_first(qtbot: QtBot) -> None:
    model = filled()
    with qtbot.assertNotEmitted(model.modelReset), qtbot.waitSignal(model.dataChanged):
        model.put(chat("new", updated=NOON, title="Renamed"))
    assert model.index_of("new").data() == "Renamed"
    model.put(chat("newest", updated=NOON + 5))
    assert model.chat_ids() == ["pinned", "filed", "newest", "new", "week", "old"]


def test_the_second_line_names_the_model_and_screen_readers_hear_both(qapp: QApplication) -> None:
    model = filled()
    index = model.index_of("new")
    assert index.data(Roles.second) == "SmolLM2 135M"
    assert index.data(Qt.ItemDataRole.AccessibleTextRole) == "Talk new, SmolLM2 135M"


def test_headings_cannot_be_chosen(qapp: QApplication) -> None:
    model = filled()
    assert not model.flags(model.index(0)) & Qt.ItemFlag.ItemIsSelectable
    assert model.flags(model.index(1)) & Qt.ItemFlag.ItemIsSelectable


def test_dropping_on_a_folder_asks_for_the_move(qtbot: QtBot) -> None:
    model = filled()
    data = model.mimeData([model.index_of("new")])
    with qtbot.waitSignal(model.moved) as moved:
        model.dropMimeData(data, Qt.DropAction.MoveAction, -1, -1, model.index(2))
    assert moved.args == ["new", "合同审阅"]
    with qtbot.waitSignal(model.moved) as moved:
        model.dropMimeData(model.mimeData([model.index_of("filed")]), Qt.DropAction.MoveAction, -1, -1, model.index(4))
    assert moved.args == ["filed", ""]


def test_hits_show_where_and_what(qapp: QApplication, qtmodeltester: ModelTester) -> None:
    hits = HitsModel()
    hits.set_hits([{"chat": "c", "title": "违约金", "message": 7, "snippet": "合同约定", "marks": [[0, 2]]}])
    qtmodeltester.check(hits)  # type: ignore[no-untyped-call]
    assert (hits.index(0).data(), hits.index(0).data(Roles.message)) == ("违约金", 7)
    assert hits.index(0).data(Roles.marks) == [[0, 2]]


def shown(qtbot: QtBot) -> ChatList:
    made = ChatList(filled(), HitsModel())
    qtbot.addWidget(made)
    made.resize(248, 600)
    made.show()
    return made


def test_search_asks_once_typing_rests_and_clearing_brings_the_list_back(qtbot: QtBot) -> None:
    made = shown(qtbot)
    with qtbot.waitSignal(made.search_wanted) as wanted:
        QTest.keyClicks(made.search, "talk")
    assert wanted.args == ["talk"]
    made.set_hits([])
    assert made.stack.currentWidget() is made.nothing
    made.set_hits([{"chat": "week", "title": "Talk week", "message": None, "snippet": "", "marks": []}])
    with qtbot.waitSignal(made.opened) as opened:
        QTest.keyClick(made.search, Qt.Key.Key_Return)
    assert opened.args == ["week", None]
    made.search.clear()
    assert made.stack.currentWidget() is made.list


def test_the_keyboard_opens_and_deletes(qtbot: QtBot) -> None:
    made = shown(qtbot)
    made.set_current("new")
    assert made.list.currentIndex().data(Roles.chat_id) == "new"
    with qtbot.waitSignal(made.wanted) as wanted:
        QTest.keyClick(made.list, Qt.Key.Key_Delete)
    assert wanted.args == ["delete", "new"]
    with qtbot.waitSignal(made.opened) as opened:
        QTest.keyClick(made.list, Qt.Key.Key_Return)
    assert opened.args == ["new", None]


def test_the_menu_pins_moves_and_renames_folders(qtbot: QtBot) -> None:
    made = shown(qtbot)
    menu = made.menu_for(made.chats.index_of("pinned"))
    words = [action.text() for action in menu.actions()]
    assert "Unpin" in words and "Move to folder" in words
    with qtbot.waitSignal(made.wanted) as wanted:
        next(action for action in menu.actions() if action.text() == "Unpin").trigger()
    assert wanted.args == ["unpin", "pinned"]
    folder_menu = made.menu_for(made.chats.index(2))
    with qtbot.waitSignal(made.folder_renamed) as renamed:
        next(action for action in folder_menu.actions() if action.text().startswith("Dissolve")).trigger()
    assert renamed.args == ["合同审阅", ""]
    assert made.menu_for(QModelIndex()).actions()


def test_thousand_conversations_are_listed_without_touching_more_than_their_rows(qapp: QApplication) -> None:
    model = ChatsModel()
    model.set_chats([chat(str(n), updated=time.time() - n) for n in range(1000)])
    assert len(model.chat_ids()) == 1000
    assert model.chat_ids()[0] == "0"
