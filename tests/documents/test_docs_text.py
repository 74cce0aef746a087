"""`deskside docs text`: what is read, as files, through the real engine."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.documents.reading import Reading
from engine.documents.text_export import export

Deskside = Callable[..., CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "papers"
    (root / "sub").mkdir(parents=True)
    (root / ".hidden").mkdir()
    (root / ".hidden" / "no.txt").write_text("hidden", encoding="utf-8")
    (root / "note.md").write_text("# Title\n\nBody.", encoding="utf-8")
    (root / "sub" / "合同.txt").write_bytes("甲方：北京".encode("gb18030"))
    (root / "sub" / "broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    return root


def test_folders_are_mirrored_and_failures_told(deskside: Deskside, folder: Path, tmp_path: Path) -> None:
    done = deskside("docs", "text", str(folder), "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "note.md.txt").read_text(encoding="utf-8") == "Title\n\nBody.\n"
    assert (tmp_path / "out" / "sub" / "合同.txt.txt").read_text(encoding="utf-8") == "甲方：北京\n"
    assert sorted(path.name for path in (tmp_path / "out").rglob("*.*")) == ["note.md.txt", "合同.txt.txt"]
    assert "broken.pdf" in done.stderr and "Traceback" not in done.stderr
    assert done.stdout.startswith("2 files read") and done.stdout.rstrip().endswith("1 not.")


def test_nothing_read_is_exit_code_2(deskside: Deskside, folder: Path, tmp_path: Path) -> None:
    broken, missing = str(folder / "sub" / "broken.pdf"), str(folder / "gone.txt")
    done = deskside("docs", "text", broken, missing, "--out", str(tmp_path / "out"), "--json")
    assert done.returncode == 2
    total = json.loads(done.stdout)
    assert total["files"] == 0
    assert [one["error"]["code"] for one in total["failed"]] == ["unreadable_document", "no_such_path"]


def test_texts_written_into_the_folder_itself_are_not_read_again(folder: Path) -> None:
    for _ in range(2):
        with Reading() as reading:
            done = export(folder, folder / "texts", reading, lambda *step: None)
        assert (done.files, len(done.failed)) == (2, 1)


def test_a_place_that_cannot_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with Reading() as reading, pytest.raises(UserError) as failure:
        export(folder, tmp_path / "file", reading, lambda *step: None)
    assert failure.value.code == "text_not_written"


def test_it_stops_when_asked(folder: Path, tmp_path: Path) -> None:
    stopped = threading.Event()
    stopped.set()
    with Reading() as reading, pytest.raises(Cancelled):
        export(folder, tmp_path / "out", reading, lambda *step: None, stopped)
    assert not (tmp_path / "out").exists()
