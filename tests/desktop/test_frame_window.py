"""The window as a whole: opening, pages, language, theme, palette, toasts, banner, bugs, the real engine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QToolButton
from pytestqt.qtbot import QtBot
from window_kit import MakeClient

from desktop.about import About, licence_text
from desktop.bugs import BugCatcher
from desktop.desk import Desk
from desktop.page import BrokenPage
from desktop.pages.models import ModelsPage
from desktop.pages.welcome import WelcomePage
from desktop.palette import Palette
from desktop.text import language
from desktop.theme import theme
from desktop.window import Window
from engine.api.settings import Settings, load_settings, save_settings

STARTED = Settings(first_start_done=True)


@pytest.fixture
def window(qtbot: QtBot, desk: Desk) -> Iterator[Window]:
    """A window past its first start, its engine not started."""
    desk.settings = STARTED
    made = Window(desk)
    qtbot.addWidget(made)
    made.show()
    yield made
    made.close()


def test_the_first_start_shows_the_welcome_page_alone(qtbot: QtBot, desk: Desk) -> None:
    window = Window(desk)
    qtbot.addWidget(window)
    window.show()
    assert window.current == "welcome"
    assert isinstance(window.built["welcome"], WelcomePage)
    assert window._rail is not None
    assert window._rail.isHidden()


def test_pages_are_built_when_first_opened_and_kept(desk: Desk, window: Window) -> None:
    assert set(window.built) == {"chat"}
    desk.open_page("models", query="qwen")
    page = desk.page("models")
    assert isinstance(page, ModelsPage)
    assert page.search.text() == "qwen"
    desk.open_page("jobs")
    desk.open_page("models")
    assert desk.page("models") is page
    desk.open_page("no such page")
    assert window.current == "models"


def test_only_pages_that_exist_stand_on_the_rail(window: Window) -> None:
    assert window._rail is not None
    assert set(window._rail.buttons) == {page.id for page in window.pages if page.place != "none"}
    button = window._rail.buttons["models"]
    assert "Ctrl+3" in button.toolTip()
    assert button.accessibleName() == "Models"


def test_the_rail_is_wide_by_setting(qtbot: QtBot, desk: Desk, window: Window) -> None:
    assert window._rail is not None
    assert window._rail.width() == 56
    desk.set(rail_wide=True)
    assert window._rail.width() > 150
    style = window._rail.buttons["models"].toolButtonStyle()
    assert style == Qt.ToolButtonStyle.ToolButtonTextBesideIcon


def test_shortcuts_open_pages(qtbot: QtBot, window: Window) -> None:
    for action in window.actions():
        if action.data() == "settings.open":
            assert action.shortcut().toString() == "Ctrl+,"
            action.trigger()
    assert window.current == "settings"


def test_another_language_applies_at_once_and_keeps_the_page(desk: Desk, window: Window) -> None:
    desk.open_page("models", query="qwen")
    desk.set(language="zh")
    assert language() == "zh"
    assert window.current == "models"
    page = desk.page("models")
    assert isinstance(page, ModelsPage)
    assert page.search.text() == "qwen"
    assert page.search.placeholderText() == "搜索目录，或粘贴 Hugging Face 名称"
    assert window._rail is not None
    assert window._rail.buttons["models"].accessibleName() == "模型"


def test_another_theme_applies_at_once(desk: Desk, window: Window) -> None:
    desk.set(theme="dark")
    assert theme().dark
    desk.set(theme="light")
    assert not theme().dark


def test_the_palette_runs_the_chosen_action_by_keyboard_alone(qtbot: QtBot, desk: Desk, window: Window) -> None:
    palette = Palette(desk, window)
    palette.show()
    QTest.keyClicks(palette.field, "open jobs")
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.current == "jobs"


def test_the_palette_moves_with_the_arrows_and_understands_both_languages(
    qtbot: QtBot, desk: Desk, window: Window
) -> None:
    palette = Palette(desk, window)
    palette.show()
    assert palette.list.count() == len(desk.actions) - 1
    QTest.keyClick(palette.field, Qt.Key.Key_Down)
    assert palette.list.currentRow() == 1
    palette.field.setText("打开设置")
    QTest.keyClick(palette.field, Qt.Key.Key_Return)
    assert window.current == "settings"


def test_a_toast_offers_undo_once_and_three_stand_at_most(qtbot: QtBot, desk: Desk, window: Window) -> None:
    undone: list[int] = []
    desk.toast("Deleted", lambda: undone.append(1))
    QTest.mouseClick(window.toasts.findChildren(QPushButton)[0], Qt.MouseButton.LeftButton)
    assert undone == [1]
    for number in range(5):
        desk.toast(f"Toast {number}")
    assert window.toasts.texts() == ["Toast 2", "Toast 3", "Toast 4"]


def test_geometry_is_remembered_in_the_home(qtbot: QtBot, desk: Desk, home: Path) -> None:
    desk.settings = STARTED
    first = Window(desk)
    first.resize(780, 600)
    first.show()
    first.close()
    assert (home / "window.ini").is_file()
    second = Window(desk)
    qtbot.addWidget(second)
    second.show()
    assert (second.width(), second.height()) == (780, 600)


def test_every_page_fits_a_window_of_1024_by_700(qtbot: QtBot, desk: Desk, window: Window) -> None:
    window.resize(1024, 700)
    for page in window.pages:
        desk.open_page(page.id)
        qtbot.wait(20)
        assert (window.width(), window.height()) == (1024, 700), page.id


# What the window asks once it is back must not end the second engine too: it would die until it is given up.
DIES_ONCE = """
import pathlib
greet()
ask()
died = pathlib.Path(__file__).with_suffix(".died")
if not died.exists():
    died.touch()
    sys.exit(1)
