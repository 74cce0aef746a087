"""Search over a real collection with a tiny encoder and with the real one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from encoder_kit import add_text, filled, tiny_installed
from real_models import minilm

from engine.api.errors import UserError
from engine.api.folders import models_folder
from engine.documents.collection import number_of, update
from engine.documents.database import DocumentStore, sql_of
from engine.documents.embedders import Embedder, open_embedder
from engine.documents.prepare import prepared
from engine.documents.search import knows, neighbours, search
from engine.documents.searching import Held, Searching
from engine.requests.documents_search import by_document

TEXTS = {
    "panthers.txt": "The Panthers defence gave up 308 points.",
    "hamlet.pdf": "Hamlet is a tragedy by William Shakespeare.",
    "bread.md": "Bread is baked of flour and water.",
    "zh.txt": "黑豹队的防守丢了308分，排名第六。",
}


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DocumentStore]:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))
    made = DocumentStore(tmp_path / "documents.db")
    yield made
    made.close()


def real() -> Embedder:
    home = models_folder() / "all-minilm-l6-v2"
    home.mkdir(parents=True)
    for file in minilm().iterdir():
        (home / file.name).symlink_to(file)
    made = open_embedder("all-minilm-l6-v2", threads=1)
    assert made is not None
    return made


def test_words_and_meaning_find_together(store: DocumentStore) -> None:
    embedder = real()
    filled(store, "c", TEXTS, embedder)
    by_meaning = search(store, "c", "Which author created this play?", embedder=embedder)
    assert by_meaning.hits[0].name == "hamlet.pdf" and "dense" in by_meaning.hits[0].legs
    by_words = search(store, "c", "308 points", embedder=embedder)
    assert by_words.hits[0].name == "panthers.txt" and set(by_words.hits[0].legs) == {"lexical", "dense"}
    assert set(by_words.timings) == {"lexical_s", "embed_s", "dense_s"}
    assert 0 < by_words.hits[0].score <= 1 and by_words.hits[0].text == TEXTS["panthers.txt"]
    json.dumps(by_words.to_json())


PLAYS = {
    "hamlet.txt": "Hamlet is a tragedy by William Shakespeare.",
    "globe.txt": "Hamlet was written about 1600 for the Globe theatre.",
    "prince.txt": "Prince Hamlet avenges his father.",
    "lear.txt": "King Lear and Macbeth were staged in London.",
    "village.txt": "A hamlet is a village without a church.",
    "letter.txt": "The letter was written with blue ink.",
    "bread.txt": "Bread is baked of flour.",
    "rail.txt": "Trains shake the rails.",
    "guard.txt": "Who goes there, asked the guard.",
}


def test_what_is_found_first_leads_to_its_likes(store: DocumentStore) -> None:
    embedder = real()
    filled(store, "c", PLAYS, embedder)
    names = [hit.name for hit in search(store, "c", "When was Hamlet written?", embedder=embedder).hits]
    assert names[0] == "globe.txt"
    assert "lear.txt" in names  # has no word of the question, and is no nearer to it than most
    assert "rail.txt" not in names


def test_a_leg_that_does_not_know_the_language_is_left_out(store: DocumentStore) -> None:
    embedder = real()
    filled(store, "c", TEXTS, embedder)
    found = search(store, "c", "防守丢了多少分？", embedder=embedder)
    assert [hit.name for hit in found.hits] == ["zh.txt"]
    assert found.trust == {"lexical": 1.0, "dense": 0.0}
    assert found.notes == [{"code": "unknown_language", "language": "zh"}]
    english = search(store, "c", "Is the defence of flour good?", embedder=embedder)
    assert all("dense" not in hit.legs for hit in english.hits if hit.name == "zh.txt")


def test_vectors_of_another_embedder_are_never_compared(store: DocumentStore) -> None:
    one = open_embedder(tiny_installed("one"), threads=1)
    two = open_embedder(tiny_installed("two"), threads=1)
    filled(store, "c", TEXTS, one)
    found = search(store, "c", "308 points", embedder=two)
    assert found.notes == [{"code": "other_embedder"}] and found.trust["dense"] == 0


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"suffixes": ["pdf"]}, {"hamlet.pdf"}),
        ({"suffixes": [".MD", ".pdf"]}, {"hamlet.pdf", "bread.md"}),
        ({"files": [1]}, {"panthers.txt"}),
        ({"files": [99]}, set()),
        ({"folders": [1]}, set()),
        ({"before": 1.0}, set(TEXTS)),
        ({"after": 1.0}, set()),
        ({"files": [], "after": 0}, set(TEXTS)),
    ],
)
def test_filters(store: DocumentStore, filters: dict[str, object], names: set[str]) -> None:
    embedder = open_embedder(tiny_installed(), threads=1)
    filled(store, "c", TEXTS, embedder)
    question = "hamlet bread panthers 黑豹"
    found = search(store, "c", question, 10, filters, embedder)
    assert {hit.name for hit in found.hits} <= names
    words = search(store, "c", question, 10, filters)
    assert {hit.name for hit in words.hits} == names


@pytest.mark.parametrize(
    "filters", [{"files": ["1"]}, {"suffixes": "pdf"}, {"color": 1}, {"after": True}, {"files": [1 << 70]}]
)
def test_bad_filters_are_told(store: DocumentStore, filters: dict[str, object]) -> None:
    filled(store, "c", TEXTS)
    with pytest.raises(UserError) as told:
        search(store, "c", "x", filters=filters)
    assert told.value.code == "bad_filter"


def test_a_question_stands_for_its_chunk(store: DocumentStore) -> None:
    number = number_of(store, filled(store, "c", TEXTS))
    with store.transaction() as db:
        made = db.execute("INSERT INTO questions (chunk, text) VALUES (2, 'Who penned it?')").lastrowid
        db.execute(
            sql_of(number, "INSERT INTO {fts} (rowid, prepared) VALUES (?, ?)"), (made, prepared("Who penned it?"))
        )
    found = search(store, "c", "penned")
    assert [hit.name for hit in found.hits] == ["hamlet.pdf"]
    assert [hit.name for hit in search(store, "c", "penned", filters={"files": [2]}).hits] == ["hamlet.pdf"]
    assert search(store, "c", "penned", filters={"files": [1]}).hits == []


def test_neighbours_and_empty_questions(store: DocumentStore) -> None:
    number = number_of(store, filled(store, "c", TEXTS))
    add_text(
        store,
        number,
        "long.txt",
        "\n\n".join(f"Sentence {n} about unicorn{n}. " + "More words. " * 18 for n in range(5)),
    )
    hit = search(store, "c", "unicorn2").hits[0]
    beside = neighbours(store, hit)
    assert [row["number"] for row in beside] == [hit.number - 1, hit.number + 1]
    assert search(store, "c", "  ?! ").hits == [] and search(store, "c", "x" * 50_000).hits == []
    with pytest.raises(UserError) as told:
        search(store, "nowhere", "x")
    assert told.value.code == "unknown_collection"


def test_the_engine_keeps_the_embedder_and_does_without_it(store: DocumentStore) -> None:
    embedder = open_embedder(tiny_installed("tiny"), threads=1)
    identity = filled(store, "c", TEXTS, embedder)
    searching = Searching()
    found = searching.search(store, identity, "308 points")
    assert len(found.hits) == 4 and found.trust["dense"] > 0
    searching.close()
    (models_folder() / "tiny" / "manifest.json").unlink()
    without = Searching()
    found = without.search(store, identity, "308 points")
    assert found.hits and [note["code"] for note in found.notes] == ["no_embedder"]
    without.close()


def test_a_reranker_is_used_where_a_collection_or_a_question_wants_it(store: DocumentStore) -> None:
    tiny_installed("some-ranker", head=True)
    identity = filled(store, "c", TEXTS)
    searching = Searching()

    def reranked(wanted: str) -> bool:
        return "rerank" in searching.search(store, identity, "308 points", rerank=wanted).hits[0].legs

    assert [reranked(wanted) for wanted in ("", "auto", "off")] == [False, True, False]
    update(store, identity, {"rerank": "auto"})
    assert [reranked(wanted) for wanted in ("", "auto", "off")] == [True, True, False]
    searching.close()


def test_one_model_is_held_until_nobody_asks() -> None:
    log: list[str] = []

    class Model:
        def __init__(self, name: str) -> None:
            self.name = name
            log.append(f"open {name}")

        def close(self) -> None:
            log.append(f"close {self.name}")

    held = Held(Model)
    for name in ("a", "a", "b"):
        with held.use(name) as model:
            assert model.name == name
    held.close()
    assert log == ["open a", "close a", "open b", "close b"]


def test_languages() -> None:
    assert knows(("*",), "zh") and knows(("en",), "de") and not knows(("en",), "zh") and not knows(("zh",), "en")
    assert knows(("en",), "") and knows(("zh", "en"), "zh")


def test_a_document_counts_by_its_best_chunk(store: DocumentStore) -> None:
    filled(store, "c", {"a.txt": "apple pie", "b.txt": "apple apple tree"})
    ranked = by_document(search(store, "c", "apple").hits)
    assert sorted(name for name, _ in ranked) == ["a.txt", "b.txt"] and ranked[0][1] >= ranked[1][1]
