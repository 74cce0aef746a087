"""The documents page fed by hand: states, marks, places, figures, in both languages and themes."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QBuffer, QIODevice, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton
from pytestqt.qtbot import QtBot

from desktop.desk import Desk
from desktop.pages.documents import DocumentsPage
from desktop.text import LANGUAGES, set_language, tr
from desktop.theme import theme, theme_keeper
from desktop.widgets.documents.asked import AskedQuestion
from desktop.widgets.documents.chips import DocumentChips
from desktop.widgets.documents.cited_text import CitedText, cited_markdown
from desktop.widgets.documents.page_view import PageView
from desktop.widgets.documents.passages import PassageFold
from desktop.widgets.documents.preview import utf16
from desktop.widgets.documents.retrieval_view import figures_words, note_words
from desktop.widgets.make import IconButton
from engine.api.errors import UserError


def collection(number: int, **values: Any) -> dict[str, Any]:
    """A collection as docs.collections gives it."""
    made = {"id": f"c{number}", "name": f"Papers {number}", "files": 3, "indexed": 2, "failed": 1, "waiting": 0}
    made |= {"skipped": 0, "pages": 9, "chunks": 20, "bytes": 1000, "embedder": "", "updated": 0.0, "problem": ""}
    made["settings"] = {"embedder": "", "chat_model": "", "system": "", "rerank": "auto", "questions": False}
    return made | values


def file(number: int, **values: Any) -> dict[str, Any]:
    """A file as docs.files gives it."""
    made = {"id": number, "path": f"/papers/{number}.pdf", "name": f"{number}.pdf", "suffix": ".pdf", "bytes": 2000}
    return made | {"state": "indexed", "error": None, "pages": 2, "chars": 9, "title": "", "indexed": 1.0} | values


def hit(number: int, **values: Any) -> dict[str, Any]:
    """A passage as docs.search gives it."""
    made = {"chunk": number, "file": 1, "number": 0, "name": "a.pdf", "path": "/a.pdf", "page": 2, "start": 0, "end": 5}
    made |= {"heading": "Delays", "text": "Words of a passage.", "boxes": [], "language": "en", "score": 0.5}
    return made | {"legs": {"lexical": {"rank": 1, "score": 3.5}}} | values


def answer(text: str, sentences: list[tuple[str, bool]], **values: Any) -> dict[str, Any]:
    """A result of docs.ask."""
    spans = []
    for words, supported in sentences:
        start = text.index(words)
        span = {"text": words, "start": start, "end": start + len(words), "citations": [], "supported": supported}
        spans.append(span)
    place = {"number": 1, "file": 1, "name": "a.pdf", "path": "/a.pdf", "page": 2, "quote": "Words", "chunk": 1}
    made = {"question": "Why?", "text": text, "refused": False, "sentences": spans, "hits": [hit(1)], "missing": []}
    cited = [place | {"start": 0, "end": 5, "boxes": []}]
    return made | {"citations": cited, "sent": [], "stats": {}, "strength": 1.0} | values


@pytest.fixture
def page(qtbot: QtBot, desk: Desk) -> DocumentsPage:
    made = DocumentsPage(desk)
    qtbot.addWidget(made)
    made.resize(1200, 760)
    made.show()
    return made


def test_the_page_begins_with_a_place_to_drop_things(page: DocumentsPage) -> None:
    page.show_collections([])
    assert page.beginning.isVisible()
    assert not page.side.isVisible()
    page.show_collections([collection(1)])
    assert not page.beginning.isVisible()
    assert page.side.isVisible()
    assert page.current == "c1"


def test_what_is_open_stays_open_when_counts_change(page: DocumentsPage) -> None:
    page.show_collections([collection(1), collection(2)])
    page.open_collection("c2")
    page.show_collections([collection(1), collection(2, files=7, waiting=4)])
    assert page.current == "c2"
    assert page.bar.name.text() == "Papers 2"
    assert page.side.model.rows[1]["files"] == 7
    assert page.side.list.currentIndex().row() == 1
    page.show_collections([collection(1)])
    assert page.current == "c1"


def test_a_failed_file_tells_its_reason_and_can_be_tried_again(qtbot: QtBot, page: DocumentsPage) -> None:
    page.show_collections([collection(1)])
    page.show_tab("files")
    error = UserError("document_timeout", "", "", name="2.pdf", seconds=9).to_json()
    page.files.show_files([file(1), file(2, state="failed", error=error)], 2)
    model = page.files.model
    assert "9" in model.data(model.index(1, 1))
    assert model.data(model.index(1, 1)).startswith(tr("documents.state_failed"))
    page.files.table.selectRow(1)
    assert page.files.retry.isVisible()
    with qtbot.waitSignal(page.files.retry_wanted) as wanted:
        page.files.retry.click()
    assert wanted.args == [[2]]
    page.files.search.setText("1.PDF")
    assert [one["id"] for one in model.rows] == [1]
    page.files.show_files([file(1), file(2)], 9000)
    assert "9000" in page.files.more.text()


def test_citations_are_links_and_unsupported_sentences_are_marked(qtbot: QtBot, desk: Desk) -> None:
    view = CitedText()
    qtbot.addWidget(view)
    result = answer("It is so. [1] And more. [7]", [("It is so. [1]", True), ("And more. [7]", False)])
    view.show_answer(result["text"], result)
    assert view.marks() == [1], "a number without a passage is no link"
    assert tr("documents.unsupported") in view.document().toPlainText()
    ((start, end),) = view.unsupported
    assert "And more." in view.document().toPlainText()[start:end]
    assert "It is so" not in view.document().toPlainText()[start:end]
    grounds = [mark.format.background().color().name() for mark in view.extraSelections()]
    assert theme().amber_soft.lower() in grounds
    with qtbot.waitSignal(view.cited) as cited:
        view.link_activated.emit("cite:1")
    assert cited.args == [1]
    theme_keeper().apply("dark", 14)
    view.apply_colours(view._colours)
    view.show_answer(result["text"], result)
    assert theme().amber_soft.lower() in [m.format.background().color().name() for m in view.extraSelections()]


def test_a_document_cannot_smuggle_links_into_an_answer() -> None:
    text = "> see [here](https://example.org) and [2](cite:9) [1]"
    shown = cited_markdown(text, answer(text, []))
    assert shown.count("(cite:1)") == 1
    assert cited_markdown("[99] [1", {"citations": []}) == "\\[99] [1"


def test_names_are_never_read_as_html(page: DocumentsPage) -> None:
    evil = "<img src='file:///etc/passwd'>.pdf"
    page.show_collections([collection(1, name=evil)])
    page.files.show_files([file(1, name=evil, path=f"/{evil}")], 1)
    model = page.files.model
    assert "<img" not in model.data(model.index(0, 0), int(Qt.ItemDataRole.ToolTipRole))
    assert "<img" not in page.bar.name.toolTip()
    assert page.bar.name.textFormat() == Qt.TextFormat.PlainText
    box = page.ask_delete([file(1, name=evil)])
    assert box.textFormat() == Qt.TextFormat.PlainText
    box.close()


def test_a_refusal_shows_what_comes_nearest(qtbot: QtBot, desk: Desk) -> None:
    asked = AskedQuestion("Who rules the moon?")
    qtbot.addWidget(asked)
    asked.show()
    asked.take_event({"event": "passages", "hits": [hit(1), hit(2, file=2)]})
    assert asked.fold.isVisible()
    asked.take_event({"event": "token", "text": "Not"})
    asked.take_result(answer("Not said.", [], refused=True, citations=[], hits=[hit(1)]))
    assert asked.refusal.isVisible()
    assert "Not said." in asked.refusal.text()
    assert [card.hit["chunk"] for card in asked.fold.list.cards] == [1]
    assert not asked.body.isVisible()


def test_an_error_stands_under_its_question(qtbot: QtBot, desk: Desk) -> None:
    asked = AskedQuestion("Why?")
    qtbot.addWidget(asked)
    asked.show()
    asked.take_error(UserError("no_model", "There is no model.", ""))
    assert asked.problem.isVisible()
    with qtbot.waitSignal(asked.retry_wanted) as again:
        asked.problem.findChildren(type(asked.sent_word))[0].click()
    assert again.args == ["Why?"]


def test_a_passage_opens_by_keyboard(qtbot: QtBot, desk: Desk) -> None:
    fold = PassageFold()
    qtbot.addWidget(fold)
    fold.set_hits([hit(1), hit(2, name="b.pdf")])
    fold.show()
    fold.toggle()
    card = fold.list.cards[1]
    assert "b.pdf" in card.accessibleName()
    with qtbot.waitSignal(fold.opened) as opened:
        QTest.keyClick(card, Qt.Key.Key_Return)
    assert opened.args and opened.args[0]["chunk"] == 2


def test_marks_stand_where_the_page_says(qtbot: QtBot, desk: Desk) -> None:
    white = QImage(100, 200, QImage.Format.Format_RGB32)
    white.fill(0xFFFFFFFF)
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.WriteOnly)
    white.save(buffer, "PNG")  # type: ignore[call-overload]  # the stubs know bytes only
    view = PageView()
    qtbot.addWidget(view)
    view.resize(200, 400)
    box = {"page": 1, "left": 10.0, "top": 50.0, "right": 90.0, "bottom": 60.0}
    png = base64.b64encode(bytes(buffer.data().data())).decode()
    view.show_page({"png": png, "width": 100, "height": 200}, [box])
    assert view.height() == 400
    assert view.first_mark == 100
    shown = view.grab().toImage()
    assert shown.pixelColor(100, 110).blue() < 220
    assert shown.pixelColor(100, 200).name() == "#ffffff"


def test_a_damaged_picture_draws_nothing(qtbot: QtBot, desk: Desk) -> None:
    view = PageView()
    qtbot.addWidget(view)
    view.show_page({"png": "AAAA", "width": 0, "height": 0}, [])
    assert view.first_mark == 0
    assert not view.grab().isNull()


def test_retrieval_tells_figures_and_notes_in_both_languages(page: DocumentsPage) -> None:
    found = {"hits": [hit(1)], "timings": {"lexical_s": 0.0031}, "trust": {"lexical": 0.6, "dense": 0.4}, "notes": []}
    notes: list[dict[str, Any]] = [{"code": "rerank_skipped"}, {"code": "other_embedder"}]
    notes += [{"code": "unknown_language", "language": "zh"}, {"code": "no_embedder", "model": "m", "reason": {}}]
    for language in LANGUAGES:
        set_language(language)
        assert "3.1" in figures_words(found)
        assert "0.60" in figures_words(found)
        assert not any("documents." in note_words(note) or "{" in note_words(note) for note in notes)


def test_the_scorecard_shows_shares_and_rows(page: DocumentsPage, tmp_path: Path) -> None:
    page.show_collections([collection(1)])
    page.show_tab("scorecard")
    view = page.scorecard
    assert not view.run_button.isEnabled()
    questions = tmp_path / "questions.jsonl"
    questions.write_text('{"question": "Why?", "answer": "So"}\nnonsense\n', encoding="utf-8")
    view.load(str(questions))
    assert "2" in view.problem.text(), "the line that cannot be read is named"
    questions.write_text('{"question": "Why?", "answer": "So"}\n', encoding="utf-8")
    view.load(str(questions))
    assert view.run_button.isEnabled()
    names = ("recall_1", "recall_5", "recall_10", "contained", "cited", "answered", "refused")
    row = {"question": "Why?", "text": "So", "refused": False, "contained": True, "cited": None, "rank": 1}
    card = dict.fromkeys(names, 0.5) | {"refused": None, "seconds": 1.5, "questions": 1}
    view._scored({"card": card, "rows": [row | {"seconds": 1.5}]})
    model = view.table.model()
    shown = [model.index(0, column).data() for column in range(model.columnCount())]
    assert shown == ["Why?", "So", "1", "yes", "–", "1.5"]
    assert view.card.isVisible()


def test_chips_name_what_a_conversation_is_answered_from(qtbot: QtBot, desk: Desk) -> None:
    chips = DocumentChips()
    qtbot.addWidget(chips)
    chips.set_used([{"collection": "c1", "name": "Papers", "files": [3, 4]}])
    assert not chips.isHidden()
    with qtbot.waitSignal(chips.removed) as removed:
        chips.findChildren(IconButton)[0].click()
    assert removed.args == [0]
    chips.set_used([])
    assert chips.isHidden()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("look", ["light", "dark"])
def test_every_tab_is_drawn_and_everything_has_a_name(desk: Desk, language: str, look: str) -> None:
    set_language(language)
    theme_keeper().apply(look, 14)
    fresh = DocumentsPage(desk)
    fresh.resize(760, 520)
    fresh.show_collections([collection(1)])
    fresh.show()
    for tab in fresh.tabs:
        fresh.show_tab(tab)
        assert not fresh.grab().isNull()
    nameless = [
        b for b in fresh.findChildren(QAbstractButton) if b.isVisible() and not (b.accessibleName() or b.text())
    ]
    assert nameless == []
    fresh.close()
    fresh.deleteLater()
    theme_keeper().apply("light", 14)


def test_characters_beyond_the_first_plane_are_counted_as_qt_does() -> None:
    assert utf16("a😀b", 2) == 3
    assert utf16("abc", 2) == 2
