"""What counts as answered, contained, cited and refused."""

from __future__ import annotations

import pytest

from engine.api.errors import UserError
from engine.documents.ask import Answer, Citation
from engine.documents.scorecard import Known, read_questions, score
from engine.documents.search import Hit


def hit(file: int, text: str) -> Hit:
    return Hit(
        chunk=file, file=file, name=f"{file}.pdf", path=f"/docs/{file}.pdf", page=file, start=0, end=len(text),
        heading="", text=text, boxes=[], language="", score=1.0, legs={}, number=0,
    )  # fmt: skip


HITS = [hit(1, "Lund has 91,000 people."), hit(2, "The bridge is 412 metres long.")]


def answered(text: str, chunk: int) -> Answer:
    cited = Citation(1, chunk, f"{chunk}.pdf", "", chunk, text, 0, len(text), chunk, [])
    return Answer("", text, False, [], [cited], HITS)


def test_a_scorecard_counts_each_question_by_what_is_known_of_it() -> None:
    answers = {
        "length": answered("412 metres [1]", 2),
        "people": answered("9 [1]", 2),
        "opera": Answer("", "Your documents do not say this.", True, hits=HITS),
        "moon": answered("Cheese.", 1),
    }
    known = [
        Known("length", ("412 Metres",), "2.pdf", 2),
        Known("people", ("91000",), "1.pdf"),
        Known("opera", unanswerable=True),
        Known("moon", unanswerable=True),
    ]
    steps: list[tuple[int, int]] = []
    card, rows = score(known, answers.__getitem__, lambda done, total: steps.append((done, total)))
    assert (card["contained"], card["cited"]) == (0.5, 0.5)
    assert (card["answered"], card["refused"]) == (1.0, 0.5)
    assert (card["recall_1"], card["recall_5"]) == (0.5, 1.0)
    assert [row.rank() for row in rows] == [2, 1, None, None]
    assert steps == [(0, 4), (1, 4), (2, 4), (3, 4)]


def test_an_empty_set_has_no_shares() -> None:
    card, _ = score([], lambda question: HITS, lambda done, total: None)  # type: ignore[arg-type, return-value]
    assert card["questions"] == 0
    assert card["contained"] is None


@pytest.mark.parametrize(
    "row", ["text", {}, {"question": " "}, {"question": "a", "answers": [1]}, {"question": "a", "page": "2"}]
)
def test_rows_that_are_no_questions_are_named(row: object) -> None:
    with pytest.raises(UserError) as caught:
        read_questions([{"question": "fine", "answer": "yes"}, row])
    assert caught.value.code == "bad_questions"
    assert caught.value.values["number"] == 2