while True: ask()
"""


def test_the_banner_says_that_the_engine_restarts_and_goes(qtbot: QtBot, peer: MakeClient) -> None:
    client = peer(DIES_ONCE)
    desk = Desk(client)
    desk.settings = STARTED
    window = Window(desk)
    qtbot.addWidget(window)
    window.show()
    said: list[str] = []
    client.state_changed.connect(lambda state: said.append(window.banner.text()))
    client.start()
    client.call("anything")
    qtbot.waitUntil(lambda: any("restarted" in text for text in said), timeout=20_000)
    qtbot.waitUntil(lambda: client.state == "ready" and window.banner.text() == "", timeout=20_000)
    window.close()
    assert client.state == "closed"


def test_a_folder_in_use_is_told_with_a_restart_button(qtbot: QtBot, peer: MakeClient) -> None:
    fatal = {"code": "engine_running", "text": "x", "hint": "y", "values": {}}
    client = peer(f'say({{"event": "fatal", "error": {fatal!r}}}); sys.exit(2)')
    window = Window(Desk(client))
    qtbot.addWidget(window)
    window.show()
    client.start()
    qtbot.waitUntil(lambda: "Another Deskside" in window.banner.text(), timeout=20_000)
    window.close()


def test_a_rescued_database_is_told_until_dismissed(qtbot: QtBot, peer: MakeClient) -> None:
    greeting = '{"version": "1", "recovered": {"old": "old.db", "reason": "x"}}'
    script = f'h = ask(); say({{"id": h["id"], "result": json.loads({greeting!r})}}); ask()'
    client = peer(script)
    window = Window(Desk(client))
    qtbot.addWidget(window)
    window.show()
    client.start()
    qtbot.waitUntil(lambda: "old.db" in window.banner.text(), timeout=20_000)
    QTest.mouseClick(window.banner.findChildren(QToolButton)[0], Qt.MouseButton.LeftButton)
    assert window.banner.text() == ""
    window.close()


def test_a_bug_shows_one_dialog_whose_report_can_be_copied(qtbot: QtBot, qapp: QApplication, home: Path) -> None:
    catcher = BugCatcher(None)
    for _ in range(2):
        try:
            raise ZeroDivisionError("a bug")
        except ZeroDivisionError:
            catcher(*bug_of_now())
    assert catcher.dialog is not None
    qtbot.addWidget(catcher.dialog)
    QTest.mouseClick(catcher.dialog.copy, Qt.MouseButton.LeftButton)
    assert "ZeroDivisionError: a bug" in QGuiApplication.clipboard().text()
    assert (home / "logs" / "window.log").read_text(encoding="utf-8").count("ZeroDivisionError: a bug") == 2
    catcher.dialog.close()
    assert catcher.dialog is None


def bug_of_now() -> Any:
    return sys.exc_info()


def test_about_names_every_library_with_its_licence(qtbot: QtBot, desk: Desk, window: Window) -> None:
    about = About(desk, window)
    qtbot.addWidget(about)
    lines = licence_text().splitlines()
    unknown = [line for line in lines[1:12] if not line.partition(" · ")[2]]
    assert unknown == []
    assert "ISC License" in licence_text()


def test_a_page_that_cannot_be_imported_says_so_and_spares_the_window(qtbot: QtBot, desk: Desk) -> None:
    page = BrokenPage(desk, "train", ImportError("no module named torch"))
    qtbot.addWidget(page)
    assert "no module named torch" in [label.text() for label in page.findChildren(QLabel)]


def test_settings_go_to_the_real_engine_and_back(qtbot: QtBot, real_desk: Desk, home: Path) -> None:
    real_desk.set(font_size=16, theme="dark")
    qtbot.waitUntil(lambda: load_settings().font_size == 16, timeout=20_000)
    assert load_settings().theme == "dark"


def test_a_setting_the_engine_refuses_is_taken_back(qtbot: QtBot, desk: Desk) -> None:
    said: list[str] = []
    desk.toast_wanted.connect(lambda text, undo: said.append(text))
    desk.set(font_size=99)
    assert desk.settings.font_size == 14
    assert said


def test_the_models_page_shows_the_real_catalogue_and_adds_a_real_file(
    qtbot: QtBot, real_desk: Desk, smollm2: Path
) -> None:
    save_settings(STARTED)
    real_desk.settings = STARTED
    window = Window(real_desk)
    qtbot.addWidget(window)
    window.show()
    real_desk.open_page("models")
    page = real_desk.page("models")
    assert isinstance(page, ModelsPage)
    qtbot.waitUntil(lambda: "smollm2-135m-instruct" in page.cards, timeout=30_000)
    page.add_file(str(smollm2))
    qtbot.waitUntil(lambda: any(card.row["installed"] for card in page.cards.values()), timeout=30_000)
    qtbot.waitUntil(lambda: not page.hardware.isHidden(), timeout=30_000)
    assert window.toasts.texts()[0].startswith("Added")
    window.close()
