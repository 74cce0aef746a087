"""Words, colours, icons, actions: what every part of the window is checked for."""

from __future__ import annotations

import dataclasses
import re
import string
from pathlib import Path

import pytest
from PySide6.QtGui import QKeySequence
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from desktop import text
from desktop.actions import Action
from desktop.frame_actions import FRAME_ACTIONS, MENU
from desktop.icons import FOLDER as ICONS
from desktop.icons import icon
from desktop.page import all_pages, page_actions
from desktop.palette import match
from desktop.theme import load_theme, style_sheet, theme, theme_keeper, theme_names
from engine.api.errors import UserError
from engine.api.settings import Settings

SURFACES = ("background", "surface", "side", "rail", "hover")
INKS = ("text", "dim", "faint", "accent", "amber", "red")
PAIRS = [("accent", "accent_soft"), ("amber", "amber_soft"), ("red", "red_soft"), ("text", "accent_soft")]
PAIRS += [("text", "amber_soft"), ("text", "red_soft"), ("on_accent", "accent"), ("on_accent", "accent_hover")]
PAIRS += [("text", "pressed"), ("dim", "pressed"), ("background", "text")]


@pytest.fixture(autouse=True)
def english() -> None:
    text.set_language("en")


def test_every_language_has_the_same_keys() -> None:
    missing = {name: set(text.words("en")) ^ set(text.words(name)) for name in text.LANGUAGES}
    assert missing == {name: set() for name in text.LANGUAGES}


def test_every_text_has_the_same_placeholders_in_every_language() -> None:
    different = []
    for key, english in text.words("en").items():
        wanted = placeholders(english)
        different += [key for name in text.LANGUAGES if placeholders(text.words(name).get(key, "")) != wanted]
    assert different == []


def placeholders(words: str) -> set[str]:
    """Names of what is filled in; a value that comes in each language (reason_en, reason_zh) is one."""
    names = {name for _, name, _, _ in string.Formatter().parse(words) if name}
    return {re.sub(r"_(en|zh)$", "", name) for name in names}


def test_every_shown_setting_and_choice_has_words() -> None:
    wanted = []
    for setting in dataclasses.fields(Settings):
        if setting.metadata.get("shown", True):
            wanted += [setting.name, f"section_{setting.metadata['section']}"]
            wanted += [f"{setting.name}_{choice or 'system'}" for choice in setting.metadata.get("choices", ())]
    assert [key for key in wanted if text.find(f"settings.{key}") is None] == []


def test_the_chinese_words_are_chinese() -> None:
    same = {"frame.action_language", "settings.language_en", "models.source_hub", "models.fact_sha256", "jobs.unit_"}
    same.add("models.list_comma")
    mine = ("frame.", "models.", "jobs.", "settings.", "welcome.")
    english, chinese = text.words("en"), text.words("zh")
    untranslated = {key for key in chinese if key.startswith(mine) and not any("一" <= c <= "鿿" for c in chinese[key])}
    assert untranslated <= same
    assert chinese["models.download"] != english["models.download"]


def test_an_error_is_translated_by_its_code_and_falls_back_to_its_own_english() -> None:
    text.set_language("zh")
    assert "theme" in text.error_text(UserError("bad_setting", "No.", name="theme"))[0]
    assert text.error_text(UserError("never_heard", "It broke.", "Mend it.")) == ("It broke.", "Mend it.")


def test_a_missing_value_or_key_shows_instead_of_raising() -> None:
    assert text.tr("frame.seconds") == "{count} s"
    assert text.tr("nowhere.nothing") == "nowhere.nothing"


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ("98 MB", "5.0 GB", "2 min 13 s", "0.4 s", "3 h 5 min", "8K", "32K", "131K")),
        ("zh", ("98 MB", "5.0 GB", "2 分 13 秒", "0.4 秒", "3 小时 5 分", "8 千", "3.2 万", "13.1 万")),
    ],
)
def test_figures_read_as_people_write_them(language: str, expected: tuple[str, ...]) -> None:
    text.set_language(language)
    spans = [text.duration_text(seconds) for seconds in (133, 0.4, 11_100)]
    counts = [text.count_text(count) for count in (8192, 32_768, 131_072)]
    assert (text.bytes_text(98_362_432), text.bytes_text(5_030_000_000), *spans, *counts) == expected
    assert text.part_text(1.42e9, 2.5e9) == "1.42 / 2.50 GB"


