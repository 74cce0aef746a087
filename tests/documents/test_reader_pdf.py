"""PDFs made here, with known facts: what is read of them, in which order, and where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pdf_kit
import pytest
from fpdf import FPDF

from engine.api.errors import UserError
from engine.documents.block import Block, Document, Limits
from engine.documents.reading import Reading

LEFT = [f"The left column tells of ships, sentence {n} of many," for n in range(12)]
RIGHT = [f"The right column tells of trains, sentence {n} too," for n in range(12)]


@pytest.fixture(scope="module")
def reading() -> Iterator[Reading]:
    with Reading(Limits(seconds=60, memory=400 << 20, ocr=False)) as warm:
        yield warm


def texts(document: Document, kind: str) -> list[str]:
    return [block.text for block in document.blocks if block.kind == kind]


def report(path: Path) -> Path:
    """Six pages with a running header, numbered footer, chapters, sections, paragraphs and a ruled table."""

    class Report(FPDF):
        def header(self) -> None:
            self.set_font("Helvetica", size=8)
            self.cell(0, 8, "Annual Report of the Harbour Bridge Authority", new_x="LMARGIN", new_y="NEXT")

        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("Helvetica", size=8)
            self.cell(0, 8, f"Page {self.page_no()} of 6", align="C")

    pdf = Report()
    for number in range(1, 7):
        pdf.add_page()
        pdf.set_font("Helvetica", "B", 18)
        pdf.cell(0, 12, f"{number} Chapter about Bridges", new_x="LMARGIN", new_y="NEXT")
        pdf.set_font("Helvetica", size=11)
        body = f"In year {number} the bridge carried {number}4,215 cars. " + "It was closed for repairs in spring. " * 6
        pdf.multi_cell(0, 5.5, body, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(4)
        with pdf.table() as table:
            for cells in [
                ("City", "People", "Founded"),
                ("Ghent", f"265,08{number}", "630"),
                ("Bruges", "118,509", "1128"),
            ]:
                row = table.row()
                for cell in cells:
                    row.cell(cell)
    pdf.output(str(path))
    return path


def test_a_report_keeps_its_structure(reading: Reading, tmp_path: Path) -> None:
    document = reading.read(report(tmp_path / "report.pdf"))
    assert document.pages == 6
    assert texts(document, "header") == ["Annual Report of the Harbour Bridge Authority"] * 6
    assert texts(document, "footer") == [f"Page {n} of 6" for n in range(1, 7)]
    assert texts(document, "heading") == [f"{n} Chapter about Bridges" for n in range(1, 7)]
    assert texts(document, "table")[2].splitlines() == [
        "| City | People | Founded |",
        "| --- | --- | --- |",
        "| Ghent | 265,083 | 630 |",
        "| Bruges | 118,509 | 1128 |",
    ]
    paragraphs = texts(document, "text")
    assert len(paragraphs) == 6
    assert paragraphs[3].startswith("In year 4 the bridge carried 44,215 cars. It was closed")


def test_every_block_of_a_pdf_has_its_place(reading: Reading, tmp_path: Path) -> None:
    document = reading.read(report(tmp_path / "report.pdf"))
    for block in document.blocks:
        assert 1 <= block.page <= 6 and block.boxes
        for box in block.boxes:
            assert box.page == block.page
            assert 0 <= box.left < box.right <= 596 and 0 <= box.top < box.bottom <= 843


def test_boxes_are_where_the_words_are(reading: Reading, tmp_path: Path) -> None:
    """100 mm from the left and 50 mm from the top are 283 and 142 points; the baseline is the box's bottom."""
    document = reading.read(pdf_kit.plain(tmp_path / "a.pdf", [[(100, 50, 12, "Xanadu")]]))
    box = document.blocks[0].boxes[0]
    assert box.left == pytest.approx(283.5, abs=2) and box.bottom == pytest.approx(141.7, abs=2)
    assert 8 < box.bottom - box.top < 14 and 35 < box.right - box.left < 50


@pytest.mark.parametrize("row_wise", [False, True])
def test_columns_are_read_one_after_the_other(reading: Reading, tmp_path: Path, row_wise: bool) -> None:
    both = [[(15, 30 + 5 * n, 9, LEFT[n]) for n in range(12)], [(110, 30 + 5 * n, 9, RIGHT[n]) for n in range(12)]]
    order = [line for pair in zip(*both, strict=True) for line in pair] if row_wise else both[0] + both[1]
    document = reading.read(pdf_kit.plain(tmp_path / "columns.pdf", [order]))
    assert document.text.replace("\n\n", " ") == " ".join(LEFT + RIGHT)


def test_words_cut_at_a_line_end_are_whole_again(reading: Reading, tmp_path: Path) -> None:
    lines = [
        "The commission published its recom-",
        "mendations on infrastructure in spring,",
        "and a well-known report.",
    ]
    page = [(20, 30 + 5.0 * n, 11.0, line) for n, line in enumerate(lines)]
    document = reading.read(pdf_kit.plain(tmp_path / "a.pdf", [page]))
    expected = "The commission published its recommendations on infrastructure in spring, and a well-known report."
    assert document.text == expected


