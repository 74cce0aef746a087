"""What was filled into a form's fields: pdfium's text of a page does not hold it."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Any

from engine.documents.pdf.page_lines import Turn
from engine.documents.pdf.segment import Segment

MOST = 2000  # fields of a page
LONGEST = 20_000  # characters of a field
SIZE = 10.0  # points, of writing in a field that is higher than a line
TICKED = "☒"


def open_form(document: Any) -> None:
    """Have the fields of a document looked at, before any of its pages is; nothing where it has none.

    This pdfium runs no scripts and knows no XFA: a form may not do anything.
    """
    import pypdfium2

    try:
        if document.get_formtype() in (pypdfium2.raw.FORMTYPE_ACRO_FORM, pypdfium2.raw.FORMTYPE_XFA_FOREGROUND):
            document.init_forms()
    except pypdfium2.PdfiumError:
        return  # a damaged form takes nothing from the text around it


def with_fields(document: Any, page: Any, segments: list[Segment]) -> list[Segment]:
    """The segments of a page, each field that was filled in after what stands before it on its line, else last."""
    if not document.formenv:
        return segments
    placed = list(segments)
    for lines in _fields(document.formenv, page):
        before = [at for at, one in enumerate(placed) if _is_before(one, lines[0])]
        nearest = max(before, key=lambda at: placed[at].right, default=len(placed) - 1)
        placed[nearest + 1 : nearest + 1] = lines
    return placed


def _is_before(one: Segment, field: Segment) -> bool:
    return one.top < field.bottom and one.bottom > field.top and one.right <= field.left + 0.5 * field.size


def _fields(form: Any, page: Any) -> Iterator[list[Segment]]:
    """The lines of each field that was filled in."""
    import pypdfium2.raw as pdfium

    turn = Turn(page)
    for index in range(min(MOST, pdfium.FPDFPage_GetAnnotCount(page))):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if not annotation:
            continue
        try:
            if pdfium.FPDFAnnot_GetSubtype(annotation) == pdfium.FPDF_ANNOT_WIDGET:
                lines = _field(form, annotation, turn)
                if lines:
                    yield lines
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _field(form: Any, annotation: Any, turn: Turn) -> list[Segment]:
    import pypdfium2.raw as pdfium

    box = pdfium.FS_RECTF()
    lines = [" ".join(line.split()) for line in _value(form, annotation).splitlines()]
    lines = [line for line in lines if line]
    if not lines or not pdfium.FPDFAnnot_GetRect(annotation, box):
        return []
    left, top, right, bottom = turn.place(box.left, box.top, box.right, box.bottom)
    high = (bottom - top) / len(lines)
    size = min(SIZE, max(1.0, high))
    tops = [top + number * high for number in range(len(lines))]
    return [Segment(line, left, at, right, at + high, size, False) for line, at in zip(lines, tops, strict=True)]


def _value(form: Any, annotation: Any) -> str:
    import pypdfium2.raw as pdfium

    kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
    if kind in (pdfium.FPDF_FORMFIELD_CHECKBOX, pdfium.FPDF_FORMFIELD_RADIOBUTTON):
        return TICKED if pdfium.FPDFAnnot_IsChecked(form, annotation) else ""
    written = (pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX)
    secret = pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & pdfium.FPDF_FORMFLAG_TEXT_PASSWORD
    if kind not in written or (kind == pdfium.FPDF_FORMFIELD_TEXTFIELD and secret):
        return ""
    size = pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, None, 0)
    room = min(size, 2 * LONGEST + 2)
    if size <= 2 or size > room:
        return ""
    units = (ctypes.c_ushort * (room // 2))()
    pdfium.FPDFAnnot_GetFormFieldValue(form, annotation, units, room)
    return bytes(units).decode("utf-16-le", "replace").rstrip("\0")