def test_the_system_language_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    text.set_language("")
    assert text.language() == "zh"
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    text.set_language("")
    assert text.language() == "en"


@pytest.mark.parametrize("name", theme_names())
def test_every_ink_is_readable_on_every_surface(name: str) -> None:
    colours = load_theme(name)
    pairs = [(ink, surface) for ink in INKS for surface in SURFACES] + PAIRS
    found = {pair: contrast(getattr(colours, pair[0]), getattr(colours, pair[1])) for pair in pairs}
    assert {pair: ratio for pair, ratio in found.items() if ratio < 4.5} == {}


def contrast(ink: str, surface: str) -> float:
    """WCAG 2 contrast ratio of two "#RRGGBB"."""
    dark, light = sorted((luminance(ink), luminance(surface)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("name", theme_names())
def test_the_style_sheet_names_only_known_colours_and_pictures(name: str) -> None:
    sheet = style_sheet(load_theme(name), 14)
    assert "$" not in sheet
    pictures = [part.split(")")[0] for part in sheet.split("url(")[1:]]
    assert pictures
    assert [picture for picture in pictures if not Path(picture).is_file()] == []


@pytest.mark.parametrize("state", ["hover", "pressed", "focus", "disabled"])
def test_buttons_and_fields_show_every_state(state: str) -> None:
    sheet = style_sheet(load_theme("light"), 14)
    wanted = ["QPushButton", 'QPushButton[kind="main"]', 'QPushButton[kind="quiet"]', "QToolButton"]
    wanted += [] if state == "pressed" else ["QLineEdit", "QSpinBox", "QComboBox"]
    assert [widget for widget in wanted if f"{widget}:{state}" not in sheet] == []


def test_the_theme_changes_once_and_reaches_the_application(qapp: QApplication, qtbot: QtBot) -> None:
    keeper = theme_keeper()
    keeper.apply("light", 14)
    with qtbot.waitSignal(keeper.changed):
        keeper.apply("dark", 16)
    assert theme().dark
    assert qapp.palette().window().color() == theme().colour("background")
    assert qapp.font().pixelSize() == 16
    with qtbot.assertNotEmitted(keeper.changed):
        keeper.apply("dark", 16)
    keeper.apply("light", 14)


def test_icons_are_tinted_and_sharp_on_fine_screens(qapp: QApplication) -> None:
    drawn = icon("box", "accent").pixmap(20, 20).toImage()
    tint = theme().colour("accent")
    inked = [drawn.pixelColor(x, y) for x in range(20) for y in range(20) if drawn.pixelColor(x, y).alpha() > 250]
    assert inked
    assert all(abs(c.red() - tint.red()) + abs(c.green() - tint.green()) < 8 for c in inked)
    fine = icon("box").pixmap(icon("box").availableSizes()[0], 2.0)
    assert (fine.width(), fine.devicePixelRatio()) == (40, 2.0)


def test_the_icons_of_the_pages_are_there_with_their_licence() -> None:
    missing = [page.icon for page in all_pages() if not (ICONS / f"{page.icon}.svg").is_file()]
    assert missing == []
    assert "ISC License" in (ICONS / "LICENSE").read_text(encoding="utf-8")


def all_actions() -> list[Action]:
    return [*FRAME_ACTIONS, *page_actions()]


def test_no_shortcut_and_no_id_is_given_twice(qapp: QApplication) -> None:
    keys = [QKeySequence(action.shortcut).toString() for action in all_actions() if action.shortcut]
    assert sorted(keys) == sorted(set(keys))
    assert "" not in keys
    ids = [action.id for action in all_actions()]
    assert sorted(ids) == sorted(set(ids))
    assert set(MENU) <= set(ids)


@pytest.mark.parametrize("language", text.LANGUAGES)
def test_every_action_and_page_has_words(language: str) -> None:
    text.set_language(language)
    wordless = [action.id for action in all_actions() if action.label.startswith(action.id.partition(".")[0] + ".")]
    wordless += [page.id for page in all_pages() if page.label == f"{page.id}.page"]
    assert wordless == []


def test_the_palette_prefers_what_begins_with_the_letters() -> None:
    assert match("la", "Larger text") > match("la", "Switch between light and dark") > 0
    assert match("xyz", "Larger text") == 0
    assert match("放大", "放大文字") > 0
    assert match("", "anything") > 0
