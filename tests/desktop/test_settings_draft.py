"""The draft model on the settings page: which can be chosen, and what is said of the one that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pytestqt.qtbot import QtBot
from window_kit import model_row

from desktop.desk import Desk
from desktop.pages.settings import SettingsPage
from desktop.preferences.memory import parts_of
from desktop.preferences.model_choice import ModelChoice, draft_words
from desktop.text import set_language

SMALL: Any = model_row("small", installed=True, bytes=10_000_000)
BIG: Any = model_row("big", installed=True, bytes=99_000_000)
OTHERS: list[Any] = [
    model_row("far", installed=True, source="remote"),
    model_row("not-here"),
    model_row("broken", installed=True, problem="damaged_model"),
    model_row("embedder", installed=True, kind="embedding"),
]


def offered(choice: ModelChoice) -> list[str]:
    return [choice.itemData(at) for at in range(choice.count())]


def test_models_that_can_write_here_are_offered_small_ones_first(qtbot: QtBot) -> None:
    choice = ModelChoice("None")
    qtbot.addWidget(choice)
    choice.choose("small")
    assert offered(choice) == ["", "small"], "before the models are known"
    choice.set_models([BIG, *OTHERS, SMALL])
    assert offered(choice) == ["", "small", "big"]
    assert choice.currentData() == "small" and choice.currentText().startswith("Small")
    choice.set_models([BIG])
    assert choice.currentData() == "small" and choice.currentText() == "small", "it is gone, and still what was chosen"
    choice.choose("")
    assert choice.currentText() == "None"


def test_it_is_said_what_a_draft_takes_or_why_there_is_none(qtbot: QtBot) -> None:
    assert draft_words(None, None) == ("", "")
    assert draft_words(BIG, BIG["fit"]) == ("", "")
    assert draft_words(BIG, BIG["fit"] | {"draft": 50_000_000}) == ("dim", "Guesses for Big, and takes 50 MB more.")
    values = {"model": "Big", "draft": "Small", "detail": "5 / 6"}
    problem = {"code": "draft_mismatch", "text": "no", "hint": "", "values": values}
    tone, words = draft_words(BIG, BIG["fit"] | {"draft_problem": problem})
    assert tone == "amber" and words.startswith("Small cannot guess for Big")
    set_language("zh")
    assert draft_words(BIG, BIG["fit"] | {"draft_problem": problem})[1].startswith("Small 不能为 Big 预测")
    set_language("en")


def test_parts_that_are_not_there_are_not_shown() -> None:
    report: Any = BIG["fit"] | {"projector": 3, "draft": 5}
    assert parts_of(BIG["fit"]).keys() == {"weights", "kv_cache", "compute"}
    assert parts_of(report)["projector"] == 3 and parts_of(report)["draft"] == 5


def test_choosing_a_draft_that_cannot_help_says_so_at_once(qtbot: QtBot, real_desk: Desk, smollm2: Path) -> None:
    added: list[Any] = []
    real_desk.client.call("models.add", {"path": str(smollm2)}, result=added.append)
    qtbot.waitUntil(lambda: bool(added), timeout=20_000)
    model = added[0]["models"][0]["id"]
    page = SettingsPage(real_desk)
    qtbot.addWidget(page)
    page.show()
    page.opened()
    choice = page.controls["draft_model"].widget
    assert isinstance(choice, ModelChoice)
    qtbot.waitUntil(lambda: offered(choice) == ["", model], timeout=20_000)
    assert not page.draft_note.isVisible() and not page.memory.parts["draft"].isVisible()
    page.controls["draft_model"].changed(model)
    qtbot.waitUntil(lambda: "is not smaller than" in page.draft_note.text(), timeout=20_000)
    assert page.draft_note.isVisible() and choice.currentData() == model
    real_desk.set(guess_ahead=False)
    qtbot.waitUntil(lambda: not page.draft_note.isVisible(), timeout=20_000)
    assert not choice.isEnabled()
