"""Hostile files: bombs, entities, links outwards, passwords, cut-off and bottomless files end in a plain refusal."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from office_files import W, plain_word_file, relations, sheets_file, slides_file, word_file, word_xml, zipped
from old_office_files import excel_97, powerpoint_97, word_97
from ole_writer import ole_file
from text_formats import RTF, book_file, content, mail_file, open_sheets, open_slides, open_text

from engine.api.errors import UserError
from engine.api.parts import load_part
from engine.documents.block import Limits, assemble
from engine.documents.formats import READERS
from engine.documents.readers import (
    csv_tables,
    epub_book,
    excel_xlsx,
    mail_eml,
    open_document,
    powerpoint_pptx,
    rtf_text,
    web_html,
    word_docx,
)

SMALL = Limits(unpacked=1 << 20)
ZIPPED = {
    "word_docx": word_file,
    "powerpoint_pptx": slides_file,
    "excel_xlsx": sheets_file,
    "open_document": open_text,
    "epub_book": book_file,
}

BULK = ("word/document.xml", "slides/slide1.xml", "worksheets/sheet1.xml", "content.xml", "one.xhtml")


def code_of(part: object, path: Path, limits: Limits = SMALL) -> str:
    """The refusal of a reader; a file that it reads fails the test."""
    with pytest.raises(UserError) as refused:
        list(part.read(path, limits))  # type: ignore[attr-defined]
    return refused.value.code


def rezipped(path: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(path) as package:
        members = {name: change(name, package.read(name)) for name in package.namelist()}
    return zipped(path, members)


@pytest.mark.parametrize("name", sorted(ZIPPED))
def test_a_zip_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, name: str) -> None:
    path = ZIPPED[name](tmp_path / "bomb.docx")
    blank = b" " * (8 << 20)
    rezipped(path, lambda member, data: data + blank if member.endswith(BULK) else data)
    assert path.stat().st_size < 100_000
    assert code_of(load_part(READERS, name), path) == "too_large_document"


@pytest.mark.parametrize("name", sorted(ZIPPED))
def test_a_cut_off_package_is_unreadable(tmp_path: Path, name: str) -> None:
    path = ZIPPED[name](tmp_path / "cut.docx")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert code_of(load_part(READERS, name), path) == "unreadable_document"


@pytest.mark.parametrize("name", sorted(ZIPPED))
def test_an_empty_file_is_unreadable(tmp_path: Path, name: str) -> None:
    path = tmp_path / "empty.docx"
    path.write_bytes(b"")
    assert code_of(load_part(READERS, name), path) == "unreadable_document"


@pytest.mark.parametrize("name", sorted(ZIPPED))
def test_a_zip_with_a_password_is_protected(tmp_path: Path, name: str) -> None:
    path = ZIPPED[name](tmp_path / "locked.docx")
    data = bytearray(path.read_bytes())
    at = data.find(b"PK\x01\x02")
    struct.pack_into("<H", data, at + 8, 1)  # the flag of the first member in the directory
    path.write_bytes(data)
    assert code_of(load_part(READERS, name), path) == "protected_document"


@pytest.mark.parametrize("name", ["word_docx", "powerpoint_pptx", "excel_xlsx"])
def test_office_files_with_a_password_are_ole_files(tmp_path: Path, name: str) -> None:
    path = tmp_path / "locked.docx"
    path.write_bytes(ole_file({"EncryptionInfo": b"x", "EncryptedPackage": b"y"}))
    assert code_of(load_part(READERS, name), path) == "protected_document"


def test_an_open_document_with_a_password(tmp_path: Path) -> None:
    locked = '<m:file-entry m:full-path="content.xml"><m:encryption-data/></m:file-entry>'
    manifest = f'<m:manifest xmlns:m="m">{locked}</m:manifest>'
    path = zipped(tmp_path / "a.odt", {"META-INF/manifest.xml": manifest, "content.xml": b"\x00\x01"})
    assert code_of(open_document, path) == "protected_document"


def test_a_book_under_copy_protection(tmp_path: Path) -> None:
    said = '<encryption><EncryptedData><EncryptionMethod Algorithm="{}"/></EncryptedData></encryption>'
    locked = said.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc")
    fonts = said.format("http://www.idpf.org/2008/embedding")
    assert (
        code_of(epub_book, book_file(tmp_path / "a.epub", **{"META-INF/encryption.xml": locked}))
        == "protected_document"
    )
    free = book_file(tmp_path / "b.epub", **{"META-INF/encryption.xml": fonts})
    assert "Land at last." in assemble(epub_book.read(free, SMALL)).text


LAUGHS = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">'
    + "".join(f'<!ENTITY {one} "{f"&{before};" * 8}">' for before, one in zip("bcdefgh", "cdefghi", strict=True))
    + "]>"
)


@pytest.mark.parametrize("declared", [LAUGHS, '<!DOCTYPE x [<!ENTITY i SYSTEM "file:///etc/hostname">]>'])
def test_entities_are_refused(tmp_path: Path, declared: str) -> None:
    said = "<w:p><w:r><w:t>before &i; after</w:t></w:r></w:p>"
    body = f"{declared}<w:document {W}><w:body>{said}</w:body></w:document>"
    path = zipped(tmp_path / "a.docx", {"word/document.xml": body})
    assert code_of(word_docx, path) == "unreadable_document"
    flat = tmp_path / "a.fodt"
    flat.write_text(declared + content("<office:text><text:p>&i;</text:p></office:text>"))
    assert code_of(open_document, flat) == "unreadable_document"


def test_entities_in_a_sheet_and_in_a_book_are_refused(tmp_path: Path) -> None:
    path = rezipped(
        sheets_file(tmp_path / "a.xlsx"),
        lambda name, data: LAUGHS.encode() + data[data.find(b"<worksheet") :] if "worksheets/sheet1" in name else data,
    )
    assert code_of(excel_xlsx, path) == "unreadable_document"
    book = rezipped(
        book_file(tmp_path / "a.epub"), lambda name, data: LAUGHS.encode() + data if name.endswith("opf") else data
    )
    assert code_of(epub_book, book) == "unreadable_document"


def test_nothing_outside_is_fetched(tmp_path: Path) -> None:
    """The guard of the tests fails any connection; a file link must not be followed either."""
    linked = f'<w:p><w:r><w:drawing xmlns:c="{W[9:20]}"><w:chart r:id="chart"/></w:drawing><w:t>Text</w:t></w:r></w:p>'
    path = word_xml(tmp_path / "a.docx", linked)
    outside = relations(chart="http://192.0.2.1/chart.xml").replace("/>", ' TargetMode="External"/>')
    inside = relations(chart="../../../../../../etc/hostname")
    for rels in (outside, inside):
        rezipped(path, lambda name, data, rels=rels: rels.encode() if name.endswith("document.xml.rels") else data)  # type: ignore[misc]
        assert [b.text for b in word_docx.read(path, SMALL) if b.text] == ["Text"]
    page = tmp_path / "a.html"
    page.write_text(
        '<!DOCTYPE html SYSTEM "http://192.0.2.1/x.dtd"><iframe src="http://192.0.2.1"></iframe><p>Only this'
    )
    assert assemble(web_html.read(page, SMALL)).text == "Only this"


def test_a_sheet_may_lie_about_its_size(tmp_path: Path) -> None:
    cell = '<c r="XFD1048576" t="inlineStr"><is><t>Far corner</t></is></c>'
    path = rezipped(
        sheets_file(tmp_path / "a.xlsx"),
        lambda name, data: (
            data.replace(b"<sheetData>", b'<dimension ref="A1:XFD1048576"/><sheetData>').replace(
                b"</sheetData>", f'<row r="1048576">{cell}</row></sheetData>'.encode()
            )
            if "worksheets/sheet2" in name
            else data
        ),
    )
    texts = [block.text for block in excel_xlsx.read(path, SMALL)]
    assert "| Key | Value |\n| --- | --- |" in texts
    assert "| Far corner |\n| --- |" in texts or "Far corner" in texts


def test_repeated_cells_of_an_open_sheet_are_bounded(tmp_path: Path) -> None:
    cell = '<table:table-cell table:number-columns-repeated="99999999"><text:p>x</text:p></table:table-cell>'
    row = f'<table:table-row table:number-rows-repeated="99999999">{cell}</table:table-row>'
    document = assemble(open_document.read(open_sheets(tmp_path / "a.ods", row), Limits()))
    assert "茶" in document.text
    assert len(document.text) < 20_000_000


def test_elements_nested_without_end(tmp_path: Path) -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 5000 + "<w:p/>" + "</w:tc></w:tr></w:tbl>" * 5000
    assert code_of(word_docx, word_xml(tmp_path / "a.docx", deep)) == "unreadable_document"
    page = tmp_path / "a.html"
    page.write_text("<div>" * 50_000 + "<p>At the bottom")
    assert len(list(web_html.read(page, SMALL))) <= 1
    rtf = tmp_path / "a.rtf"
    rtf.write_bytes(b"{\\rtf1 " + b"{" * 100_000 + b"deep")
    assert code_of(rtf_text, rtf) == "unreadable_document"


def test_tables_nested_as_deep_as_the_parser_allows(tmp_path: Path) -> None:
    deep = "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>in</w:t></w:r></w:p>" * 75 + "</w:tc></w:tr></w:tbl>" * 75
    text = assemble(word_docx.read(word_xml(tmp_path / "a.docx", deep), SMALL)).text
    assert "in" in text


def test_a_style_may_be_based_on_itself(tmp_path: Path) -> None:
    style = '<w:style w:type="paragraph" w:styleId="A"><w:name w:val="heading 2"/><w:basedOn w:val="A"/></w:style>'
    loop = f"<w:styles {W}>{style}</w:styles>"
    body = '<w:p><w:pPr><w:pStyle w:val="A"/></w:pPr><w:r><w:t>Round</w:t></w:r></w:p>'
    (block,) = word_docx.read(word_xml(tmp_path / "a.docx", body, styles=loop), SMALL)
    assert (block.kind, block.text, block.level) == ("heading", "Round", 2)


def test_mails_within_mails_end(tmp_path: Path) -> None:
    mail = b"Subject: innermost\n\nx"
    for _ in range(40):
        mail = b"Content-Type: message/rfc822\n\n" + mail
    path = tmp_path / "a.eml"
    path.write_bytes(mail)
    assert len(list(mail_eml.read(path, SMALL))) < 40


def test_attachments_count_together(tmp_path: Path) -> None:
    attached = plain_word_file(tmp_path / "a.docx", "Minutes")
    path = mail_file(tmp_path / "a.eml", attached)
    assert code_of(mail_eml, path, replace(SMALL, unpacked=10_000)) == "too_large_document"


def test_a_table_with_one_endless_line_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('a,b\n"' + "x" * (3 << 20))
    assert code_of(csv_tables, path) == "unreadable_document"


def old_files(folder: Path) -> list[Path]:
    word_97(folder / "a.doc", [("Title", 1), ("Text", 0)], "Note")
    powerpoint_97(folder / "a.ppt", [("Title", "Text", "Notes")])
    excel_97(folder / "a.xls", "Sheet", [["a", (1.5, 0)]])
    (folder / "a.rtf").write_bytes(RTF)
    return sorted(folder.glob("a.*"))


def test_files_with_bytes_overwritten_end_in_text_or_a_refusal(tmp_path: Path) -> None:
    """Every 31st byte set to 0xFF, one at a time: never anything but blocks or a UserError."""
    from engine.documents.formats import by_suffix

    codes = set()
    for path in old_files(tmp_path):
        data = path.read_bytes()
        for place in range(0, len(data), 31 if len(data) < 9000 else 211):
            path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
            try:
                list(by_suffix()[path.suffix].read(path, SMALL))
            except UserError as refused:
                codes.add(refused.code)
    assert codes <= {"unreadable_document", "protected_document", "too_large_document"}


def test_a_package_of_another_kind_is_unreadable(tmp_path: Path) -> None:
    assert code_of(powerpoint_pptx, word_file(tmp_path / "a.pptx")) == "unreadable_document"
    assert code_of(word_docx, open_slides(tmp_path / "a.docx")) == "unreadable_document"
