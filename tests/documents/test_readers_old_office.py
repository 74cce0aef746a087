"""Office files of 1997 to 2003: their text is found without any office program."""

from __future__ import annotations

from pathlib import Path

import pytest
from old_office_files import excel_97, powerpoint_97, word_97
from ole_writer import ole_file
from text_formats import PAGE

from engine.api.errors import UserError
from engine.documents.block import Block, Limits
from engine.documents.old_office.word_file import sprms
from engine.documents.readers import old_excel_xls, old_powerpoint_ppt, old_word_doc, outlook_msg


def kept(blocks: list[Block]) -> list[tuple[str, str, int]]:
    return [(block.kind, block.text, block.page) for block in blocks if block.text]


def test_word_97_has_headings_text_and_notes(tmp_path: Path) -> None:
    path = tmp_path / "a.doc"
    word_97(path, [("第一章 Vertrag", 1), ("Body \x13 HYPERLINK x\x14shown\x15 é", 0)], footnote="Below")
    blocks = list(old_word_doc.read(path, Limits()))
    assert kept(blocks) == [("heading", "第一章 Vertrag", 0), ("text", "Body shown é", 0), ("note", "Below", 0)]
    assert blocks[0].level == 1


def test_an_encrypted_word_97_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.doc"
    word_97(path, [("Nothing to see", 0)], flags=0x0100)
    with pytest.raises(UserError) as refused:
        list(old_word_doc.read(path, Limits()))
    assert refused.value.code == "protected_document"


def test_a_web_page_called_doc_is_read_as_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.doc"
    path.write_text(PAGE, encoding="utf-8")
    assert ("heading", "Ferry returns", 0) in kept(list(old_word_doc.read(path, Limits())))


def test_powerpoint_97_has_titles_text_and_notes_by_slide(tmp_path: Path) -> None:
    path = tmp_path / "a.ppt"
    powerpoint_97(path, [("Review", "First\nSecond", "Say hello"), ("标题二", "正文", "备注")])
    assert kept(list(old_powerpoint_ppt.read(path, Limits()))) == [
        ("heading", "Review", 1),
        ("text", "First", 1),
        ("text", "Second", 1),
        ("note", "Notes: Say hello", 1),
        ("heading", "标题二", 2),
        ("text", "正文", 2),
        ("note", "Notes: 备注", 2),
    ]


def test_excel_97_shows_dates_and_percentages(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    excel_97(path, "Prices", [["Item", "Share", "Since"], ["茶", (0.25, 9), (45352.0, 14)]])
    assert kept(list(old_excel_xls.read(path, Limits()))) == [
        ("heading", "Prices", 1),
        ("table", "| Item | Share | Since |\n| --- | --- | --- |\n| 茶 | 25% | 2024-03-01 |", 1),
        ("header", "Internal & secret", 1),
        ("footer", "Page", 1),
        ("caption", "Sales", 1),
    ]


def test_an_outlook_message(tmp_path: Path) -> None:
    path = tmp_path / "a.msg"
    parts = {"0037": "会议", "0C1A": "Ada", "1000": "Dear Li,\r\n\r\nFriday it is."}
    streams = {f"__substg1.0_{number}001F": text.encode("utf-16-le") for number, text in parts.items()}
    path.write_bytes(ole_file({**streams, "__properties_version1.0": b""}))
    assert kept(list(outlook_msg.read(path, Limits()))) == [
        ("heading", "会议", 0),
        ("text", "From: Ada", 0),
        ("text", "Dear Li,", 0),
        ("text", "Friday it is.", 0),
    ]


@pytest.mark.parametrize("reader", [old_word_doc, old_powerpoint_ppt, old_excel_xls, outlook_msg])
def test_an_ole_file_of_another_kind_is_unreadable(tmp_path: Path, reader: object) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(ole_file({"Something": b"else"}))
    with pytest.raises(UserError) as refused:
        list(reader.read(path, Limits()))  # type: ignore[attr-defined]
    assert refused.value.code == "unreadable_document"


def test_properties_are_read_past_those_of_any_length() -> None:
    skipped = b"\x08\xd6\x03\x00\x01\x02"  # a table definition: two bytes of length
    assert sprms(b"\x16\x24\x01" + skipped + b"\x17\x24\x01") == {0x2416: 1, 0x2417: 1}
