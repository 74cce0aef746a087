"""What the convert page offers beyond the usual, fed by hand: what stands behind a word, eyes, weights of a merge."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from convert_page_kit import asked, feed, shown, source, words
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot
from window_kit import job_row

from convert.note import note, spoken, told
from desktop.desk import Desk
from desktop.pages.convert import ConvertPage
from desktop.text import error_text, set_language
from desktop.widgets.conversion.tensors_dialog import TensorsDialog
from engine.api.errors import UserError


@pytest.fixture
def page(qtbot: QtBot, desk: Desk) -> ConvertPage:
    return shown(qtbot, desk)


def test_what_few_people_need_stands_behind_one_word(page: ConvertPage) -> None:
    feed(page)
    extras = page.form.extras
    assert not extras.split.isVisible()
    extras.header.setFocus()
    QTest.keyClick(extras.header, Qt.Key.Key_Space)
    assert extras.split.isVisible()
    assert not extras.lines["keep_split"].isVisible(), "a checkpoint becomes one file, or parts of a size"
    assert not extras.lines["keep_source"].isVisible(), "nothing is downloaded"
    cast(Any, extras.lines["overrides"].control).setText(" attn_v=Q6_K ; ffn_down=Q5_K;")
    cast(Any, extras.lines["report_text"].control).setText("/texts/own.txt")
    cast(Any, extras.lines["report_chunks"].control).setValue(10_240)
    wanted: dict[str, Any] = {"overrides": [["attn_v", "Q6_K"], ["ffn_down", "Q5_K"]], "report_text": "/texts/own.txt"}
    wanted |= {"report_chunks": 20, "override_vocabulary": False, "report": True}
    told = page.form.params()
    assert {name: told.get(name) for name in wanted} == wanted
    assert "split_bytes" not in told
    extras.split.click()
    extras.limit.setValue(2.5)
    told = page.form.params()
    assert (told["split_bytes"], told["report"]) == (2_500_000_000, False)
    assert not page.form.measure.isEnabled()
    feed(page, kind="gguf", can=["quantize"], files=3)
    assert page.form.params()["keep_split"] is True
    assert "split_bytes" not in page.form.params()
    feed(page, kind="hub", can=["gguf"])
    assert page.form.params()["keep_source"] is True


def test_every_field_can_be_reached_and_has_a_name(page: ConvertPage) -> None:
    kinds = [("gguf", ["quantize", "imatrix", "compare", "to_hf", "prune", "residual"])]
    kinds += [("checkpoint", ["gguf", "onnx", "merge", "lowrank", "residual", "projector"])]
    seen = set()
    for kind, can in kinds:
        feed(page, kind=kind, can=can)
        for name in page.tabs:
            page.open_door(name)
            lines = page.door.lines if page.door else page.form.extras.lines
            for line in lines.values():
                assert line.control.accessibleName()
                assert line.control.focusPolicy() & Qt.FocusPolicy.TabFocus
                seen.add(line.field.name)
    assert {"of", "weights", "densities", "overrides", "report_text", "imatrix", "chunks"} <= seen


def test_eyes_become_a_file_beside_the_model(page: ConvertPage) -> None:
    page.source = "/models/Eyes"
    page.show_source(source(name="Eyes", can=["onnx", "projector"], refused={"reason": "", "way": "", "nearest": ""}))
    assert page.door is not None
    assert page.door.door.id == "projector"
    page.door.start_button.click()
    (told,) = asked(page, "convert.start")
    wanted = {"projector": True, "type": "f16", "source": "/models/Eyes", "out": "/models/mmproj-Eyes.gguf"}
    assert (told["kind"], told["params"]) == ("convert", wanted)
    result = {"path": "/models/mmproj-Eyes.gguf", "bytes": 9_000_000}
    page.show_finished(job_row("a", kind="convert", state="done", params=told["params"], result=result))
    assert page.report.title.text() == "Projector · mmproj-Eyes.gguf"
    assert "pictures" in page.report.verdict.text()


def test_a_base_is_asked_for_only_where_it_is_needed(page: ConvertPage) -> None:
    page.source = "/models/one"
    page.show_source(source(name="one", can=["gguf", "merge", "residual"]))
    page.open_door("merge")
    assert page.door is not None
    fields = cast(Any, page.door.fields)
    fields["others"].setText("/models/two")
    assert not fields["base"].isVisible()
    fields["method"].setCurrentIndex(2)
    assert fields["base"].isVisible()
    page.door.start()
    assert "Base model's folder" in page.door.missing.text()
    fields["base"].setText("/models/base")
    fields["weights"].setText("1; 0,5")
    fields["densities"].setText("0.3")
    told = page.door.params()
    first, second = told["models"]
    assert first == {"path": "/models/one", "weight": "1", "density": "0.3"}
    assert second == {"path": "/models/two", "weight": "0.5"}
    assert (told["base"], told["method"]) == ("/models/base", "ties")
    fields["others"].setText("someone/two")
    assert page.door.params()["models"][1]["path"] == "someone/two", "a name on a hub stays one"
    page.open_door("residual")
    cast(Any, page.door.fields["of"]).setText("/models/one-Q4_K_M.gguf")
    told = page.door.params()
    assert (told["of"], told["rank"], told["report"]) == ("/models/one-Q4_K_M.gguf", 0.9, True)
    assert told["out"] == "/models/one-residual.gguf"


def test_what_is_finished_on_a_hub_is_downloaded(page: ConvertPage) -> None:
    opened: list[tuple[str, dict[str, object]]] = []
    page.desk.page_wanted.connect(lambda name, args: opened.append((name, args)))
    page.source = "someone/tiny-gguf"
    page.show_source(source(kind="hub", name="someone/tiny-gguf", can=["download"]))
    assert "finished GGUF files" in words(page.card)
    next(b for b in page.card.findChildren(QAbstractButton) if b.text() == "Find someone/tiny-gguf").click()
    assert opened == [("models", {"query": "someone/tiny-gguf"})]


def test_reasons_and_notes_are_said_in_the_language_of_the_window(page: ConvertPage, qtbot: QtBot) -> None:
    set_language("zh")
    reason = spoken(note("no_number", "{name} is no number: {value}", name="weight", value="'x'"))
    error = UserError.from_json(json.loads(json.dumps(UserError("bad_merge", "T.", reason=reason).to_json())))
    assert error_text(error)[0] == "这些模型不能这样合并：weight 不是数字：'x'。请修改后重试。"
    told_note = told([note("instead_of", "instead of {wanted}: its rows do not fit", wanted="Q4_K")])[0]
    row = {"name": "a", "shape": [64, 96], "type": "Q5_0", "bytes": 9, "note": "English", "told": told_note}
    dialog = TensorsDialog(page, {"tensors": [row], "bytes": 9, "bits": 5.5, "notes": []}, "Q4_K_M")
    qtbot.addWidget(dialog)
    assert dialog.model.data(dialog.model.index(0, 4)) == "代替 Q4_K：它的行长度不合适"
