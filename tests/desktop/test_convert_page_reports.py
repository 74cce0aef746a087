"""Reports on the convert page: verdict, bars with thresholds, the next step, whatever a file says."""

from __future__ import annotations

from typing import Any, cast

import pytest
from convert_page_kit import asked, quality, report, shown, words
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot
from window_kit import job_row, model_row

from desktop.desk import Desk
from desktop.pages.convert import ConvertPage
from desktop.text import tr
from desktop.theme import theme
from desktop.widgets.conversion import reading
from desktop.widgets.conversion.quality_chart import QualityChart


@pytest.fixture
def page(qtbot: QtBot, desk: Desk) -> ConvertPage:
    return shown(qtbot, desk)


def test_a_report_gives_verdict_bars_before_and_after_and_the_next_step(page: ConvertPage) -> None:
    opened: list[tuple[str, dict[str, Any]]] = []
    page.desk.page_wanted.connect(lambda name, args: opened.append((name, args)))
    made: dict[str, Any] = {"path": "/out/a.gguf", "vocabulary": {"lines": 1131, "equal": 1131}}
    made["notes"] = [{"code": "no_smaller", "values": {}, "text": "No smaller."}, {"code": "", "text": "Other."}]
    listed = {"models": [model_row("a", installed=True, path="/out/a.gguf", quantization="Q4_K_M")]}
    page._show_with_model(report(), job_row("j", kind="convert", result=made), listed)
    said = words(page.report)
    assert page.report.badge.text() == "Usable"
    assert "Its Chinese is damaged." in page.report.verdict.text()
    for part in ("61 MB · 4.90 bits", "12.0 → 12.4", "100 → 150 tokens/s", "20 → 31 tokens/s", "400 MB → 150 MB"):
        assert part in said
    assert "1,131 of 1,131 lines agree" in said
    assert tr("convert_notes.no_smaller") in page.report.notes.text()
    assert "Other." in page.report.notes.text()
    assert len(page.report.findChildren(QualityChart)) == 3
    page.report.chat_button.click()
    assert opened == [("chat", {"model": "a"})]


def test_a_model_that_cannot_chat_has_no_such_button(page: ConvertPage) -> None:
    row = model_row("a", installed=True, path="/out/a.gguf", kind="embedding")
    made = job_row("j", kind="convert", result={"path": "/out/a.gguf"})
    page._show_with_model(report(quality=None), made, {"models": [row]})
    assert not page.report.chat_button.isVisible()
    assert page.report.verdict.text() == tr("convert_page.not_measured_kind")
    assert "A plain warning." in page.report.notes.text()
    assert page.report.show_button.isVisible()


def test_a_comparison_is_shown_as_a_report(page: ConvertPage) -> None:
    job = job_row("c", kind="compare", state="done", result=quality(verdict="good"), params={"b": "/x/b.gguf"})
    page.desk.client.broadcast.emit({"event": "job", **job})
    assert page.report.badge.text() == "Good"
    assert "b.gguf" in page.report.title.text()


def test_bars_have_grades_and_the_thresholds_are_drawn(qtbot: QtBot, desk: Desk) -> None:
    chart = QualityChart("kl_mean", quality())
    qtbot.addWidget(chart)
    assert [(bar.language, bar.grade) for bar in chart.bars] == [("", "good"), ("zh", "damaged"), ("en", "good")]
    chart.resize(400, chart.sizeHint().height())
    picture = chart.grab().toImage()
    colours = {QColor(picture.pixel(x, y)).name() for x in range(picture.width()) for y in range(picture.height())}
    assert {theme().accent.lower(), theme().red.lower()} <= colours
    assert "Chinese: 0.600" in chart.accessibleDescription()
    assert "Good up to 0.1" in chart.accessibleDescription()
    assert 0 < chart.part(0.1) < chart.part(0.5) < 1
    top = QualityChart("top1", quality())
    qtbot.addWidget(top)
    assert top.part(0.88) == pytest.approx(0.88)
    assert top.limit_words() == "Good from 88 %, usable from 70 %"


def test_the_limits_are_those_of_the_report_and_of_the_measurement() -> None:
    from convert import compare

    assert reading.THRESHOLDS == compare.THRESHOLDS
    assert reading.limits({"thresholds": {"kl_mean": [0.2, 0.7]}}, "kl_mean") == (0.2, 0.7)
    assert reading.limits({"thresholds": {"kl_mean": "nothing"}}, "kl_mean") == (0.1, 0.5)


def test_bars_are_those_that_the_report_tells_of() -> None:
    from convert.report import bars as told

    ours = [bar for figure in reading.THRESHOLDS for bar in reading.bars(quality(), figure)]
    theirs = {(bar["figure"], bar["language"]): bar for bar in told({"quality": quality()})}
    assert len(ours) == len(theirs)
    for bar in ours:
        assert theirs[bar.figure, bar.language]["grade"] == bar.grade
        assert theirs[bar.figure, bar.language]["value"] == bar.value


@pytest.mark.parametrize(
    "hostile",
    [
        {},
        {"quality": "x", "result": 3, "warnings": "no"},
        {"quality": {"kl_mean": float("nan")}},
        {"quality": {"kl_mean": 1e300, "kl_mean_low": None, "languages": [1], "verdict": "<b>", "speed": 4}},
        {"quality": {"kl_mean": 0.1, "languages": {"zh": 5}, "reasons": [None, "x"], "thresholds": {"kl_mean": [1]}}},
        {"quality": quality(verdict=["x"]), "result": {"bytes": "many", "bits": True}, "warnings": [{"a": 1}]},
    ],
)
def test_a_hostile_report_is_shown_as_far_as_it_goes(page: ConvertPage, hostile: dict[str, Any]) -> None:
    page._show_report(hostile, "/x/<img src=x>.gguf", "", {})
    for chart in page.report.findChildren(QualityChart):
        chart.grab()
    assert page.report.title.text().endswith("<img src=x>.gguf")
    assert page.report.isVisible()


def test_recent_reports_are_listed_by_age_and_open(page: ConvertPage) -> None:
    rows = [model_row(name, installed=True, path=f"/out/{name}.gguf") for name in ("a", "b")]
    page._take_models({"models": rows})
    assert [told["path"] for told in asked(page, "convert.report")] == ["/out/a.gguf", "/out/b.gguf"]
    page._take_report(cast(Any, rows[0]), report(made="2026-01-01"))
    page._take_report(cast(Any, rows[1]), report(made="2026-02-01", quality=None))
    shown = [page.recent.list.item(number).text() for number in range(page.recent.list.count())]
    assert shown == ["B · Q4_K_M · 61 MB · Not measured yet", "A · Q4_K_M · 61 MB · Usable"]
    page.recent.list.setCurrentRow(1)
    QTest.keyClick(page.recent.list, Qt.Key.Key_Return)
    assert page.report.title.text() == "Report · a.gguf"
    page._take_models({"models": []})
    assert not page.recent.isVisible()
