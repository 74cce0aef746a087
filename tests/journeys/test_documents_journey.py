"""A folder is dropped, asked in two languages, cited, changed and deleted: the real window, engine and model."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pdf_kit
import pytest
import real_models
from person import Person
from PySide6.QtCore import QMimeData, QPointF, Qt, QUrl
from PySide6.QtGui import QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QMessageBox

from desktop.pages.documents import DocumentsPage
from desktop.text import set_language, tr
from desktop.widgets.documents.asked import AskedQuestion

SECRET = "The plant manager of Lyon is Claire Dubois, and her office is in building C."
CHANGED = "The plant manager of Lyon is Marek Novak, and his office is in building C."
WHO = "Who is the plant manager of Lyon?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Several formats in two languages, one of them damaged."""
    made = tmp_path / "Contracts"
    made.mkdir()
    first = [(20, 30, 16, "Supply agreement"), (20, 45, 11, "The supplier delivers 400 pumps to the plant in Lyon.")]
    second = [(20, 30, 16, "Delays"), (20, 45, 11, "For each day of delay the supplier pays 0.5 percent of the price.")]
    pdf_kit.plain(made / "supply.pdf", [first, second])
    lines = (
        (60, 80, 18, "第九条 违约责任"),
        (60, 120, 13, "供方逾期交货的，每逾期一日，应按合同总价的千分之五支付违约金。"),
    )
    pdf_kit.chinese(made / "合同.pdf", lines)
    (made / "notes.md").write_text(f"# Visit\n\n{SECRET}\n", encoding="utf-8")
    (made / "prices.csv").write_text("item,price\npump,1250\n", encoding="utf-8")
    (made / "page.html").write_text("<h1>Canteen</h1><p>Lunch costs six euros.</p>", encoding="utf-8")
    (made / "broken.pdf").write_bytes(b"%PDF-1.4 nothing")
    return made


