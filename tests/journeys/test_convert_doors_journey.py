"""Every other door of the convert page, pressed once: merged, adapted, pruned, compared, back to a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import small_adapter
import small_checkpoint
import tiny_eyes
import vocabulary_kit
from export_environment import use_it
from person import Person
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QCheckBox, QLineEdit
from stand_in_hub import StandInHub

from desktop.pages.convert import ConvertPage
from desktop.text import set_language, tr
from desktop.widgets.conversion.doors import DoorForm

LITTLE = {"report_chunks": 1, "chunks": 1, "threads": 1}  # what is read of a small model need not be much here
SHAPE: dict[str, Any] = {"vocab_size": 32000, "max_position_embeddings": 1024, "num_hidden_layers": 4}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder with two llamas that have learnt nothing and an adapter for them."""
    folder = tmp_path / "models"
    for name in ("One", "Two"):
        small_checkpoint.make_small(folder / name, **SHAPE)
        vocabulary_kit.make_tokenizer(folder / name, "llama-spm")
    small_adapter.make_adapter(folder / "Lora", small_checkpoint.CONFIG | SHAPE)
    return folder


@pytest.fixture
def maker(open_window: Callable[[], Person], home: Path) -> Iterator[Person]:
    """Someone on the convert page; jobs read little."""
    settings = {"language": "en", "default_system": "", "first_start_done": True, "threads": 1, "context_size": 512}
    (home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    person = open_window()
    person.desk.open_page("convert")
    shown, begin = page(person), page(person).start
    shown.start = lambda kind, params, title: begin(kind, LITTLE | params, title)  # type: ignore[method-assign]
    shown.form.start_wanted.disconnect()
    shown.form.start_wanted.connect(shown.start)
    yield person
    set_language("en")


def page(person: Person) -> ConvertPage:
    return cast(ConvertPage, person.window.built["convert"])


def look_at(person: Person, path: Path) -> None:
    """Type where it is, press Enter, and wait until it is known what it can become."""
    shown = page(person)
    if shown.source:
        person.click(tr("convert_page.change"), shown.card)
    shown.field.field.clear()
    QTest.keyClicks(shown.field.field, str(path))
    QTest.keyClick(shown.field.field, Qt.Key.Key_Return)
    person.wait(lambda: (shown.found and not shown.waiting.isVisible()) or shown.problem.isVisible())
    assert not shown.problem.isVisible(), shown.problem.words.text()


def door(person: Person, name: str, **fields: object) -> DoorForm:
    """Go through a door and fill in its fields."""
    person.click(tr(f"convert_page.door_{name}"), page(person)._tabs)
    opened = page(person).door
    assert opened is not None
    for field, value in fields.items():
        control = opened.fields[field]
        assert isinstance(control, QLineEdit)
        control.setFocus()
        QTest.keyClicks(control, str(value))
    return opened


def press(person: Person, opened: DoorForm) -> Path:
    """Press the door's button and wait for what it makes: its path."""
    shown = page(person)
    before = shown.shown_job
    shown.area.ensureWidgetVisible(opened.start_button)
    QTest.mouseClick(opened.start_button, Qt.MouseButton.LeftButton)
    ended = ("failed", "cancelled", "interrupted")
    person.wait(
        lambda: (
            shown.shown_job != before
            or shown.problem.isVisible()
            or opened.missing.isVisible()
            or any(card.row["state"] in ended for card in shown.jobs.cards.values())
        )
    )
    assert shown.shown_job != before, [shown.problem.words.text(), *(card.row for card in shown.jobs.cards.values())]
    person.wait(lambda: shown.report.isVisible() and shown.report.path)
    return Path(shown.report.path)


def test_merged_adapted_and_mended(maker: Person, models: Path) -> None:
    look_at(maker, models / "One")
    opened = door(maker, "merge")
    opened.start_button.click()
    assert maker.reads("Still missing: Other models' folders.", opened)
    made = press(maker, door(maker, "merge", others=models / "Two"))
    assert made == models / "One-merged"
    assert (made / "model.safetensors").is_file()
    assert maker.reads("Merged · One-merged", page(maker).report)
    maker.click(tr("convert_page.convert_it"), page(maker).report)
    maker.wait(lambda: page(maker).source == str(made) and page(maker).form.isVisible())
    look_at(maker, models / "Lora")
    adapter = press(maker, door(maker, "adapter", base=models / "One"))
    assert adapter == models / "Lora-lora.gguf"
    maker.wait(lambda: maker.reads("Adapter · Lora-lora.gguf", page(maker).report))
    listed = [row["path"] for row in maker.ask_engine("models.list")["models"] if row["kind"] == "adapter"]
    assert listed == [str(adapter)]
    whole = press(maker, door(maker, "merge_adapter", base=models / "One"))
    maker.wait(lambda: maker.reads("Merged · Lora-merged", page(maker).report))
    assert (whole / "config.json").is_file()


def test_from_a_checkpoint_to_a_shorter_model_and_back(maker: Person, models: Path) -> None:
    look_at(maker, models / "One")
    shown = page(maker)
    shown.form.measure.click()
    maker.click(shown.form.start_button.text(), shown.form.footer)
    maker.wait(lambda: shown.report.path.endswith("One-Q8_0.gguf"))
    model = models / "One-Q8_0.gguf"
    look_at(maker, model)
    pruned = press(maker, door(maker, "prune"))
    maker.wait(lambda: shown.report.path.endswith("-pruned.gguf") and shown.report.badge.isVisible())
    pruned = Path(shown.report.path)
    assert "1 of 4 blocks are left out" in shown.report.notes.text()
    opened = door(maker, "compare", b=models / "nowhere.gguf")
    opened.start_button.click()
    maker.wait(lambda: shown.problem.isVisible())
    assert maker.reads("There is nothing at", shown.problem)
    maker.click(tr("frame.dismiss"), shown.problem)
    opened.fields["b"].clear()  # type: ignore[attr-defined]
    press(maker, door(maker, "compare", b=pruned))
    maker.wait(lambda: shown.report.said == "compare")
    assert maker.reads(f"Report · {pruned.name}", shown.report)
    matrix = press(maker, door(maker, "imatrix"))
    maker.wait(lambda: shown.report.kind == "imatrix")
    matrix = Path(shown.report.path)
    assert matrix.is_file()
    press(maker, door(maker, "to_hf"))
    maker.wait(lambda: shown.report.kind == "to_hf")
    folder = Path(shown.report.path)
    assert folder == models / "One-hf"
    assert (folder / "config.json").is_file()
    assert (folder / "tokenizer.model").is_file() or (folder / "tokenizer.json").is_file()


def test_eyes_and_what_is_wrong_with_a_name(maker: Person, tmp_path: Path) -> None:
    eyes = tiny_eyes.make("smolvlm", tmp_path / "Eyes")
    look_at(maker, eyes)
    made = press(maker, door(maker, "projector"))
    assert made == tmp_path / "mmproj-Eyes.gguf"
    assert maker.reads("pictures can be shown to it", page(maker).report)
    opened = door(maker, "projector")
    opened.start_button.click()
    maker.wait(lambda: page(maker).problem.isVisible())
    assert maker.reads("mmproj-Eyes.gguf is there already", page(maker).problem)
    before = page(maker).shown_job
    maker.click(tr("convert_page.replace"), page(maker).problem)
    maker.wait(lambda: page(maker).shown_job != before)
    assert made.is_file()


def test_a_name_on_a_hub(maker: Person, models: Path, home: Path) -> None:
    with StandInHub() as hub:
        hub.add("someone/One", {file.name: file for file in (models / "One").iterdir()})
        maker.ask_engine("settings.set", values={"hub_endpoint": hub.url})
        look_at(maker, Path("someone/One"))
        shown = page(maker)
        assert "onnx" in shown.tabs
        maker.click(shown.form.extras.header.accessibleName(), shown.form)
        keep = shown.form.extras.lines["keep_source"].control
        assert isinstance(keep, QCheckBox)
        keep.click()
        shown.form.measure.click()
        maker.click(shown.form.start_button.text(), shown.form.footer)
        maker.wait(lambda: shown.report.path.endswith("One-Q8_0.gguf"))
    assert (home / "converted" / "One-Q8_0.gguf").is_file()
    assert not list(home.rglob("model.safetensors")), "what was fetched need not be kept"


def test_exported_with_8_bits(maker: Person, models: Path, home: Path) -> None:
    use_it(home)
    look_at(maker, models / "One")
    opened = door(maker, "onnx")
    maker.click(tr("convert_page.field_int8"), opened)
    made = press(maker, opened)
    assert made == models / "One-onnx"
    maker.wait(lambda: maker.reads("ONNX · One-onnx", page(maker).report))
    assert (made / "onnx" / "model.onnx").is_file()
    report = json.loads((made / "report.json").read_text(encoding="utf-8"))
    assert report["agreement"]["holds"]
    assert report["int8"]["max_difference"] > report["agreement"]["max_difference"]
    assert not report.get("int4")
