"""Word, PowerPoint and Excel files: what they say is found again, with its kind and its page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from office_files import STYLES, paragraph, plain_word_file, sheets_file, slides_file, word_file, word_xml

from engine.documents.block import Block, Limits
from engine.documents.office.list_numbers import written
from engine.documents.office.number_formats import shown
from engine.documents.readers import excel_xlsx, powerpoint_pptx, word_docx


def read(reader: Callable[[Path, Limits], object], path: Path) -> list[Block]:
    blocks = reader(path, Limits())
    return [block for block in blocks if block.text]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def word(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    return read(word_docx.read, word_file(tmp_path_factory.mktemp("word") / "contract.docx"))


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    return read(powerpoint_pptx.read, slides_file(tmp_path_factory.mktemp("slides") / "review.pptx"))


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> list[Block]:
    return read(excel_xlsx.read, sheets_file(tmp_path_factory.mktemp("sheets") / "prices.xlsx"))


def test_headings_have_their_level_through_styles_based_on_others(word: list[Block]) -> None:
    assert [(b.text, b.level) for b in word if b.kind == "heading"] == [("Contract", 1), ("Delivery", 2)]


def test_list_items_have_the_numbers_that_word_counts(word: list[Block]) -> None:
    assert [b.text for b in word if b.kind == "list"][:8] == [
        "Article 1. Scope",
        "  1.a) Detail",
        "  1.b) More",
        "Article 2. Terms",
        "- Loose",
        "第一条 付款",
        "第二条 交货",
        "Article 7. Restarted",
    ]


def test_a_table_keeps_its_rows_whatever_is_in_its_cells(word: list[Block]) -> None:
    (table,) = [b.text for b in word if b.kind == "table" and "Region" in b.text]
    assert table.split("\n") == [
        "| Region | Product | Price \\| net |",
        "| --- | --- | --- |",
        "| North | Tea green | 4.20 |",
        "| North | Coffee sold out |  |",
    ]


def test_notes_and_comments_follow_their_paragraph(word: list[Block]) -> None:
    texts = [b.text for b in word]
    at = texts.index("Footnote one[2]")
    assert texts[at : at + 6 : 1] == [
        "Footnote one[2]",
        "[2] Without value added tax",
        "Ends here[3]",
        "[3] See the annex",
        "Disputed",
        "Comment (Ada): Really?",
    ]
    assert {b.kind for b in word if b.text.startswith(("[", "Comment"))} == {"note"}


def test_what_is_deleted_or_hidden_is_left_out(word: list[Block]) -> None:
    everything = "\n".join(b.text for b in word)
    assert "Inserted words" in everything
    for gone in ("Deleted words", "Invisible ink", "Hidden by style", "----"):
        assert gone not in everything


def test_boxes_charts_diagrams_and_pictures_say_what_they_show(word: list[Block]) -> None:
    texts = [b.text for b in word]
    assert texts.count("Words in a box") == 1
    assert "A map of the harbour" in texts
    assert "Harvest by year" in texts
    assert "| – | Tonnes |\n| --- | --- |\n| 2021 | 25% |\n| 2022 | 50% |" in texts
    assert texts[texts.index("- Plan") + 1] == "- Build"


def test_headers_footers_formulas_and_pages(word: list[Block]) -> None:
    assert (word[0].kind, word[0].text) == ("header", "Strictly confidential")
    assert (word[-1].kind, word[-1].text) == ("footer", "Harbour Company")
    assert "(a)/(b)" in [b.text for b in word]
    assert [b.page for b in word if b.text in ("Contract", "On the second page")] == [1, 2]


def test_what_python_docx_writes_is_read(tmp_path: Path) -> None:
    blocks = read(word_docx.read, plain_word_file(tmp_path / "a.docx", "Tide tables", "High water at noon."))
    assert [(b.kind, b.text) for b in blocks] == [("heading", "Tide tables"), ("text", "High water at noon.")]


def test_a_run_may_show_what_its_style_hides(tmp_path: Path) -> None:
    shown_again = paragraph("Shown again", "Secret", run='<w:vanish w:val="0"/>')
    path = word_xml(tmp_path / "a.docx", shown_again + paragraph("Still hidden", "Secret"), styles=STYLES)
    assert [b.text for b in read(word_docx.read, path)] == ["Shown again"]


def test_pages_go_on_after_a_table_over_two_pages(tmp_path: Path) -> None:
    cell = "<w:tc><w:p><w:r>{}<w:t>{}</w:t></w:r></w:p></w:tc>"
    turn = "<w:lastRenderedPageBreak/>"
    rows = cell.format("", "a") + cell.format("", "b"), cell.format(turn, "c") + cell.format(turn, "d")
    table = "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in rows) + "</w:tbl>"
    blocks = read(word_docx.read, word_xml(tmp_path / "a.docx", table + paragraph("After")))
    assert [(b.kind, b.page) for b in blocks] == [("table", 1), ("text", 2)]


def test_the_strict_form_of_the_format_is_read(tmp_path: Path) -> None:
    path = word_xml(tmp_path / "strict.docx", paragraph("Strict words"))
    import zipfile

    with zipfile.ZipFile(path) as package:
        members = {name: package.read(name) for name in package.namelist()}
    strict = members["word/document.xml"].replace(
        b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
        b"http://purl.oclc.org/ooxml/wordprocessingml/main",
    )
    with zipfile.ZipFile(path, "w") as package:
        for name, data in (members | {"word/document.xml": strict}).items():
            package.writestr(name, data)
    assert [b.text for b in read(word_docx.read, path)] == ["Strict words"]


def test_a_slide_is_a_page_with_its_title_first(slides: list[Block]) -> None:
    assert [(b.text, b.page) for b in slides if b.kind == "heading"] == [("Quarterly review", 1), ("Numbers", 2)]
    assert [b.text for b in slides if b.page == 1] == [
        "Quarterly review",
        "Sales rose",
        "Costs fell",
        "Notes: Thank the team",
    ]


def test_tables_charts_and_groups_of_slides(slides: list[Block]) -> None:
    texts = [b.text for b in slides if b.page == 2]
    assert "| City | Shops |\n| --- | --- |\n| Lyon | 12 |" in texts
    assert "Growth by region" in texts
    assert "| – | Growth |\n| --- | --- |\n| East | 10% |\n| West | 35% |" in texts
    assert "Inside a group" in texts


def test_a_sheet_is_a_page_under_its_name_and_hidden_ones_stay_hidden(sheets: list[Block]) -> None:
    assert [(b.text, b.page) for b in sheets if b.kind == "heading"] == [("Prices", 1), ("Other", 2)]
    assert "Password" not in "\n".join(b.text for b in sheets)


def test_cells_are_shown_as_the_sheet_shows_them(sheets: list[Block]) -> None:
    texts = [b.text for b in sheets]
    assert texts[1] == "Price list"
    assert texts[2].split("\n") == [
        "| Item | Share | Since |",
        "| --- | --- | --- |",
        "| 茶 | 15.5% | 2024-03-01 |",
        "| Total | =SUM(B4:B4) |  |",
    ]


def test_comments_headers_and_charts_of_a_sheet(sheets: list[Block]) -> None:
    said = {(b.kind, b.text) for b in sheets}
    assert ("header", "Internal use") in said
    assert ("caption", "Share of tea") in said
    assert any(kind == "note" and "Only green tea" in text and "A4" in text for kind, text in said)


@pytest.mark.parametrize(
    ("value", "code", "text"),
    [
        (0.155, "0.0%", "15.5%"),
        (45352.0, "yyyy-mm-dd", "2024-03-01"),
        (45352.75, "d/m/yy h:mm", "2024-03-01 18:00:00"),
        (0.5, "h:mm AM/PM", "12:00:00"),
        (1.25, "[h]:mm:ss", "30:00:00"),
        (45352.0, '[$-804]yyyy"年"m"月"', "2024-03-01"),
        (59.0, "yyyy-mm-dd", "1900-02-28"),
        (1234567.0, '#,##0.00 "days"', "1234567"),
        (0.1 + 0.2, "General", "0.3"),
        (-3.0, "yyyy-mm-dd", "-3"),
    ],
)
def test_number_formats(value: float, code: str, text: str) -> None:
    assert shown(value, code) == text


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [
        (14, "upperRoman", "XIV"),
        (28, "lowerLetter", "bb"),
        (105, "chineseCounting", "一百零五"),
        (12, "chineseCounting", "十二"),
        (3, "ideographTraditional", "丙"),
        (3, "chineseLegalSimplified", "叁"),
        (21, "decimalEnclosedCircle", "㉑"),
        (7, "decimalZero", "07"),
        (9, "someFutureKind", "9"),
    ],
)
def test_list_numbers(value: int, kind: str, text: str) -> None:
    assert written(value, kind) == text
