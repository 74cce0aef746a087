"""PDF forms: what was filled in is read beside its label; what is secret or not ticked is not."""

from __future__ import annotations

from pathlib import Path

import pdf_kit
import pytest

from engine.documents.block import Limits
from engine.documents.reading import Reading

LABELS = ((100, "Full name:"), (140, "Member since:"), (180, "Password:"), (220, "Remarks:"), (300, "Vegetarian:"))
MANY = b"/FT /Tx /T (f%d) /V (x%d) /Rect [200 10 300 20]"


def widget(entries: bytes) -> bytes:
    return b"<< /Type /Annot /Subtype /Widget %s >>" % entries


def filled(path: Path, fields: list[bytes]) -> Path:
    """A page of labels with these fields beside them."""
    words = b"".join(b"BT /F1 11 Tf 60 %d Td (%s) Tj ET\n" % (842 - y, text.encode()) for y, text in LABELS)
    names = b" ".join(b"%d 0 R" % (6 + at) for at in range(len(fields)))
    catalogue = b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [%s] >> >>" % names
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [%s]" % names
    page += b" /Resources << /Font << /F1 5 0 R >> >> >>"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    pages = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
    return pdf_kit.written(path, [catalogue, pages, page, pdf_kit.stream(words), font, *map(widget, fields)])


def read(path: Path) -> str:
    with Reading(Limits(seconds=60, memory=400 << 20, ocr=False)) as reading:
        return reading.read(path).text


def test_what_was_filled_in_stands_beside_its_label(tmp_path: Path) -> None:
    chinese = "欧阳青鸾".encode("utf-16-be").hex().encode()
    ticked = b"/FT /Btn /T (veg) /V /Yes /AS /Yes /Rect [200 538 212 550] /AP << /N << /Yes null /Off null >> >>"
    text = read(
        filled(
            tmp_path / "form.pdf",
            [
                b"/FT /Tx /T (name) /V <feff%s> /Rect [200 736 400 752]" % chinese,
                b"/FT /Ch /T (since) /V (1998) /Opt [(1997) (1998)] /Ff 131072 /Rect [200 696 400 712]",
                b"/FT /Tx /T (pass) /Ff 8192 /V (hunter2) /Rect [200 656 400 672]",
                b"/FT /Tx /T (more) /Ff 4096 /V (Allergic to nuts.\\nArrives late.) /Rect [200 590 400 640]",
                ticked,
            ],
        )
    )
    flat = " ".join(text.replace("|", " ").split())
    assert "Full name: 欧阳青鸾" in flat
    assert "Member since: 1998" in flat
    assert flat.index("Remarks:") < flat.index("Allergic to nuts.") < flat.index("Arrives late.")
    assert flat.index("Arrives late.") < flat.index("Vegetarian:")
    assert "hunter2" not in text


@pytest.mark.parametrize(
    "field",
    [
        b"/FT /Tx /T (a) /V 17 0 R /Rect [200 736 400 752]",
        b"/FT /Tx /T (a) /V (x) /Rect [9 8]",
        b"/FT /Tx /T (a) /V (x) /Parent 6 0 R /Kids [6 0 R] /Rect [200 736 400 752]",
        b"/FT /Tx /T (a) /V (%s) /Rect [200 736 400 752]" % (b"y" * 200_000),
        b"/FT /Nothing /Rect [0 0 1e30 -1e30] /V (x)",
    ],
)
def test_a_hostile_field_costs_nothing_but_itself(tmp_path: Path, field: bytes) -> None:
    text = read(filled(tmp_path / "form.pdf", [field, b"/FT /Tx /T (b) /V (Novak) /Rect [200 696 400 712]"]))
    assert "Full name:" in text
    assert "Novak" in text
    assert "yyyy" not in text


def test_thousands_of_fields_are_read_in_time(tmp_path: Path) -> None:
    text = read(filled(tmp_path / "form.pdf", [MANY % (n, n) for n in range(3000)]))
    assert "Full name:" in text
    assert "x1" in text
