"""Known facts of one file in each format, through the real reading process; the share found is printed and held."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from office_files import sheets_file, slides_file, word_file
from old_office_files import excel_97, powerpoint_97, word_97
from text_formats import PAGE, RTF, book_file, flat_text, mail_file, open_sheets, open_slides, open_text

from engine.documents.block import Document
from engine.documents.reading import Reading

SHARE = 0.97

MAKERS: dict[str, Callable[[Path], object]] = {
    "a.docx": word_file,
    "a.pptx": slides_file,
    "a.xlsx": sheets_file,
    "a.odt": open_text,
    "a.fodt": flat_text,
    "a.ods": open_sheets,
    "a.odp": open_slides,
    "a.epub": book_file,
    "a.eml": mail_file,
    "a.html": lambda path: path.write_text(PAGE, encoding="utf-8"),
    "a.rtf": lambda path: path.write_bytes(RTF),
    "a.csv": lambda path: path.write_text("名称,价格\n茶,4.20\n", encoding="utf-16"),
    "a.tsv": lambda path: path.write_text("Key\tValue\nDepth\t12 m\n"),
    "a.doc": lambda path: word_97(path, [("第一章 Vertrag", 1), ("Body text é", 0)], "A footnote"),
    "a.ppt": lambda path: powerpoint_97(path, [("Review", "First point", "Say hello")]),
    "a.xls": lambda path: excel_97(path, "Prices", [["Item", "Share", "Since"], ["茶", (0.25, 9), (45352.0, 14)]]),
}
# kind (or "" for any), page (0 for none) and the words of a fact.
FACTS: dict[str, list[tuple[str, int, str]]] = {
    "a.docx": [
        ("heading", 1, "Delivery"),
        ("list", 1, "Article 2. Terms"),
        ("list", 1, "1.b) More"),
        ("list", 1, "第二条 交货"),
        ("table", 1, "North | Tea green | 4.20"),
        ("header", 0, "Strictly confidential"),
        ("footer", 0, "Harbour Company"),
        ("note", 1, "Without value added tax"),
        ("note", 1, "See the annex"),
        ("note", 1, "Really?"),
        ("text", 1, "Words in a box"),
        ("caption", 1, "A map of the harbour"),
        ("caption", 1, "Harvest by year"),
        ("table", 1, "2022 | 50%"),
        ("list", 1, "Build"),
        ("text", 2, "On the second page"),
    ],
    "a.pptx": [
        ("heading", 2, "Numbers"),
        ("", 1, "Sales rose"),
        ("note", 1, "Thank the team"),
        ("table", 2, "Lyon | 12"),
        ("caption", 2, "Growth by region"),
        ("table", 2, "West | 35%"),
        ("", 2, "Inside a group"),
    ],
    "a.xlsx": [
        ("heading", 1, "Prices"),
        ("heading", 2, "Other"),
        ("table", 1, "茶 | 15.5% | 2024-03-01"),
        ("note", 1, "Only green tea"),
        ("header", 1, "Internal use"),
        ("caption", 1, "Share of tea"),
    ],
    "a.odt": [
        ("heading", 1, "I. Tides"),
        ("list", 1, "1.a) Chain"),
        ("list", 1, "3. Rudder"),
        ("table", 2, "Brest | 9 m"),
        ("note", 1, "At noon"),
        ("note", 1, "Check this"),
        ("header", 0, "Harbour Gazette"),
        ("footer", 0, "Printed in Lyon"),
        ("", 1, "Boxed words"),
        ("caption", 1, "Catch by month"),
        ("table", 1, "May | 40"),
    ],
    "a.fodt": [("text", 0, "Flat sea")],
    "a.ods": [("heading", 1, "Prices"), ("table", 1, "茶 | 15.5% | 2024-03-01")],
    "a.odp": [("heading", 1, "Sailing"), ("text", 1, "Wind and water"), ("note", 1, "Smile")],
    "a.epub": [("heading", 0, "Chapter 2"), ("text", 0, "A. Sailor"), ("text", 0, "Land at last.")],
    "a.eml": [
        ("heading", 0, "会议 notes"),
        ("text", 0, "Ada <ada@example.org>"),
        ("text", 0, "the meeting is on Friday."),
    ],
    "a.html": [
        ("heading", 0, "Ferry returns"),
        ("list", 0, "4. Board"),
        ("table", 0, "Brest | 6 €"),
        ("footer", 0, "Imprint"),
    ],
    "a.rtf": [
        ("heading", 0, "Weather"),
        ("text", 0, "Café and € twenty 水"),
        ("list", 0, "1. First watch"),
        ("table", 0, "Mon | NW"),
        ("note", 0, "Under the line"),
        ("header", 0, "Ship's log"),
    ],
    "a.csv": [("table", 0, "茶 | 4.20")],
    "a.tsv": [("table", 0, "Depth | 12 m")],
    "a.doc": [("heading", 0, "第一章 Vertrag"), ("text", 0, "Body text é"), ("note", 0, "A footnote")],
    "a.ppt": [("heading", 1, "Review"), ("text", 1, "First point"), ("note", 1, "Say hello")],
    "a.xls": [
        ("heading", 1, "Prices"),
        ("table", 1, "茶 | 25% | 2024-03-01"),
        ("header", 1, "Internal"),
        ("caption", 1, "Sales"),
    ],
}


def holds(document: Document, kind: str, page: int, words: str) -> bool:
    return any(words in block.text and kind in ("", block.kind) and block.page == page for block in document.blocks)


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Document]:
    folder = tmp_path_factory.mktemp("facts")
    with Reading() as reading:
        for name, make in MAKERS.items():
            make(folder / name)
        return {name: reading.read(folder / name) for name in MAKERS}


def test_the_share_of_facts_found(
    documents: dict[str, Document], record_property: Callable[[str, object], None]
) -> None:
    missing = [(name, fact) for name, facts in FACTS.items() for fact in facts if not holds(documents[name], *fact)]
    asked = sum(map(len, FACTS.values()))
    share = 1 - len(missing) / asked
    record_property("facts", asked)
    record_property("share", share)
    print(f"facts found: {share:.3f} of {asked} in {len(FACTS)} formats; missing: {missing}")
    assert share >= SHARE, missing


def test_every_place_is_where_it_says(documents: dict[str, Document]) -> None:
    for name, document in documents.items():
        assert document.blocks, name
        for block in document.blocks:
            assert document.text[block.start : block.end] == block.text, name


def test_no_table_row_is_broken(documents: dict[str, Document]) -> None:
    tables = [block.text for document in documents.values() for block in document.blocks if block.kind == "table"]
    assert len(tables) > 10
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.split("\n")}
        assert len(widths) == 1, table
