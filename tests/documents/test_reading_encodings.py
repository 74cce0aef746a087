"""Text without a mark is read in the encoding it was written in, however short it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.documents.block import Limits
from engine.documents.readers import plain_text
from engine.documents.text_encoding import decoded, is_text

SIMPLIFIED = "今天天气很好，我们去公园散步。合同编号：2024-001，甲方是北京的一家科技公司。"
TRADITIONAL = "今天天氣很好，我們去公園散步。合約編號：2024-001，甲方是臺北的一家科技公司。"
JAPANESE = "今日は天気がいいので、公園へ散歩に行きました。これは文字コードのテストです。"
KOREAN = "오늘은 날씨가 좋아서 공원에 산책을 갔습니다."
RUSSIAN = "Сегодня хорошая погода, и мы пошли гулять в парк."
GERMAN = "Größe und Übermut: die Straße führt über den Fluß."
FRENCH = "L’été dernier, nous avons déjà mangé à Orléans — 12 €."
POLISH = "Zażółć gęślą jaźń, proszę państwa."
GREEK = "Καλημέρα κόσμε, τι κάνεις;"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (SIMPLIFIED, "utf-8"),
        (SIMPLIFIED, "utf-8-sig"),
        (SIMPLIFIED, "utf-16"),
        (SIMPLIFIED, "utf-16-le"),
        (SIMPLIFIED, "utf-16-be"),
        (SIMPLIFIED, "utf-32"),
        (SIMPLIFIED, "utf-32-le"),
        (SIMPLIFIED, "gb18030"),
        ("你好", "gb18030"),
        ("普通文字", "gb18030"),
        ("甲方：北京", "gb18030"),
        ("公司 name", "gb18030"),
        ("合同编号: 2024-001\n甲方：北京某某科技有限公司", "gb18030"),
        ("沧海月明珠有泪，蓝田日暖玉生烟", "gb18030"),
        (TRADITIONAL, "big5"),
        ("價格", "big5"),
        ("滄海月明珠有淚，藍田日暖玉生煙", "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (KOREAN, "euc_kr"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        ("ИТОГО: 15 рублей", "cp1251"),
        (GERMAN, "cp1252"),
        (GERMAN, "latin-1"),
        (FRENCH, "cp1252"),
        (POLISH, "cp1250"),
        (GREEK, "cp1253"),
        ("Plain English", "utf-16-le"),
        ("Plain English", "ascii"),
        ("price 5€ — naïve", "cp1252"),
    ],
)
def test_text_comes_back_as_it_was(text: str, encoding: str) -> None:
    data = text.encode(encoding)
    assert is_text(data)
    assert decoded(data) == text


def test_a_character_on_the_edge_of_the_sample_does_not_mislead() -> None:
    text = "a" + "汉" * 40_000
    assert decoded(text.encode("utf-8")) == text
    assert decoded(("ab" + SIMPLIFIED * 2000).encode("gb18030")) == "ab" + SIMPLIFIED * 2000


@given(st.binary(max_size=400))
def test_any_bytes_are_decoded_somehow(data: bytes) -> None:
    assert isinstance(decoded(data), str)
    assert is_text(data) in (True, False)


@given(st.text(min_size=1, max_size=200))
def test_utf8_is_never_taken_for_another(text: str) -> None:
    if "\0" not in text:
        assert decoded(text.encode("utf-8", "ignore")) == text.encode("utf-8", "ignore").decode().removeprefix("\ufeff")


def test_a_text_file_in_gb18030_gives_its_paragraphs(tmp_path: Path) -> None:
    path = tmp_path / "合同.txt"
    path.write_bytes("第一段，\r\n两行。\r\n\r\n第二段。".encode("gb18030"))
    assert [block.text for block in plain_text.read(path, Limits())] == ["第一段，\n两行。", "第二段。"]