@pytest.fixture
def reader(open_window: Callable[[], Person], home: Path) -> Iterator[Person]:
    """Someone on the documents page, with a model."""
    settings = {"language": "en", "default_system": "", "first_start_done": True, "threads": 2, "context_size": 2048}
    (home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    person = open_window()
    person.add_model(real_models.qwen_coder())
    person.desk.open_page("documents")
    yield person
    set_language("en")


def page(person: Person) -> DocumentsPage:
    """The page, in whatever language it was built last."""
    return cast(DocumentsPage, person.window.built["documents"])


def drop(person: Person, folder: Path) -> None:
    """Let go of a folder over the page, and wait until all of it is read."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(folder))])
    left, none = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    page(person).dropEvent(QDropEvent(QPointF(300, 300), Qt.DropAction.CopyAction, mime, left, none))
    person.wait(lambda: page(person).rows and page(person).rows[0]["indexed"] == 5)
    person.wait(lambda: page(person).rows[0]["failed"] == 1)


def ask(person: Person, question: str) -> AskedQuestion:
    """Type a question on the page, and wait for the checked answer."""
    shown = page(person)
    shown.show_tab("ask")
    person.wait(lambda: shown.asking.send_button.isVisible())
    shown.asking.field.setPlainText(question)
    person.press(Qt.Key.Key_Return, shown.asking.field)
    asked = shown.asking.asked[-1]
    person.wait(lambda: asked.result or not asked.problem.isHidden())
    assert asked.result, "the question was answered"
    return asked


def click_citation(person: Person, asked: AskedQuestion, name: str) -> None:
    """Click the first mark of an answer that leads to a file of this name, with the mouse."""
    body = asked.body
    numbers = [one["number"] for one in body.found["citations"] if one["name"] == name]
    start, end, _ = next(link for link in body.links() if link[2] == f"cite:{numbers[0]}")
    cursor = body.textCursor()
    cursor.setPosition((start + end) // 2)
    place = body.cursorRect(cursor).center()
    QTest.mouseClick(body.viewport(), Qt.MouseButton.LeftButton, pos=place)
    person.wait(lambda: page(person).preview.place and page(person).preview.place["name"] == name)  # type: ignore[index]


def test_a_dropped_folder_is_read_and_asked_in_both_languages(reader: Person, folder: Path) -> None:
    drop(reader, folder)
    reader.wait(lambda: [file["state"] for file in page(reader).files.model.rows].count("indexed") == 5)
    reader.wait(lambda: "waiting" not in [file["state"] for file in page(reader).files.model.rows])
    states = {file["name"]: file["state"] for file in page(reader).files.model.rows}
    assert states.pop("broken.pdf") == "failed"
    assert set(states.values()) == {"indexed"}
    asked = ask(reader, "How much does the supplier pay for each day of delay?")
    assert asked.result
    assert "0.5" in asked.result["text"]
    assert asked.fold.isVisible(), "what was looked at is to be seen"
    click_citation(reader, asked, "supply.pdf")
    preview = page(reader).preview
    reader.wait(lambda: preview.page.marks)
    assert preview.shown_page == 2
    assert preview.page.rect().contains(preview.page.marks[0].toRect().center())
    marked = preview.page.grab().toImage().pixelColor(preview.page.marks[0].toRect().topLeft())
    assert marked.blue() < marked.red(), "amber, not white"
    reader.desk.set(language="zh")
    reader.wait(lambda: page(reader).collection and page(reader).asking.asked)
    page(reader).asking.begin_anew()
    chinese = ask(reader, "供方逾期交货，每逾期一日支付多少违约金？")
    assert chinese.result
    assert "千分之五" in chinese.result["text"]
    click_citation(reader, chinese, "合同.pdf")
    reader.wait(lambda: page(reader).preview.page.marks)
    assert page(reader).preview.shown_page == 1


def test_an_edited_file_changes_the_answer_and_a_deleted_one_leaves_nothing(reader: Person, folder: Path) -> None:
    drop(reader, folder)
    asked = ask(reader, WHO)
    assert asked.result
    assert "Claire Dubois" in asked.result["text"]
    click_citation(reader, asked, "notes.md")
    reader.wait(lambda: "Claire Dubois" in page(reader).preview.marked_text())
    (folder / "notes.md").write_text(f"# Visit\n\n{CHANGED}\n", encoding="utf-8")
    page(reader).sync()
    notes = {"collection": page(reader).current, "query": "Marek Novak"}
    reader.wait(lambda: reader.ask_engine("docs.search", **notes)["hits"])
    page(reader).asking.begin_anew()
    again = ask(reader, WHO)
    assert again.result
    assert "Marek Novak" in again.result["text"]
    assert "Claire" not in again.result["text"]
    gone = page(reader).ask_remove()
    assert gone is not None
    reader.click(tr("documents.delete"), gone)
    reader.wait(lambda: page(reader).beginning.isVisible())
    proof = reader.ask_engine("docs.prove_deleted", texts=[SECRET, CHANGED])
    assert proof["found"] == []
    assert (folder / "notes.md").read_text(encoding="utf-8").strip().endswith(CHANGED), "the disk is left alone"


def test_a_conversation_is_answered_from_a_collection_also_after_a_restart(
    reader: Person, folder: Path, open_window: Callable[[], Person]
) -> None:
    drop(reader, folder)
    reader.click(tr("documents.chat"))
    reader.wait(lambda: reader.window.current == "chat" and reader.chat.stage.composer.documents.isVisible())
    answer = reader.ask(WHO)
    assert "Claire Dubois" in answer.message["text"]
    assert answer.body.marks()
    chat = reader.chat.chat_id
    reader.close()
    later = open_window()
    later.desk.open_page("chat", chat=chat)
    later.wait(lambda: later.answers() and later.answers()[-1].body.marks())
    assert [one["name"] for one in later.chat.stage.documents.used()] == ["Contracts"]
    later.answers()[-1].body.cited.emit(1)
    later.wait(lambda: "Claire Dubois" in later.chat.stage.preview.marked_text())
    assert isinstance(later.chat.stage.preview.place, dict)


def test_deleting_a_file_warns_first(reader: Person, folder: Path) -> None:
    drop(reader, folder)
    page(reader).show_tab("files")
    reader.wait(lambda: len(page(reader).files.model.rows) == 6)
    page(reader).files.table.selectRow(1)
    reader.press(Qt.Key.Key_Delete, page(reader).files.table)
    reader.wait(lambda: reader.window.findChildren(QMessageBox))
    (box,) = reader.window.findChildren(QMessageBox)
    assert tr("documents.delete_hint") == box.informativeText()
    name = page(reader).files.model.rows[1]["name"]
    assert name in box.text()
    reader.click(tr("documents.delete"), box)
    reader.wait(lambda: name not in [file["name"] for file in page(reader).files.model.rows])
    assert (folder / name).is_file()
