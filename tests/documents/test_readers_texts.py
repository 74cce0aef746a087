"""OpenDocument, books, web pages, RTF, mails and tables in text: what they say is found again."""

from __future__ import annotations

from pathlib import Path

from office_files import plain_word_file
from text_formats import PAGE, RTF, book_file, flat_text, mail_file, open_sheets, open_slides, open_text

from engine.documents.block import Block, Document, Limits, assemble
from engine.documents.readers import csv_tables, epub_book, mail_eml, open_document, rtf_text, web_html


def said(document: Document) -> list[str]:
    return [block.text for block in document.blocks]


def table_rows(block: Block) -> list[str]:
    return block.text.split("\n")


def test_an_open_text_keeps_numbers_notes_boxes_and_charts(tmp_path: Path) -> None:
    document = assemble(open_document.read(open_text(tmp_path / "a.odt"), Limits()))
    assert said(document) == [
        "Harbour Gazette",
        "I. Tides",
        "High  water[1] rises.",
        "[1] At noon",
        "Comment (Ada): Check this",
        "1. Anchor",
        "  1.a) Chain",
        "2. Sail",
        "3. Rudder",
        "Boxed words",
        "Catch by month",
        "|  | Cod |\n| --- | --- |\n| May | 40 |",
        "A picture of a boat",
        "| Port | Depth |\n| --- | --- |\n| Brest | 12 m |\n| Brest | 9 m |",
        "Printed in Lyon",
    ]
    kinds = {block.text: (block.kind, block.page) for block in document.blocks}
    assert kinds["I. Tides"] == ("heading", 1)
    assert kinds[said(document)[-2]] == ("table", 2)
    assert kinds["Printed in Lyon"][0] == "footer"


def test_a_flat_open_text_is_read(tmp_path: Path) -> None:
    assert said(assemble(open_document.read(flat_text(tmp_path / "a.fodt"), Limits()))) == ["Flat sea"]


def test_an_open_sheet_ends_where_its_cells_end(tmp_path: Path) -> None:
    document = assemble(open_document.read(open_sheets(tmp_path / "a.ods"), Limits()))
    assert said(document)[0] == "Prices"
    assert table_rows(document.blocks[1]) == [
        "| Item | Share | Since |",
        "| --- | --- | --- |",
        "| 茶 | 15.5% | 2024-03-01 |",
    ]
    assert "Secret" not in document.text


def test_an_open_slide_has_its_title_first_and_its_notes_last(tmp_path: Path) -> None:
    document = assemble(open_document.read(open_slides(tmp_path / "a.odp"), Limits()))
    assert [(b.kind, b.text, b.page) for b in document.blocks] == [
        ("heading", "Sailing", 1),
        ("text", "Wind and water", 1),
        ("note", "Notes: Smile", 1),
    ]


def test_a_book_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    document = assemble(epub_book.read(book_file(tmp_path / "a.epub"), Limits()))
    assert said(document) == [
        "The Long Voyage",
        "A. Sailor",
        "Chapter 1",
        "We left\xa0harbour.",
        "Chapter 2",
        "Land at last.",
    ]
    assert [b.level for b in document.blocks if b.kind == "heading"] == [1, 2, 2]


def test_a_web_page_without_its_machinery(tmp_path: Path) -> None:
    path = tmp_path / "a.html"
    path.write_text(PAGE, encoding="utf-8")
    document = assemble(web_html.read(path, Limits()))
    assert [(b.kind, b.text) for b in document.blocks] == [
        ("header", "Daily edition"),
        ("heading", "Ferry returns"),
        ("text", "The ferry\nsails again."),
        ("list", "3. Buy a ticket"),
        ("list", "4. Board"),
        ("list", "  - left side"),
        ("caption", "Fares"),
        ("table", "| From | Price |\n| --- | --- |\n| Brest | 4 € |\n| Brest | 6 € |"),
        ("code", "line one\n  line two"),
        ("text", "The old pier"),
        ("footer", "Imprint"),
    ]


