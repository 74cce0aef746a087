"""Text and questions as FTS5 gets them, checked through FTS5."""

from __future__ import annotations

import sqlite3

import pytest

from engine.documents.prepare import (
    TOKENIZER,
    has_cjk,
    match_any,
    prepared,
    query_terms,
    query_words,
    spoken,
    stop_words,
)

TEXTS = [
    "黑豹队的防守只丢了308分。",
    "The Panthers' defence gave up 308 points, running well.",
    "文件用GB18030编码，不是UTF-8。",
    "Written in C++ and C#, mail li.wei@example.com, pi is 3.14, price 1,234.50",
    "東京タワーの高さは333メートル",
    "서울의 날씨",
]


@pytest.fixture
def table() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize = '{TOKENIZER}')")
    made.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", enumerate(map(prepared, TEXTS)))
    return made


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ("防守丢了多少分?", 0),
        ("How did the panther run?", 1),
        ("defence", 1),
        ("GB 18030", 2),
        ("gb18030是什么", 2),
        ("C#", 3),
        ("Who is li.wei@example.com?", 3),
        ("3.14", 3),
        ("1234.50", 3),
        ("タワー", 4),
        ("ﾀﾜｰ", 4),
        ("날씨", 5),
    ],
)
def test_a_question_finds_its_text_first(table: sqlite3.Connection, question: str, found: int) -> None:
    sql = "SELECT rowid FROM words WHERE words MATCH ? ORDER BY rank"
    assert table.execute(sql, (match_any(query_words(question)),)).fetchall()[0] == (found,)


def test_a_stem_is_asked_by_the_word_it_came_of() -> None:
    asked = spoken("Does Pressure INCREASE in GB18030 at 3.14 黑豹?")
    assert (asked["pressur"], asked["increas"], asked["gb18030"]) == ("pressure", "increase", "gb18030")
    assert all(asked[word] == word for word in ("黑豹", "黑", "3d14"))
    assert spoken("\x00 ?!") == {}


def test_pairs_do_not_cross_signs_and_stop_words_do_not_make_pairs() -> None:
    assert "队防" not in prepared("黑豹队，防守")
    assert query_words("首都是什么时候建成") == ["首都", "建成", "首", "建", "成"]
    assert "什么" in stop_words()


def test_stop_words_are_asked_where_there_is_nothing_else() -> None:
    assert query_words("the who") == ["the", "who"]
    assert query_words("这是什么") != []
    assert query_words(" ?! ") == [] and match_any([]) == ""


def test_rarest_first_within_a_budget() -> None:
    counts = {"panther": 3, "defenc": 40, "point": 500}
    question = "points of the Panthers' defence unicorn"
    assert query_terms(question, lambda word: counts.get(word, 0)) == ["panther", "defenc", "point"]
    assert query_terms(question, lambda word: counts.get(word, 0), budget=100) == ["panther", "defenc"]
    assert query_terms(question, lambda word: counts.get(word, 0), budget=1) == ["panther"]


def test_single_characters_come_after_pairs() -> None:
    assert query_terms("黑豹", {"黑豹": 9, "黑": 1, "豹": 2}.__getitem__) == ["黑豹", "黑", "豹"]


def test_hostile_text_is_stored_and_asked(table: sqlite3.Connection) -> None:
    for text in ['"', "a\x00b", "\ud800", 'x" OR words:', "NEAR(a b)", "\U00020000\U00020001", "9" * 5000]:
        table.execute("INSERT INTO words(text) VALUES (?)", (prepared(text),))
        expression = match_any(query_words(text))
        if expression:
            assert table.execute("SELECT count(*) FROM words WHERE words MATCH ?", (expression,)).fetchone()[0] >= 1


def test_what_is_written_in_which_letters() -> None:
    assert has_cjk("GB编码") and has_cjk("タワー") and not has_cjk("GB18030 — café")
