"""Whatever a file does to its reader, one error comes of it, and the next file is read."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.documents.block import Limits
from engine.documents.formats import by_suffix, reader_for, suffixes
from engine.documents.reading import Reading, read_document

HOSTILE = "hostile_readers"


@pytest.fixture
def reading() -> Iterator[Reading]:
    with Reading(Limits(seconds=60), HOSTILE) as warm:
        yield warm


def file(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(b"\0\1\2 no text")
    return path


def process_of(reading: Reading, folder: Path) -> int:
    return int(reading.read(file(folder, "a.pid")).blocks[1].text)


def code_of(reading: Reading, path: Path) -> str:
    with pytest.raises(UserError) as failure:
        reading.read(path)
    assert path.name in str(failure.value.values["name"])
    return failure.value.code


def test_a_text_file_is_read_at_once(tmp_path: Path) -> None:
    path = tmp_path / "note.txt"
    path.write_text("First paragraph\nin two lines.\n\nSecond: 42 cows.\n", encoding="utf-8")
    document = read_document(path)
    assert document.text == "First paragraph\nin two lines.\n\nSecond: 42 cows."
    assert [document.text[b.start : b.end] for b in document.blocks] == [b.text for b in document.blocks]


def test_one_process_reads_many_files(reading: Reading, tmp_path: Path) -> None:
    assert process_of(reading, tmp_path) == process_of(reading, tmp_path)
    assert psutil.pid_exists(process_of(reading, tmp_path))


@pytest.mark.parametrize(
    ("suffix", "code"),
    [
        (".raise", "unreadable_document"),
        (".crash", "unreadable_document"),
        (".deep", "unreadable_document"),
        (".absent", "reader_not_installed"),
        (".nobody", "unsupported_document"),
    ],
)
def test_a_bad_file_is_one_error_and_the_next_is_read(reading: Reading, tmp_path: Path, suffix: str, code: str) -> None:
    assert code_of(reading, file(tmp_path, f"bad{suffix}")) == code
    assert reading.read(file(tmp_path, "good.fine")).title == "Fine"


def test_what_a_library_prints_is_not_taken_for_an_answer(reading: Reading, tmp_path: Path) -> None:
    assert reading.read(file(tmp_path, "a.talk")).blocks[0].text == "Fine"


def test_a_reader_without_end_is_stopped_and_its_process_gone(tmp_path: Path) -> None:
    with Reading(Limits(seconds=1.0), HOSTILE) as short:
        before = process_of(short, tmp_path)
        assert code_of(short, file(tmp_path, "a.loop")) == "document_timeout"
        assert not psutil.pid_exists(before)
        assert process_of(short, tmp_path) != before


@pytest.mark.parametrize("suffix", [".eat", ".hidden"])
def test_memory_has_an_end(tmp_path: Path, suffix: str) -> None:
    with Reading(Limits(memory=300 << 20), HOSTILE) as small:
        assert code_of(small, file(tmp_path, f"a{suffix}")) == "document_memory"
        assert small.read(file(tmp_path, "good.fine")).pages == 2


def test_too_much_text_or_too_many_pages_are_refused(tmp_path: Path) -> None:
    with Reading(Limits(characters=50_000, pages=100), HOSTILE) as small:
        assert code_of(small, file(tmp_path, "a.long")) == "too_large_document"
        assert code_of(small, file(tmp_path, "a.many")) == "too_large_document"


def test_cancelling_ends_it_at_once(reading: Reading, tmp_path: Path) -> None:
    cancelled = threading.Event()
    threading.Timer(1.0, cancelled.set).start()
    with pytest.raises(Cancelled):
        reading.read(file(tmp_path, "a.loop"), None, cancelled)
    assert reading.read(file(tmp_path, "good.fine")).title == "Fine"


def test_closing_leaves_no_process(tmp_path: Path) -> None:
    reading = Reading(package=HOSTILE)
    process = process_of(reading, tmp_path)
    reading.close()
    assert not psutil.pid_exists(process)


def test_the_process_ends_with_its_parent(tmp_path: Path) -> None:
    """EOF on its stdin ends it even in the middle of a file."""
    with Reading(Limits(seconds=30), HOSTILE) as reading:
        process = psutil.Process(process_of(reading, tmp_path))
        child = reading._child
        assert child is not None and child._process.stdin is not None
        child.send({"path": str(file(tmp_path, "a.loop")), "limits": {}})
        child._process.stdin.close()
        assert process.wait(20) == 0


def test_a_missing_file_is_said(reading: Reading, tmp_path: Path) -> None:
    assert code_of(reading, tmp_path / "gone.fine") == "unreadable_document"


def test_no_suffix_has_two_readers() -> None:
    claimed = [suffix for part in set(by_suffix().values()) for suffix in part.SUFFIXES]
    assert sorted(claimed) == sorted(set(claimed))
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in claimed)
    assert {".pdf", ".md", ".txt", ".png", ".json", ".py", ".srt", ".tex", ".xml"} <= suffixes()


@pytest.mark.parametrize(
    ("name", "data", "part"),
    [
        ("report.txt", b"%PDF-1.7\n", "pdf_text"),
        ("picture.pdf", b"\x89PNG\r\n\x1a\n....", "scanned_images"),
        ("words.pdf", b"only words here", "plain_text"),
        ("README", b"only words here", "plain_text"),
        ("note.unheard", "只有文字".encode("gb18030"), "plain_text"),
        ("NOTE.MD", b"# Title", "markdown_text"),
    ],
)
def test_what_a_file_holds_counts_more_than_its_name(tmp_path: Path, name: str, data: bytes, part: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert reader_for(path).__name__.rpartition(".")[2] == part


def test_binary_files_of_no_known_kind_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "program.bin"
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(UserError) as failure:
        reader_for(path)
    assert failure.value.code == "unsupported_document"
