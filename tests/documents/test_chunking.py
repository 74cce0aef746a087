"""Chunks: whole sentences, tables between rows, headings above them, and exact places in the text."""

from __future__ import annotations

import random

import pytest

from engine.documents.block import Block, Box, Document, assemble
from engine.documents.chunking import Chunk, about_tokens, chunks_of, language_of

ENGLISH = "The engine was built in 1871 by Dr. Ames. It weighed 3.5 tons, e.g. more than a carriage. Nobody moved it. "
CHINESE = "这台机器建于一八七一年。它重三点五吨，比一辆马车还重；没有人能移动它！“真的吗？”有人问。"


def words(text: str) -> int:
    return len(text.split())


def check(document: Document, chunks: list[Chunk], budget: int) -> None:
    """What holds for chunks of any document."""
    assert [chunk.number for chunk in chunks] == list(range(len(chunks)))
    for chunk in chunks:
        assert 0 <= chunk.start < chunk.end <= len(document.text)
        assert chunk.text.strip()
        assert chunk.tokens <= budget
    starts = [chunk.start for chunk in chunks]
    assert starts == sorted(starts)


@pytest.mark.parametrize(("sentence", "marks"), [(ENGLISH, "."), (CHINESE, "。！；？”")])
def test_long_text_is_cut_between_sentences_and_nothing_is_lost(sentence: str, marks: str) -> None:
    document = assemble([Block("text", sentence * 40, page=3)])
    chunks = chunks_of(document, 60, about_tokens)
    check(document, chunks, 60)
    assert len(chunks) >= 20
    assert all(chunk.text == document.text[chunk.start : chunk.end] for chunk in chunks)
    assert all(chunk.text[-1] in marks for chunk in chunks)
    assert "".join("".join(c.text for c in chunks).split()) == "".join(document.text.split())
    assert not any(chunk.text.endswith(("Dr.", "e.g.", "3.")) for chunk in chunks)
    assert {chunk.page for chunk in chunks} == {3}
    assert min(chunk.tokens for chunk in chunks) * 3 > max(chunk.tokens for chunk in chunks)


def test_headings_make_the_path_and_keep_sections_apart() -> None:
    blocks = [
        Block("heading", "Guide", level=1),
        Block("heading", "Setup", level=2),
        Block("text", "Turn it on."),
        Block("text", "Wait."),
        Block("heading", "Repair", level=2),
        Block("heading", "Cleaning", level=3),
        Block("text", "Use a cloth."),
        Block("heading", "Empty last one", level=1),
    ]
    chunks = chunks_of(assemble(blocks), 50, words)
    assert [(chunk.heading, chunk.text) for chunk in chunks] == [
        ("Guide > Setup", "Turn it on.\n\nWait."),
        ("Guide > Repair > Cleaning", "Use a cloth."),
        ("", "Empty last one"),
    ]
    assert chunks[0].indexed.startswith("Guide > Setup\n")


def test_a_long_table_is_cut_between_rows_under_its_header_again() -> None:
    rows = [f"| part {n} | {n * 7} grams |" for n in range(60)]
    table = "\n".join(["| name | weight |", "|---|---|", *rows])
    document = assemble([Block("text", "Before."), Block("table", table), Block("text", "After.")])
    chunks = chunks_of(document, 80, words)
    check(document, chunks, 80)
    tables = [chunk for chunk in chunks if "part" in chunk.text]
    assert len(tables) > 3
    for chunk in tables[1:]:
        assert chunk.text.startswith("| name | weight |\n|---|---|\n| part")
        assert chunk.text.split("\n", 2)[2] == document.text[chunk.start : chunk.end].rstrip()
    found = [line for chunk in tables for line in chunk.text.splitlines() if "part" in line]
    assert found == rows


def test_code_is_cut_between_its_functions() -> None:
    function = "def name_{0}(x):\n    y = x + {0}\n\n    return y * {0}\n\n\n"
    document = assemble([Block("code", "".join(function.format(n) for n in range(12)))])
    chunks = chunks_of(document, 24, words)
    check(document, chunks, 24)
    assert len(chunks) > 3
    assert all(chunk.text.startswith("def name_") for chunk in chunks)


def test_repeated_page_headers_are_told_once() -> None:
    blocks = []
    for page in range(1, 6):
        blocks.append(Block("header", "Annual report", page=page))
        blocks.append(Block("text", f"Text of page number {page} goes on", page=page))
        blocks.append(Block("footer", f"Page {page}", page=page))
    chunks = chunks_of(assemble(blocks), 1000, words)
    assert sum(chunk.text.count("Annual report") for chunk in chunks) == 1
    assert chunks[0].text.count("Page ") == 1


def test_a_part_of_a_block_has_only_its_own_lines_boxes() -> None:
    boxes = tuple(Box(1, 10, 10 * n, 100, 10 * n + 9) for n in range(40))
    document = assemble([Block("text", ENGLISH * 20, page=1, boxes=boxes)])
    chunks = chunks_of(document, 80, words)
    assert chunks[0].boxes[0] == boxes[0]
    assert chunks[-1].boxes[-1] == boxes[-1]
    assert all(0 < len(chunk.boxes) < 20 for chunk in chunks)


def test_a_long_heading_path_leaves_room_for_text() -> None:
    heading = "a very long heading that goes on " * 30
    document = assemble([Block("heading", heading, level=1), Block("text", ENGLISH * 10)])
    chunks = chunks_of(document, 100, words)
    assert all(words(chunk.heading) + chunk.tokens <= 100 for chunk in chunks)
    assert all(chunk.heading for chunk in chunks)


@pytest.mark.parametrize("seed", range(6))
def test_any_document_is_covered_within_the_budget(seed: int) -> None:
    chance = random.Random(seed)
    kinds = ("heading", "text", "list", "table", "code", "caption", "note")
    alphabet = "ab .,。！\n|甲乙\t；1?"
    blocks = []
    for _ in range(60):
        kind = chance.choice(kinds)
        text = "".join(chance.choice(alphabet) for _ in range(chance.choice((3, 30, 300, 3000))))
        blocks.append(Block(kind, text, level=chance.randint(1, 3) if kind == "heading" else 0))  # type: ignore[arg-type]
    document = assemble(blocks)
    chunks = chunks_of(document, 64, about_tokens)
    check(document, chunks, 64 * 9)
    told = "".join(chunk.heading + chunk.text for chunk in chunks)
    for block in document.blocks:
        for character in set(block.text.split()):
            assert character[:1] in told
    covered = {place for chunk in chunks for place in range(chunk.start, chunk.end)}
    for block in document.blocks:
        body = block.kind != "heading"
        assert not body or all(
            place in covered or document.text[place].isspace() for place in range(block.start, block.end)
        )


def test_hostile_text_is_cut_in_reasonable_work() -> None:
    calls = 0

    def count(text: str) -> int:
        nonlocal calls
        calls += len(text)
        return about_tokens(text)

    for text in ("a" * 50_000, "!" * 30_000 + "x", ". " * 10_000, "|" * 30_000, "\n\n".join("x" * 10_000)):
        calls = 0
        document = assemble([Block("text", text), Block("table", text), Block("code", text)])
        assert chunks_of(document, 100, count)
        assert calls < 60 * len(document.text) + 100_000


def test_the_language_is_told_by_the_letters() -> None:
    assert [
        language_of(t) for t in (ENGLISH, CHINESE, "これはペンです。", "안녕하세요 여러분", "123", "GPU 显存占用")
    ] == [
        "en",
        "zh",
        "ja",
        "ko",
        "en",
        "zh",
    ]
