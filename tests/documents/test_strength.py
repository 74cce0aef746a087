"""Whether passages can answer a question at all, judged by their words and letters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import index_kit
import pytest

from engine.documents.database import DocumentStore
from engine.documents.evidence import weighed
from engine.documents.letters import Letters
from engine.documents.search import search
from engine.documents.strength import Strength, strength
from engine.documents.wording import Weights, weights_in

Judge = Callable[[str], Strength]
LUNCH = "Lunch in the canteen costs six euros. On Fridays there is fish, and the coffee is free for all."
THEATRE = "夏季剧院位于附近的萨克森花园（波兰语：Ogród Saski），1870年至1939年营业。"


@pytest.fixture
def judged(home: Path, tmp_path: Path) -> Iterator[Judge]:
    """How strong the findings are for a question, in a collection of a few small files."""
    (tmp_path / "in").mkdir()
    for name, text in (("lunch", LUNCH), ("theatre", THEATRE), ("ship", "The ship Aurora has two masts.")):
        (tmp_path / "in" / f"{name}.txt").write_text(text, encoding="utf-8")
    store = DocumentStore()
    row = index_kit.made(store, tmp_path / "in")
    index_kit.index(row)

    def judge(question: str) -> Strength:
        hits = search(store, row["id"], question).hits[:4]
        return strength(question, hits, weighed(hits), weights_in(store, row["number"]))

    yield judge
    store.close()


@pytest.mark.parametrize(
    "question",
    [
        "How much does lunch in the canteen cost?",
        "What day is there fish in the canteen?",
        "How many masts does the ship Aurora have?",
        "夏季剧院在哪里？",
        "夏季剧院营业了多长时间？",
        "萨克森花园用波兰语怎么说？",
    ],
)
def test_words_that_only_ask_are_not_missed(judged: Judge, question: str) -> None:
    assert not judged(question).weak


@pytest.mark.parametrize(
    "question",
    [
        "How much does dinner in the restaurant of the museum cost?",
        "Who is the captain of the ship Bounty?",
        "国家博物馆在哪里？",
        "华沙的冬季游泳馆何时营业？",
    ],
)
def test_what_the_files_do_not_say_is_weak(judged: Judge, question: str) -> None:
    assert judged(question).weak


def test_letters_are_held_with_a_neighbour_of_theirs_only() -> None:
    letters = Letters("萨克森花园用波兰语Ogród怎么说？", Weights(lambda word: 1, 100))
    assert letters.share(THEATRE) > 0.8
    assert letters.missing(THEATRE)[0] == 2, "用 and 说: pairs across two words are no words that are missing"
    assert letters.share("萨，克，森，花，园，波，兰，语") == 0.0
    assert Letters("？", Weights(lambda word: 1, 100)).share(THEATRE) == 0.0


def test_weights_know_how_many_chunks_there_are(home: Path, tmp_path: Path) -> None:
    store = DocumentStore()
    row = index_kit.made(store, index_kit.write_folder(tmp_path / "in", 7))
    index_kit.index(row)
    weights = weights_in(store, row["number"])
    assert weights.chunks == 7
    assert weights.of("machin") < weights.of("number3x") < weights.full
    store.close()
