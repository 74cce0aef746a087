"""The full-text leg over a real database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from encoder_kit import add_text, filled

from engine.documents import lexical
from engine.documents.collection import number_of, row_of
from engine.documents.database import DocumentStore

TEXTS = {
    "en.txt": "The Panthers defence gave up 308 points.",
    "zh.txt": "黑豹队的防守丢了308分，排名第六。",
    "other.txt": "Bread is baked of flour.",
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    made = DocumentStore(tmp_path / "documents.db")
    yield made
    made.close()


def find(store: DocumentStore, question: str, top: int = 10, allowed: set[int] | None = None) -> lexical.Lexical:
    row = row_of(store, "c")
    only = allowed.__contains__ if allowed is not None else None
    return lexical.find(store, row["number"], row["version"], question, top, only)


def test_both_languages_are_found(store: DocumentStore) -> None:
    filled(store, "c", TEXTS)
    assert find(store, "how many points did the panther's defence give?").ids[0] == 1
    found = find(store, "防守丢了多少分？")
    assert found.ids[0] == 2 and found.scores[0] > 0 and found.total == 3
    assert find(store, "308").ids == [2, 1] or find(store, "308").ids == [1, 2]
    assert find(store, "unicorn").ids == [] and find(store, "?!").ids == []
    assert find(store, "unicorn flour").counts == {"unicorn": 0, "flour": 1}


def test_filters_and_top(store: DocumentStore) -> None:
    filled(store, "c", TEXTS)
    assert find(store, "308", allowed={2}).ids == [2]
    assert len(find(store, "308", top=1).ids) == 1
    assert find(store, "308", allowed=set()).ids == []


def test_counts_follow_the_collection(store: DocumentStore) -> None:
    number = number_of(store, filled(store, "c", TEXTS))
    assert find(store, "flour").counts == {"flour": 1}
    add_text(store, number, "more.txt", "More flour for more bread.")
    found = find(store, "flour")
    assert found.counts == {"flour": 2} and found.total == 4 and len(found.ids) == 2


def test_a_question_of_common_words_is_cut(store: DocumentStore) -> None:
    texts = {f"{n}.txt": f"common usual word {'rare' if n == 7 else 'plain'} {n}" for n in range(30)}
    filled(store, "c", texts)
    everything = find(store, "common usual rare", top=50)
    assert len(everything.ids) == 30 and everything.ids[0] == 8
    said = {"common": "commonly", "usual": "usually"}
    expression = lexical.expression(["common", "usual"], {"common": 30_000, "usual": 40_000}, said)
    assert expression == '"commonly" AND ("usually")'
    assert lexical.expression(["rare", "usual"], {"rare": 1, "usual": 2}, said) == '"rare" OR "usually"'


@pytest.mark.parametrize("word", ["increase", "conclusive", "universe", "expense"])
def test_a_word_whose_stem_has_a_stem_of_its_own_is_found(store: DocumentStore, word: str) -> None:
    filled(store, "c", {"it.txt": f"Here is {word}, and bread.", "other.txt": "There is bread only."})
    assert len(find(store, f"{word}?").ids) == 1


@pytest.mark.parametrize(
    "question", ['"', "NEAR(a b)", "a OR", "*", "prepared:x", "x" * 9000, "\x00", "\ud800", "'; --"]
)
def test_hostile_questions_are_words(store: DocumentStore, question: str) -> None:
    filled(store, "c", TEXTS)
    assert isinstance(find(store, question).ids, list)


def test_a_collection_that_goes_takes_its_words_along(store: DocumentStore) -> None:
    number = number_of(store, filled(store, "c", TEXTS))
    find(store, "flour")
    lexical.forget(store, number)
    assert store.row("SELECT 1 FROM sqlite_temp_master WHERE name = ?", f"fts_{number}_words") is None
