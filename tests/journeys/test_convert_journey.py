"""A checkpoint is dropped, a type chosen, converted, its report read, and it answers: the real window and engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import small_checkpoint
import vocabulary_kit
from person import Person
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest

from desktop.pages.convert import ConvertPage
from desktop.text import set_language, tr
from desktop.widgets.conversion.tensors_dialog import TensorsDialog

CHUNKS = {"report_chunks": 2, "threads": 2}  # a report of a small model need not be exact here


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A small llama that has learnt nothing, with a real vocabulary."""
    folder = tmp_path / "models" / "Small"
    small_checkpoint.make_small(folder, vocab_size=32000, max_position_embeddings=1024)
    vocabulary_kit.make_tokenizer(folder, "llama-spm")
    return folder


@pytest.fixture
def maker(open_window: Callable[[], Person], home: Path) -> Iterator[Person]:
    """Someone on the convert page."""
    settings = {"language": "en", "default_system": "", "first_start_done": True, "threads": 2, "context_size": 512}
    (home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    person = open_window()
    person.desk.open_page("convert")
    yield person
    set_language("en")


def page(person: Person) -> ConvertPage:
    """The page, in whatever window and language it was built last."""
    return cast(ConvertPage, person.window.built["convert"])


def drop(person: Person, path: Path) -> None:
    """Let go of something over the page, and wait until it is known what it can become."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page(person).dropEvent(QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, left, none))
    person.wait(lambda: page(person).form.isVisible() or page(person).problem.isVisible())


def choose(person: Person, kind: str) -> None:
    """Choose a type in the table with the arrow keys."""
    table, model = page(person).form.targets.table, page(person).form.targets.model
    table.setFocus()
    while (behind := model.place(kind) - table.currentIndex().row()) != 0:
        QTest.keyClick(table, Qt.Key.Key_Down if behind > 0 else Qt.Key.Key_Up)
    assert page(person).form.targets.type == kind


def start(person: Person, **values: Any) -> None:
    """Press the button; the report reads little."""
    shown = page(person)
    shown.form.start_wanted.disconnect(shown.start)
    shown.form.start_wanted.connect(lambda kind, told, title: shown.start(kind, told | CHUNKS | values, title))
    person.click(shown.form.start_button.text(), shown.form.footer)


def test_from_a_dropped_checkpoint_to_a_chat(maker: Person, checkpoint: Path) -> None:
    drop(maker, checkpoint)
    shown = page(maker)
    assert maker.reads("llama\u00a0family")
    choose(maker, "Q4_K_M")
    assert "Q4_K_M would be" in shown.form.targets.fallback.text(), "rows of 64 do not fill a block of 256"
    maker.click(tr("convert_page.preview"))
    maker.wait(lambda: shown.findChildren(TensorsDialog))
    (dialog,) = shown.findChildren(TensorsDialog)
    names = [tensor["name"] for tensor in dialog.model.rows]
    assert "blk.1.ffn_down.weight" in names
    dialog.accept()
    start(maker)
    maker.wait(lambda: shown.jobs.cards or shown.report.isVisible())
    maker.desk.open_page("chat")
    maker.desk.open_page("convert")
    maker.wait(lambda: shown.report.isVisible() and shown.report.chat_button.isVisible())
    made = checkpoint.parent / "Small-Q4_K_M.gguf"
    assert made.is_file()
    assert shown.report.badge.text() in [tr(f"quality.{word}") for word in ("good", "usable", "damaged")]
    assert maker.reads("tokens/s", shown.report)
    assert maker.reads("lines agree", shown.report)
    maker.wait(lambda: shown.recent.list.count() == 1)
    maker.click(tr("models.chat_with_it"))
    maker.wait(lambda: maker.window.current == "chat")
    answer = maker.ask("Hello")
    assert answer.message["model"]
    assert answer.message["state"] in ("done", "stopped")
    tokens = answer.message["stats"].get("tokens", 0)
    assert tokens > 0, answer.message


def test_a_conversion_is_found_again_after_a_restart_and_its_report_too(
    maker: Person, checkpoint: Path, open_window: Callable[[], Person]
) -> None:
    drop(maker, checkpoint)
    choose(maker, "Q8_0")
    start(maker)
    maker.wait(lambda: page(maker).jobs.cards or page(maker).report.isVisible() or page(maker).problem.isVisible())
    assert not page(maker).problem.isVisible()
    maker.close()
    later = open_window()
    later.desk.open_page("convert")
    shown = page(later)
    later.wait(lambda: shown.report.isVisible() or shown.jobs.cards)
    if not shown.report.isVisible():
        (card,) = shown.jobs.cards.values()
        assert card.row["state"] in ("queued", "running", "interrupted")
        if card.row["state"] == "interrupted":
            later.click(tr("jobs.resume"), card)
    later.wait(lambda: shown.report.isVisible())
    assert shown.report.title.text().endswith("Small-Q8_0.gguf")
    assert (checkpoint.parent / "Small-Q8_0.gguf").is_file()
    assert not list(checkpoint.parent.glob("*.partial"))


def test_what_is_no_model_is_said_and_a_dead_engine_is_asked_again(maker: Person, tmp_path: Path) -> None:
    nothing = tmp_path / "Photos"
    nothing.mkdir()
    drop(maker, nothing)
    assert maker.reads("Photos is no model", page(maker).problem)
    assert page(maker).field.field.text() == str(nothing)
    maker.kill_engine()
    maker.wait(lambda: maker.client.state != "ready")
    page(maker).look(str(nothing))
    maker.wait(lambda: page(maker).problem.isVisible() and not page(maker).waiting.isVisible())
    assert maker.reads("Photos is no model", page(maker).problem), "it waited for the new engine"