def test_chinese_lines_are_joined_without_blanks(reading: Reading, tmp_path: Path) -> None:
    lines = [
        "北京是中华人民共和国的首都，位于华北平原",
        "北部。全市总面积约一万六千四百一十平方公",
        "里，常住人口两千一百八十九万人。",
    ]
    page = [
        (60.0, 80.0, 20.0, "第一章 城市概况"),
        *((60.0, 120.0 + 18 * n, 12.0, line) for n, line in enumerate(lines)),
    ]
    document = reading.read(pdf_kit.chinese(tmp_path / "zh.pdf", page))
    assert [(block.kind, block.text) for block in document.blocks] == [
        ("heading", "第一章 城市概况"),
        ("text", "".join(lines)),
    ]


def test_boxes_of_a_turned_page_are_as_it_is_shown(reading: Reading, tmp_path: Path) -> None:
    """Turned by 90 degrees clockwise, what stood at the top left stands at the top right."""
    document = reading.read(pdf_kit.chinese(tmp_path / "zh.pdf", [(60, 80, 12, "旋转的页面")], rotate=90))
    box = document.blocks[0].boxes[0]
    assert document.text == "旋转的页面"
    assert box.left > 842 - 110 and 55 < box.top < 65 and box.bottom - box.top > 50


def test_lists_keep_their_marks(reading: Reading, tmp_path: Path) -> None:
    lines = ["- first item", "- second item that is", "1. numbered", "2) also numbered", "(415) 555-0199"]
    page = [(20, 30 + 6.0 * n, 11.0, line) for n, line in enumerate(lines)]
    document = reading.read(pdf_kit.plain(tmp_path / "a.pdf", [page]))
    assert texts(document, "list")[:3] == ["- first item", "- second item that is", "1. numbered"]
    assert not any(text.startswith("(415)") for text in texts(document, "list"))


def test_a_password_is_said(reading: Reading, tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.set_encryption(owner_password="o", user_password="u")
    pdf.add_page()
    pdf.output(str(tmp_path / "locked.pdf"))
    with pytest.raises(UserError) as failure:
        reading.read(tmp_path / "locked.pdf")
    assert failure.value.code == "protected_document"


def test_scans_are_noted_where_ocr_is_off(reading: Reading, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (300, 300), "grey").save(tmp_path / "scan.png")
    pdf = FPDF()
    pdf.add_page()
    pdf.image(str(tmp_path / "scan.png"), w=180)
    pdf.output(str(tmp_path / "scan.pdf"))
    document = reading.read(tmp_path / "scan.pdf")
    assert document.blocks == () and "1" in document.notes[0]


@pytest.mark.parametrize("kept", [0, 8, 400, 2000])
def test_a_cut_off_pdf_is_one_error_or_what_is_left(reading: Reading, tmp_path: Path, kept: int) -> None:
    path = tmp_path / "cut.pdf"
    path.write_bytes(report(tmp_path / "whole.pdf").read_bytes()[:kept])
    with pytest.raises(UserError) as failure:
        reading.read(path)
    assert failure.value.code == "unreadable_document"


def hostile(path: Path, which: str) -> Path:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %s] /Contents 4 0 R /Resources << >> >>"
    catalogue = b"<< /Type /Catalog /Pages 2 0 R >>"
    tree = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    text = pdf_kit.stream(b"0 0 100 100 re f")
    objects = {
        "huge": [catalogue, tree, page % b"1000000 1000000", text],
        "many": [catalogue, b"<< /Type /Pages /Kids [3 0 R] /Count 900000000 >>", page % b"595 842", text],
        "circle": [catalogue, b"<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>", page % b"595 842", text],
        "form": [
            catalogue,
            tree,
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /XObject << /A 5 0 R >> >> >>",
            pdf_kit.stream(b"/A Do /A Do"),
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /A 5 0 R >> >> /Length 11 >>"
            b"\nstream\n/A Do /A Do\nendstream",
        ],
        "flat": [catalogue, tree, page % b"0 0", text],
    }
    return pdf_kit.written(path, objects[which])


@pytest.mark.parametrize("which", ["huge", "many", "circle", "form", "flat"])
def test_hostile_pdfs_cost_nothing_but_themselves(reading: Reading, tmp_path: Path, which: str) -> None:
    """Each is read as far as it goes or refused in words; the reading goes on with the next file."""
    try:
        blocks: tuple[Block, ...] = reading.read(hostile(tmp_path / "bad.pdf", which)).blocks
    except UserError as error:
        assert error.code in ("unreadable_document", "too_large_document", "document_memory")
    else:
        assert blocks == ()
    good = reading.read(pdf_kit.plain(tmp_path / "good.pdf", [[(20, 30, 12, "Still here")]]))
    assert good.text == "Still here"


def test_a_page_limit_refuses_what_is_longer(tmp_path: Path) -> None:
    path = pdf_kit.plain(tmp_path / "long.pdf", [[(20, 30, 12, f"Page {n}")] for n in range(12)])
    with Reading(Limits(pages=10)) as short, pytest.raises(UserError) as failure:
        short.read(path)
    assert failure.value.code == "too_large_document"
