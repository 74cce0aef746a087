"""Someone finds out how well a collection is searched and answers: the panel that tries a search, and the scorecard."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import pdf_kit
import pytest
import real_models
from minilm_gguf import minilm_gguf
from person import Person
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog

from desktop.pages.documents import DocumentsPage
from desktop.text import set_language, tr
from desktop.widgets.documents.retrieval_view import RetrievalView
from desktop.widgets.documents.scorecard_view import ScorecardView

LIGHTHOUSE = (
    "The lighthouse of Skagen was built in 1858. Its keeper was Anna Madsen, who lived there for thirty years."
    " The tower is 46 metres high and its lamp was lit with rapeseed oil."
)
CANTEEN = "Lunch in the canteen costs six euros. On Fridays there is fish, and the coffee is free for all."
PAGODA = "应县木塔建于1056年，位于山西省应县，全塔高67.31米，是中国现存最古老的木结构塔式建筑。"
QUESTIONS = (
    {"question": "Who was the keeper of the lighthouse of Skagen?", "answer": "Anna Madsen", "file": "lighthouse.md"},
    {"question": "应县木塔建于哪一年？", "answers": ["1056年"], "file": "pagoda.txt"},
    {"question": "How much does lunch in the canteen cost?", "answer": "six euros", "file": "canteen.pdf", "page": 2},
    {"question": "Which opera did the elephants of Hannibal sing?", "unanswerable": True},
)


@pytest.fixture
def reader(open_window: Callable[[], Person], home: Path, tmp_path: Path) -> Iterator[Person]:
    """Someone on the documents page, with a collection in two languages that was read."""
    settings = {"language": "en", "default_system": "", "first_start_done": True, "threads": 2, "context_size": 2048}
    (home / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    folder = tmp_path / "Places"
    folder.mkdir()
    (folder / "lighthouse.md").write_text(f"# Lighthouses\n\n{LIGHTHOUSE}\n", encoding="utf-8")
    (folder / "pagoda.txt").write_text(PAGODA, encoding="utf-8")
    pdf_kit.plain(folder / "canteen.pdf", [[(20, 30, 16, "House rules")], [(20, 30, 11, CANTEEN)]])
    person = open_window()
    person.ask_engine("models.add", path=str(minilm_gguf()))
    person.desk.open_page("documents")
    person.wait(lambda: page(person).beginning.isVisible())
    page(person).add([str(folder)])
    person.wait(lambda: page(person).rows and page(person).rows[0]["indexed"] == 3)
    yield person
    set_language("en")


def page(person: Person) -> DocumentsPage:
    """The page, in whatever language it was built last."""
    return cast(DocumentsPage, person.window.built["documents"])


def search(person: Person, query: str) -> RetrievalView:
    """Type a query on the panel, press Enter, and wait for what is found."""
    shown = page(person)
    person.click(tr("documents.tab_retrieval"))
    view = shown.retrieval
    person.wait(view.query.isVisible)
    view.query.clear()
    QTest.keyClicks(view.query, query) if query.isascii() else view.query.setText(query)
    before = view.found
    person.press(Qt.Key.Key_Return, view.query)
    person.wait(lambda: view.found and view.found is not before)
    return view


def load(person: Person, path: Path) -> ScorecardView:
    """Choose a file of questions in the dialog."""
    person.click(tr("documents.tab_scorecard"))
    person.click(tr("documents.load_questions"))
    view = page(person).scorecard
    person.wait(lambda: view.findChildren(QFileDialog))
    (dialog,) = view.findChildren(QFileDialog)
    dialog.setDirectory(str(path.parent))
    dialog.selectFile(path.name)
    dialog.accept()
    person.wait(lambda: not view.findChildren(QFileDialog))
    return view


def run(person: Person, view: ScorecardView) -> list[list[str]]:
    """Ask all questions; the rows of the table then."""
    person.click(tr("documents.run_questions"))
    person.wait(view.stop_button.isVisible)
    person.wait(lambda: not view.stop_button.isVisible())
    assert not view.problem.isVisible(), view.problem.text()
    assert view.table.isVisible()
    rows, columns = range(view.table.rowCount()), range(view.table.columnCount())
    return [[cast(str, view.table.item(row, column).text()) for column in columns] for row in rows]  # type: ignore[union-attr]


def test_a_search_is_tried_and_its_legs_are_told(reader: Person) -> None:
    view = search(reader, "How high is the tower of Skagen?")
    first = view.list.cards[0]
    assert first.hit["name"] == "lighthouse.md"
    assert set(first.hit["legs"]) == {"lexical", "dense"}
    reader.wait(lambda: reader.reads("46 metres", view))
    reader.wait(lambda: reader.reads(tr("documents.leg_dense") + ": no. 1", first))
    assert view.figures.text().startswith(tr("documents.found_count", count=len(view.list.cards)))
    assert tr("documents.leg_lexical") in view.figures.text()
    QTest.mouseClick(first, Qt.MouseButton.LeftButton)
    reader.wait(lambda: "46 metres" in page(reader).preview.marked_text())
    second = search(reader, "free coffee").list.cards[0]
    reader.press(Qt.Key.Key_Return, second)
    reader.wait(lambda: page(reader).preview.page.marks)
    assert (page(reader).preview.shown_page, second.hit["name"]) == (2, "canteen.pdf")


def test_a_leg_that_cannot_read_the_language_is_told_in_both_languages(reader: Person) -> None:
    view = search(reader, "应县木塔有多高？")
    assert view.list.cards[0].hit["name"] == "pagoda.txt"
    assert view.notes.isVisible()
    assert tr("documents.language_zh") in view.notes.text()
    reader.desk.set(language="zh")
    reader.wait(lambda: page(reader).collection)
    chinese = search(reader, "应县木塔有多高？")
    assert "中文" in chinese.notes.text()
    reader.wait(lambda: reader.reads(tr("documents.leg_lexical"), chinese.list.cards[0]))
    assert "段" in chinese.figures.text()


def test_a_set_of_questions_is_scored(reader: Person, tmp_path: Path) -> None:
    reader.add_model(real_models.qwen_coder())
    broken, given = tmp_path / "broken.jsonl", tmp_path / "questions.jsonl"
    broken.write_text('{"question": "Who?"}\nnot json\n', encoding="utf-8")
    given.write_text("\n".join(json.dumps(one, ensure_ascii=False) for one in QUESTIONS), encoding="utf-8")
    view = load(reader, broken)
    reader.wait(view.problem.isVisible)
    assert "2" in view.problem.text(), "it says which line"
    assert not view.run_button.isEnabled()
    load(reader, given)
    reader.wait(lambda: view.loaded.text() == tr("documents.questions_ready", count=4))
    assert not view.problem.isVisible()
    rows = run(reader, view)
    yes, none = tr("documents.yes"), "–"
    assert [row[0] for row in rows] == [one["question"] for one in QUESTIONS]
    assert [row[2:5] for row in rows[:3]] == [["1", yes, yes]] * 3
    assert "Anna Madsen" in rows[0][1]
    assert "1056" in rows[1][1]
    assert (rows[3][1], rows[3][2:5]) == (tr("documents.score_refused"), [none] * 3)
    assert view.card.isVisible()
    for name in ("recall_1", "contained", "cited", "answered", "refused"):
        assert reader.reads(tr(f"documents.share_{name}"), view.card)
    reader.wait(lambda: reader.reads("100%", view.card))


def test_questions_are_made_of_the_collection_and_scored(reader: Person) -> None:
    reader.add_model(real_models.qwen_coder())
    reader.desk.set(language="zh")
    reader.wait(lambda: page(reader).collection)
    reader.click(tr("documents.tab_scorecard"))
    view = page(reader).scorecard
    assert view.loaded.text() == tr("documents.questions_none")
    reader.click(tr("documents.make_questions"))
    reader.wait(view.stop_button.isVisible)
    assert not view.load_button.isEnabled(), "one thing at a time"
    reader.wait(lambda: not view.stop_button.isVisible())
    assert view.questions, "a model of half a billion parameters makes some"
    for made in view.questions:
        assert made["answer"] in LIGHTHOUSE + CANTEEN + PAGODA
    rows = run(reader, view)
    assert [row[0] for row in rows] == [made["question"] for made in view.questions]
    assert rows[0][2] == "1"
    reader.wait(lambda: reader.reads(tr("documents.share_recall_1"), view.card))
    assert not reader.reads(tr("documents.share_refused"), view.card), "all of them can be answered"


def test_passages_too_short_to_be_asked_about_make_no_questions(reader: Person, tmp_path: Path) -> None:
    reader.add_model(real_models.qwen_coder())
    (tmp_path / "Lists").mkdir()
    (tmp_path / "Lists" / "short.txt").write_text("Pumps, valves, hoses.", encoding="utf-8")
    page(reader).current = ""
    page(reader).add([str(tmp_path / "Lists")])
    reader.wait(lambda: page(reader).collection and page(reader).collection["name"] == "Lists")  # type: ignore[index]
    reader.wait(lambda: page(reader).collection["indexed"] == 1)  # type: ignore[index]
    reader.click(tr("documents.tab_scorecard"))
    reader.click(tr("documents.make_questions"))
    view = page(reader).scorecard
    reader.wait(view.problem.isVisible)
    assert view.problem.text() == tr("documents.questions_not_made")
    assert not view.run_button.isEnabled()
