"""The convert page fed by hand: what a source is, what it can become, what jobs are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from convert_page_kit import asked, feed, report, shown, source, target, targets, words
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QBoxLayout
from pytestqt.qtbot import QtBot
from window_kit import job_row

from desktop.desk import Desk
from desktop.pages.convert import ConvertPage, whole
from desktop.text import LANGUAGES, find, set_language, tr
from desktop.theme import theme_keeper
from desktop.widgets.conversion.choosing import bare_name, best_under, expected, home_of, recommended, usual
from desktop.widgets.conversion.doors import DOORS, doors_for
from desktop.widgets.conversion.tensors_dialog import TensorsDialog
from engine.api.errors import UserError


@pytest.fixture
def page(qtbot: QtBot, desk: Desk) -> ConvertPage:
    return shown(qtbot, desk)


def test_a_source_says_what_it_is_and_what_it_can_become(page: ConvertPage) -> None:
    feed(page)
    said = words(page.card)
    for part in ("Small-1B", "llama family", "1.1 B parameters", "F16", "200 MB", "context 8K", "mit", "2 files"):
        assert part in said
    assert list(page.tabs) == ["gguf", "onnx", "merge"]
    assert page.form.isVisible()
    assert not page.field.isVisible()
    assert page.form.targets.type == "Q4_K_M"
    assert page.form.place.path() == "/models/Small-1B-Q4_K_M.gguf"


def test_a_packed_source_says_how(page: ConvertPage) -> None:
    feed(page, quantized="gptq")
    assert "packed by gptq" in words(page.card)


def test_a_refused_source_names_the_reason_and_the_way(page: ConvertPage) -> None:
    refused = {"reason": "No network.", "reason_zh": "没有网络。", "way": "onnx", "nearest": "Pythia"}
    opened: list[tuple[str, dict[str, Any]]] = []
    page.desk.page_wanted.connect(lambda name, args: opened.append((name, args)))
    page.source = "/models/opt"
    page.show_source(source(can=["onnx"], refused=refused, family="", architecture="OPTForCausalLM"))
    said = words(page.card)
    assert "OPTForCausalLM cannot become a GGUF model. No network. As ONNX it works" in said
    assert "Pythia" in said
    assert not page.form.isVisible()
    assert page.door is not None
    assert page.door.door.id == "onnx"
    next(b for b in page.card.findChildren(QAbstractButton) if b.text() == "Find Pythia").click()
    assert opened == [("models", {"query": "Pythia"})]
    set_language("zh")
    page.show_source(source(can=[], refused=refused, architecture="MossForCausalLM"))
    assert "没有网络。" in words(page.card)


def test_the_table_shows_bits_size_fit_and_what_to_expect(page: ConvertPage) -> None:
    feed(page)
    model = page.form.targets.model
    row = model.place("Q3_K_M")
    cells = [model.data(model.index(row, column)) for column in range(model.columnCount())]
    assert cells == ["Q3_K_M", "4.00", "50 MB", "fits", "usable · 0.102", "not needed"]
    assert model.place("IQ2_XXS") == -1
    page.form.targets.every.click()
    assert model.place("IQ2_XXS") >= 0
    assert page.form.targets.type == "Q4_K_M", "what was chosen stays chosen"
    header = [model.headerData(column, Qt.Orientation.Horizontal) for column in range(6)]
    assert header == ["Type", "Bits", "Size", "Here", "Expected (KL)", "Matrix"]


def test_small_models_are_said_to_lose_more(page: ConvertPage) -> None:
    feed(page)
    assert page.form.targets.words.text() == "Words."
    feed(page, parameters=135_000_000)
    assert tr("convert_page.small_lose") in page.form.targets.words.text()


def test_types_that_fall_back_say_what_they_would_be(page: ConvertPage) -> None:
    found = targets()
    found["targets"][4] |= {"bits": 6.16, "fallbacks": [["Q4_K", "Q5_0", 16], ["Q6_K", "Q8_0", 2]]}
    found["targets"][4] |= {"usual_bits": 4.89, "fallback_tensors": 18}
    page.source = "/models/x"
    page.show_source(source())
    page.show_targets(found)
    page.form.targets.choose("Q4_K_M")
    assert "Q4_K_M would be 6.16 bits here: 18 of 21 tensors" in page.form.targets.fallback.text()
    assert "Q5_0, Q8_0" in page.form.targets.fallback.text()
    page.form.targets.choose("Q8_0")
    assert not page.form.targets.fallback.isVisible()


def test_the_best_type_under_a_size_is_found(page: ConvertPage) -> None:
    feed(page)
    view = page.form.targets
    view.budget.click()
    view.limit.setValue(0.09)
    assert view.type == "Q6_K"
    view.limit.setValue(0.05)
    assert view.type == "Q3_K_M"
    view.limit.setValue(0.01)
    assert tr("convert_page.over_budget") in view.fallback.text()
    rows = targets()["targets"]
    assert best_under(rows, 60_000_000, True) == "IQ4_XS"
    assert best_under(rows, 10, False) == ""


def test_a_quantize_job_is_told_of_the_budget_and_the_name_says_it(page: ConvertPage) -> None:
    feed(page, kind="gguf", can=["quantize"])
    page.source = page.form.source = "/models/small.F16.gguf"
    page.form.targets.budget.click()
    page.form.targets.limit.setValue(0.07)
    told = page.form.params()
    assert (page.form.kind, told["budget_bytes"], told["report"]) == ("quantize", 70_000_000, True)
    assert told["out"].endswith("small-0.07GB.gguf")
    assert page.form.summary.text() == "small-0.07GB.gguf · at most 70 MB"
    assert not page.form.preview_button.isEnabled(), "which types it will have is not known yet"


def test_an_importance_matrix_is_none_built_in_a_collection_or_a_file(page: ConvertPage) -> None:
    feed(page)
    matrix = page.form.matrix
    assert page.form.params()["imatrix"] == ""
    matrix.show_collections([{"id": "c1", "name": "Papers", "indexed": 3}, {"id": "c2", "name": "Empty", "indexed": 0}])
    names = [matrix.itemText(number) for number in range(matrix.count())]
    assert any("Papers" in name for name in names)
    assert not any("Empty" in name for name in names)
    matrix.setCurrentIndex(1)
    matrix.activated.emit(1)
    assert {"imatrix": "auto", "text": "builtin"}.items() <= page.form.params().items()
    assert page.form.targets.model.matrix
    matrix.setCurrentIndex(2)
    assert matrix.params() == {"imatrix": "auto", "text": {"collection": "c1"}}
    matrix.take_file("/x/notes.txt")
    assert matrix.params() == {"imatrix": "auto", "text": "/x/notes.txt"}
    matrix.take_file("/x/imatrix.gguf")
    assert matrix.params() == {"imatrix": "/x/imatrix.gguf"}


def test_a_type_that_needs_a_matrix_gets_one(page: ConvertPage) -> None:
    feed(page)
    page.form.targets.choose("IQ2_XXS")
    assert page.form.params()["imatrix"] == "auto"
    matrix = page.form.matrix
    assert matrix.itemText(0) == tr("convert_page.importance_builtin")
    page.form.targets.choose("Q8_0")
    assert matrix.itemText(0) == tr("convert_page.importance_none")


def test_convert_begins_a_job_with_all_that_was_chosen(page: ConvertPage) -> None:
    feed(page)
    page.form.targets.choose("Q6_K")
    page.form.measure.setChecked(False)
    page.form.place.folder.setText("/out")
    page.form.place.name.setText("mine.gguf")
    page.form.place.name.textEdited.emit("mine.gguf")
    page.form.targets.choose("Q8_0")
    page.form.start_button.click()
    (told,) = asked(page, "convert.start")
    assert told["kind"] == "convert"
    wanted = {"source": "/models/Small-1B", "out": "/out/mine.gguf", "type": "Q8_0", "report": False, "imatrix": ""}
    assert wanted.items() <= told["params"].items()
    assert told["title"] == "Small-1B → Q8_0"


def test_a_preview_is_asked_for_and_shows_every_tensor(page: ConvertPage, qtbot: QtBot) -> None:
    feed(page)
    page.form.matrix.setCurrentIndex(1)
    page.form.preview_button.click()
    (told,) = asked(page, "convert.preview")
    assert told["params"]["imatrix"] == "", "nothing is measured for a preview"
    rows = [{"name": "blk.0.ffn", "shape": [64, 96], "from": "F16", "to": "Q8_0", "bytes": 6528, "fallback": "Q6_K"}]
    rows += [{"name": "norm", "shape": [64], "type": "F32", "bytes": 256, "source": "norm", "note": "always F32"}]
    dialog = TensorsDialog(page, {"tensors": rows, "bytes": 6784, "bits": 8.5, "notes": []}, "Q6_K")
    qtbot.addWidget(dialog)
    cells = [[dialog.model.data(dialog.model.index(row, column)) for column in range(5)] for row in range(2)]
    assert cells[0][:4] == ["blk.0.ffn", "64 x 96", "F16 → Q8_0", "7 KB"]
    assert "Q6_K" in cells[0][4]
    assert cells[1] == ["norm", "64", "F32", "256 B", "always F32"]
    assert dialog.summary.text() == "2 tensors, 7 KB as Q6_K, 8.50 bits a weight"


def test_what_is_there_already_can_be_replaced(page: ConvertPage) -> None:
    feed(page)
    page.form.start()
    refused = UserError("already_there", "It is there already.", "Choose another name.", name="a.gguf")
    page.show_error(refused, replace=lambda: page.start("convert", {"replace": True}, "x"))
    assert page.problem.isVisible()
    next(b for b in page.problem.findChildren(QAbstractButton) if b.text() == tr("convert_page.replace")).click()
    assert asked(page, "convert.start")[-1]["params"] == {"replace": True}


def test_a_dead_engine_can_be_asked_again_and_nothing_typed_is_lost(page: ConvertPage) -> None:
    page.look("/models/x")
    assert page.waiting.isVisible()
    page._failed(UserError("engine_died", "The engine stopped.", "Try again."))
    assert not page.waiting.isVisible()
    assert page.field.isVisible()
    assert page.field.field.text() == "/models/x"
    next(b for b in page.problem.findChildren(QAbstractButton) if b.text() == tr("convert_page.again")).click()
    assert [told["source"] for told in asked(page, "convert.look")] == ["/models/x", "/models/x"]


def test_an_answer_to_an_earlier_source_is_not_shown(page: ConvertPage) -> None:
    page.look("/models/first")
    first = page._turn
    page.look("/models/second")
    page._looked(first, source(name="First"))
    assert not page.found
    page._looked(page._turn, source(name="Second"))
    assert "Second" in words(page.card)


def test_a_model_is_dropped_or_typed(page: ConvertPage, tmp_path: Path) -> None:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page.field.dropEvent(QDropEvent(QPointF(5, 5), Qt.DropAction.CopyAction, mime, left, none))
    assert asked(page, "convert.look") == [{"source": str(tmp_path)}]
    page.change()
    page.field.field.setText("Qwen/Qwen3-0.6B")
    QTest.keyClick(page.field.field, Qt.Key.Key_Return)
    assert asked(page, "convert.look")[-1] == {"source": "Qwen/Qwen3-0.6B"}
    assert whole("~/x").startswith(str(Path.home()))


def test_jobs_of_conversion_are_shown_and_say_their_stage(page: ConvertPage) -> None:
    jobs = [job_row("a", kind="quantize"), job_row("b", kind="download"), job_row("c", kind="convert", state="done")]
    page._take_jobs({"jobs": jobs})
    assert list(page.jobs.cards) == ["a"]
    page.desk.client.broadcast.emit({"event": "job_note", "job": "a", "text": "compare", "level": "stage"})
    assert page.stage.text() == "Now: Comparing with the source"
    assert page.stage.isVisible()
    page.desk.client.broadcast.emit({"event": "job", **job_row("a", kind="quantize", state="interrupted")})
    assert not page.stage.isVisible()
    assert page.jobs.cards["a"].row["state"] == "interrupted"


def test_a_job_that_ended_while_the_window_was_closed_shows_its_result(page: ConvertPage) -> None:
    result = {"path": "/out/base-hf", "bytes": 17_000_000, "files": ["model.safetensors"], "family": "llama"}
    jobs = [job_row("old", kind="to_hf", state="done", created=1.0, result=result | {"path": "/out/old"})]
    jobs.append(job_row("new", kind="to_hf", state="done", created=2.0, result=result))
    page._take_jobs({"jobs": jobs})
    assert page.report.title.text() == "Checkpoint · base-hf"
    assert page.report.look_button.isVisible()
    assert not page.report.chat_button.isVisible()
    page.report.look_button.click()
    assert asked(page, "convert.look")[-1] == {"source": "/out/base-hf"}


def test_every_door_tells_its_job_what_it_needs(page: ConvertPage) -> None:
    page.source = "/models/lora"
    page.show_source(source(kind="adapter", name="lora", can=["adapter", "merge_adapter"], base="some/base"))
    assert page.door is not None
    page.door.start()
    assert "Base model's folder" in page.door.missing.text()
    cast(Any, page.door.fields["base"]).setText("/models/base")
    page.door.start()
    (told,) = asked(page, "convert.start")
    wanted = {"source": "/models/lora", "base": "/models/base", "out": "/models/lora-lora.gguf", "type": "f16"}
    assert (told["kind"], told["params"]) == ("adapter", wanted)
    page.open_door("merge_adapter")
    cast(Any, page.door.fields["base"]).setText("/models/base")
    merge = {"method": "adapter", "models": [{"path": "/models/lora"}], "base": "/models/base"}
    assert page.door.params() == merge | {"out": "/models/lora-merged"}


def test_merging_pruning_comparing_and_onnx_are_told_too(page: ConvertPage) -> None:
    page.source = "/models/one"
    page.show_source(source(name="one", can=["gguf", "onnx", "merge"]))
    page.open_door("merge")
    assert page.door is not None
    cast(Any, page.door.fields["others"]).setText("/models/two; /models/three")
    told = page.door.params()
    assert [model["path"] for model in told["models"]] == ["/models/one", "/models/two", "/models/three"]
    assert told["method"] == "linear"
    page.open_door("onnx")
    page.door.fields["int8"].click()  # type: ignore[attr-defined]
    assert page.door.params() == {"int8": True, "int4": False, "source": "/models/one", "out": "/models/one-onnx"}
    page.source = "/models/a.gguf"
    page.show_source(source(kind="gguf", name="A", can=["quantize", "imatrix", "compare", "to_hf", "prune"]))
    page.open_door("prune")
    assert page.door.fields["text"].isHidden() is False
    assert not page.door.fields["text"].isVisible(), "few people need it"
    pruned = {"layers": 1, "text": "builtin", "report": True, "model": "/models/a.gguf"}
    assert page.door.params() == pruned | {"out": "/models/a-pruned.gguf"}
    page.open_door("compare")
    cast(Any, page.door.fields["b"]).setText("/models/b.gguf")
    assert page.door.params() == {"b": "/models/b.gguf", "text": "builtin", "a": "/models/a.gguf"}
    assert not page.door.place.isVisible()
    page.open_door("gguf")
    assert page.door is None


def test_every_door_has_words_and_is_offered_by_what_look_says() -> None:
    for door in DOORS:
        keys = [f"door_{door.id}", f"door_{door.id}_hint", f"door_{door.id}_start"]
        keys += [f"field_{field.name}" for field in door.fields]
        keys += [f"choice_{choice}" for field in door.fields for choice in field.choices]
        assert [key for key in keys if find(f"convert_page.{key}") is None] == []
    assert [door.id for door in doors_for(source(can=["gguf", "prune"]))] == [], "a checkpoint is pruned as GGUF"


def test_what_is_recommended_depends_on_size_and_room() -> None:
    assert recommended(targets()) == "Q4_K_M"
    assert recommended(targets(parameters=135_000_000)) == "Q8_0"
    crowded = targets()
    for row in crowded["targets"]:
        row["fit"] = "fits" if row["bytes"] < 60_000_000 else "wont_fit"
    assert recommended(crowded) == "IQ4_XS"
    assert recommended(targets(targets=[])) == ""
    assert [row["type"] for row in usual(targets()["targets"], "F16")][:2] == ["F16", "Q8_0"]
    assert expected(target("x"), False) is None


def test_names_and_folders_that_are_proposed(tmp_path: Path) -> None:
    assert bare_name("SmolLM2-135M.Q4_1.gguf", ["Q4_1"]) == "SmolLM2-135M"
    assert bare_name("Qwen/Qwen3-0.6B", ["Q8_0"]) == "Qwen3-0.6B"
    assert bare_name("big-F16-00001-of-00003.gguf", []) == "big"
    own = tmp_path / "home" / "converted"
    assert home_of("/models/x", False, own) == "/models"
    assert home_of("Qwen/Qwen3", True, own) == str(own)
    assert home_of(str(tmp_path / "home" / "models" / "m" / "a.gguf"), False, own) == str(own)


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_clipped_in_a_narrow_window(qtbot: QtBot, desk: Desk, language: str, look: str) -> None:
    set_language(language)
    theme_keeper().apply(look, 14)
    page = ConvertPage(desk)
    qtbot.addWidget(page)
    page.resize(704, 520)
    page.show()
    feed(page)
    page._show_report(report(), "/out/a.gguf", "a", {})
    QTest.qWait(50)
    assert page._columns.direction() == QBoxLayout.Direction.TopToBottom
    inner = page.area.widget()
    assert inner is not None
    assert inner.width() <= page.area.viewport().width()
    for made in inner.findChildren(QAbstractButton):
        if made.isVisible() and made.text():
            assert made.width() >= made.sizeHint().width() - 1, made.text()
    page.resize(1220, 800)
    QTest.qWait(20)
    assert page._columns.direction() == QBoxLayout.Direction.LeftToRight


def test_a_change_of_language_keeps_what_was_being_made(page: ConvertPage) -> None:
    feed(page)
    page.form.targets.choose("Q6_K")
    kept = page.state()
    assert kept == {"source": "/models/Small-1B", "type": "Q6_K"}
    later = ConvertPage(page.desk)
    later.opened(**kept)
    assert asked(page, "convert.look")[-1] == {"source": "/models/Small-1B"}
    later.source = "/models/Small-1B"
    later.show_source(source())
    later.show_targets(targets())
    assert later.form.targets.type == "Q6_K"
    later.deleteLater()