def test_a_web_page_says_its_encoding_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.htm"
    path.write_bytes('<meta charset="gb2312"><title>港口</title><p>渡轮今天返航。'.encode("gb18030"))
    assert said(assemble(web_html.read(path, Limits()))) == ["港口", "渡轮今天返航。"]


def test_rtf_with_headings_encodings_notes_tables_and_margins(tmp_path: Path) -> None:
    path = tmp_path / "a.rtf"
    path.write_bytes(RTF)
    document = assemble(rtf_text.read(path, Limits()))
    assert [(b.kind, b.text) for b in document.blocks if b.kind not in ("header", "footer")] == [
        ("heading", "Weather"),
        ("text", "Café and € twenty 水"),
        ("list", "1. First watch"),
        ("list", "- Loose end"),
        ("text", "Noted here"),
        ("note", "Under the line"),
        ("table", "| Day | Wind |\n| --- | --- |\n| Mon | NW |"),
        ("text", "After the table"),
        ("text", "a link"),
    ]
    assert {(b.kind, b.text) for b in document.blocks if b.kind in ("header", "footer")} == {
        ("header", "Ship's log"),
        ("footer", "Page foot"),
    }


def test_a_mail_with_a_word_file_attached(tmp_path: Path) -> None:
    attached = plain_word_file(tmp_path / "minutes.docx", "Minutes", "All agreed.")
    document = assemble(mail_eml.read(mail_file(tmp_path / "a.eml", attached), Limits()))
    assert said(document) == [
        "会议 notes",
        "From: Ada <ada@example.org>\nTo: li@example.org\nDate: Mon, 04 Mar 2024 10:00:00 +0000",
        "Dear Li,",
        "the meeting is on Friday.",
        "Attachment: minutes.docx",
        "Minutes",
        "All agreed.",
    ]


def test_a_mailbox_is_all_its_mails(tmp_path: Path) -> None:
    mail = mail_file(tmp_path / "a.eml").read_bytes()
    path = tmp_path / "all.mbox"
    path.write_bytes(b"From a@b Mon\n" + mail + b"\nFrom c@d Tue\nSubject: Second\n\nBody\n>From the start\n")
    document = assemble(mail_eml.read(path, Limits()))
    assert [b.text for b in document.blocks if b.kind == "heading"] == ["会议 notes", "Second"]
    assert said(document)[-1] == "Body\nFrom the start"


def test_a_damaged_attachment_costs_only_itself(tmp_path: Path) -> None:
    broken = tmp_path / "broken.docx"
    broken.write_bytes(b"PK\x03\x04 not really")
    reading = mail_eml.read(mail_file(tmp_path / "a.eml", broken), Limits())
    texts = []
    while True:
        try:
            texts.append(next(reading).text)
        except StopIteration as end:
            notes = end.value["notes"]
            break
    assert "Attachment: broken.docx" in texts
    assert notes == ("broken.docx: broken.docx cannot be read: it is damaged, or not what its name says.",)


def test_tables_in_text_with_the_separator_they_use(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes('名称;价格\r\n"茶; 绿";4,20\r\n咖啡;"5\r\n60"\r\n'.encode("gb18030"))
    (block,) = csv_tables.read(path, Limits())
    assert table_rows(block) == ["| 名称 | 价格 |", "| --- | --- |", "| 茶; 绿 | 4,20 |", "| 咖啡 | 5 60 |"]


def test_a_long_table_says_its_header_in_every_block(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("key\tvalue\n" + "".join(f"k{n}\t{n}\n" for n in range(250)))
    blocks = list(csv_tables.read(path, Limits()))
    assert [len(table_rows(block)) for block in blocks] == [102, 102, 52]
    assert {table_rows(block)[0] for block in blocks} == {"| key | value |"}
    assert table_rows(blocks[-1])[-1] == "| k249 | 249 |"
