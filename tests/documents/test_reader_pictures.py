"""Pictures: read by OCR with the models of the wheel, and looked at as page pictures."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pdf_kit
import pytest
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from engine.api.errors import UserError
from engine.documents.block import Limits
from engine.documents.reading import Reading

LINES = ["Invoice No. 48213", "Total due: EUR 1,284.50"]
CHINESE = "甲方应于三十日内支付全部款项"
CJK_FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/System/Library/Fonts/PingFang.ttc",
    "C:/Windows/Fonts/simsun.ttc",
)


@pytest.fixture(scope="module")
def reading() -> Iterator[Reading]:
    with Reading(Limits(seconds=120)) as warm:
        yield warm


def drawn(path: Path, lines: list[str], font: str = "") -> Path:
    image = Image.new("RGB", (740, 740), "white")
    pen = ImageDraw.Draw(image)
    letters = ImageFont.truetype(font, 34) if font else ImageFont.load_default(size=34)
    for number, line in enumerate(lines):
        pen.text((40, 40 + 120 * number), line, font=letters, fill="black")
    image.save(path)
    return path


def test_a_picture_of_english_is_read_with_places(reading: Reading, tmp_path: Path) -> None:
    document = reading.read(drawn(tmp_path / "scan.png", LINES))
    assert [block.text for block in document.blocks] == LINES
    box = document.blocks[1].boxes[0]
    assert box.page == 1
    assert box.left == pytest.approx(40 * 0.75, abs=5) and 160 * 0.75 - 5 < box.top < box.bottom < 212 * 0.75


def test_a_picture_of_chinese_is_read(reading: Reading, tmp_path: Path) -> None:
    font = next((name for name in CJK_FONTS if Path(name).exists()), "")
    if not font:
        pytest.skip("no Chinese font to draw with")
    assert CHINESE in reading.read(drawn(tmp_path / "zh.png", [CHINESE], font)).text


def test_a_scanned_pdf_is_read_and_says_so(reading: Reading, tmp_path: Path) -> None:
    pdf = FPDF()
    pdf.add_page()
    pdf.image(str(drawn(tmp_path / "scan.png", LINES[:1])), x=10, y=20, w=120)
    pdf.output(str(tmp_path / "scan.pdf"))
    document = reading.read(tmp_path / "scan.pdf")
    assert document.text == LINES[0]
    assert document.notes and "OCR" in document.notes[0]
    box = document.blocks[0].boxes[0]
    assert 28 < box.left < 60 and 56 < box.top < box.bottom < 120


def test_without_ocr_a_picture_is_noted_and_skipped(tmp_path: Path) -> None:
    with Reading(Limits(ocr=False)) as reading:
        document = reading.read(drawn(tmp_path / "scan.png", LINES))
    assert document.blocks == () and len(document.notes) == 1


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (png_that_claims(60_000, 60_000), "too_large_document"),
        (png_that_claims(400, 400), "unreadable_document"),
        (b"\x89PNG\r\n\x1a\n" + b"junk" * 10, "unreadable_document"),
        (b"GIF89a", "unreadable_document"),
        (b"II*\0\xff\xff\xff\xff", "unreadable_document"),
    ],
)
def test_hostile_pictures_are_refused(reading: Reading, tmp_path: Path, data: bytes, code: str) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(UserError) as failure:
        reading.read(path)
    assert failure.value.code == code


def test_a_page_of_a_pdf_as_it_looks(reading: Reading, tmp_path: Path) -> None:
    path = pdf_kit.plain(tmp_path / "a.pdf", [[(100, 50, 40, "XXXX")], [(20, 30, 12, "two")]])
    picture = reading.picture(path, 1, 500)
    assert picture is not None
    assert (round(picture.width), round(picture.height)) == (595, 842)
    image = Image.open(io.BytesIO(picture.png)).convert("L")
    assert image.width == 500 and image.height == pytest.approx(500 * 842 / 595, abs=1)
    box = reading.read(path).blocks[0].boxes[0]
    scale = 500 / picture.width
    marked = image.crop((box.left * scale, box.top * scale, box.right * scale, box.bottom * scale))
    assert min(marked.tobytes()) < 60 and min(image.crop((0, 0, 100, 50)).tobytes()) == 255


def test_a_picture_of_a_picture_is_as_wide_as_asked(reading: Reading, tmp_path: Path) -> None:
    picture = reading.picture(drawn(tmp_path / "scan.png", LINES), 1, 370)
    assert picture is not None and Image.open(io.BytesIO(picture.png)).size == (370, 370)
    assert (picture.width, picture.height) == (740 * 0.75, 740 * 0.75)


def test_what_has_no_pages_has_no_picture(reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words", encoding="utf-8")
    assert reading.picture(tmp_path / "a.txt", 1, 300) is None
    assert reading.picture(pdf_kit.plain(tmp_path / "a.pdf", [[]]), 7, 300) is None


def test_an_enormous_page_is_pictured_small(reading: Reading, tmp_path: Path) -> None:
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 10 1000000] /Contents 4 0 R >>"
    catalogue, tree = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    path = pdf_kit.written(tmp_path / "tall.pdf", [catalogue, tree, page, pdf_kit.stream(b"")])
    picture = reading.picture(path, 1, 4000)
    assert picture is not None
    width, height = Image.open(io.BytesIO(picture.png)).size
    assert width * height < 26_000_000
