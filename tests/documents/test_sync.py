"""Watched folders: what is new, changed, renamed and gone touches its own files only."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from index_kit import check_consistent, found, index, made, states, write_folder

from desktop.pipe import EnginePipe
from engine.api.errors import UserError
from engine.core import Call, Core
from engine.documents import collection as collections
from engine.documents import sync
from engine.documents.catch_up import FEW
from engine.documents.database import DocumentStore
from engine.requests import documents


@pytest.fixture
def store(home: Path) -> Iterator[DocumentStore]:
    opened = DocumentStore()
    yield opened
    opened.close()


def test_each_change_touches_its_own_file_only(store: DocumentStore, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 10)
    row = made(store, folder)
    index(row)
    before = {one["name"]: one for one in store.rows("SELECT * FROM files")}
    (folder / "deep").mkdir()
    (folder / "machine0001.txt").rename(folder / "deep" / "moved.txt")
    (folder / "machine0002.txt").unlink()
    (folder / "machine0003.txt").write_text("Now it is about pelicans.", encoding="utf-8")
    os.utime(folder / "machine0004.txt")
    (folder / "new.txt").write_text("A new one about herons.", encoding="utf-8")
    result = index(row)
    assert result["changes"] == {"new": 1, "changed": 1, "renamed": 1, "deleted": 1}
    assert result["indexed"] == 2
    after = {one["name"]: one for one in store.rows("SELECT * FROM files")}
    moved = after["moved.txt"]
    assert (moved["id"], moved["indexed"]) == (before["machine0001.txt"]["id"], before["machine0001.txt"]["indexed"])
    assert moved["path"] == str(folder.resolve() / "deep" / "moved.txt")
    assert found(store, row["number"], "number1x") == ["moved.txt"]
    assert found(store, row["number"], "number2x OR number3x") == []
    assert found(store, row["number"], "pelicans OR herons") == ["machine0003.txt", "new.txt"]
    untouched = [f"machine{n:04}.txt" for n in range(4, 10)]
    assert all(after[name]["indexed"] == before[name]["indexed"] for name in untouched)
    assert after["machine0004.txt"]["mtime_ns"] != before["machine0004.txt"]["mtime_ns"]
    check_consistent(store, row["number"])
    assert index(row)["changes"] == {}


def test_what_is_hidden_linked_or_special_is_left_out(store: DocumentStore, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 2)
    outside = write_folder(tmp_path / "outside", 2)
    (folder / ".hidden.txt").write_text("hidden", encoding="utf-8")
    (folder / ".git").mkdir()
    (folder / ".git" / "config.txt").write_text("hidden", encoding="utf-8")
    (folder / "~$report.docx").write_text("lock", encoding="utf-8")
    (folder / "link").symlink_to(outside)
    (folder / "link.txt").symlink_to(outside / "machine0000.txt")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.txt")
    row = made(store, folder)
    seen = sync.scan(store, row["number"])
    assert sorted(Path(path).name for path in seen.files) == ["machine0000.txt", "machine0001.txt"]
    assert seen.left_out == {"hidden": 3, "link": 3, "special": 1}
    index(row)
    assert states(store, row["number"]) == {"indexed": 2}


def test_a_drive_that_is_not_there_deletes_nothing(store: DocumentStore, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "drive" / "in", 3)
    row = made(store, folder)
    single = tmp_path / "stick" / "single.txt"
    single.parent.mkdir()
    single.write_text("A single file.", encoding="utf-8")
    sync.add_paths(store, row["number"], [str(single)])
    index(row)
    (tmp_path / "drive").rename(tmp_path / "away")
    (tmp_path / "stick").rename(tmp_path / "stick away")
    assert index(row)["changes"] == {}
    assert states(store, row["number"]) == {"indexed": 4}
    (tmp_path / "stick away").rename(tmp_path / "stick")
    single.unlink()
    assert index(row)["changes"]["deleted"] == 1


def test_a_folder_nobody_may_list_deletes_nothing(store: DocumentStore, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    folder = write_folder(tmp_path / "in", 2)
    write_folder(folder / "closed", 2)
    row = made(store, folder)
    index(row)
    (folder / "closed").chmod(0)
    try:
        assert index(row)["changes"] == {}
    finally:
        (folder / "closed").chmod(0o755)


def test_paths_that_are_not_there_or_are_our_own_are_refused(store: DocumentStore, home: Path, tmp_path: Path) -> None:
    row = collections.row_of(store, collections.create(store, "One")["id"])
    for path, code in ((tmp_path / "no", "no_such_path"), (home, "home_inside"), (home.parent, "home_inside")):
        with pytest.raises(UserError) as refused:
            sync.add_paths(store, row["number"], [str(path)])
        assert refused.value.code == code
    assert store.rows("SELECT * FROM folders") == []


def test_a_suffix_that_changed_is_read_anew(store: DocumentStore, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("# Pelicans\n\nThey fly.", encoding="utf-8")
    row = made(store, folder)
    index(row)
    (folder / "a.txt").rename(folder / "a.md")
    assert index(row)["changes"] == {"new": 1, "changed": 0, "renamed": 0, "deleted": 1}
    assert store.row("SELECT heading FROM chunks") == {"heading": "Pelicans"}


def test_the_engine_notices_by_itself(store: DocumentStore, tmp_path: Path) -> None:
    """Folders are looked at soon after the engine starts, and every few seconds then."""
    folder = write_folder(tmp_path / "in", 2)
    row = made(store, folder)
    index(row)
    (folder / "new.txt").write_text("A new one about herons.", encoding="utf-8")
    with EnginePipe() as engine:
        told = (event for event in engine.broadcasts() if event.get("event") == "documents")
        assert next(told)["collection"] == row["id"]
        while len(engine.ask("docs.files", collection=row["name"], state="indexed")["files"]) < 3:
            assert next(told)["collection"] == row["id"]
    assert found(store, row["number"], "herons") == ["new.txt"]


def test_a_job_that_its_engine_took_down_goes_on_with_the_next(store: DocumentStore, tmp_path: Path) -> None:
    row = made(store, write_folder(tmp_path / "in", 250))
    with EnginePipe() as engine:
        engine.ask("docs.sync", collection=row["id"])
        while not states(store, row["number"]).get("indexed"):
            time.sleep(0.02)
        os.kill(engine.pid, signal.SIGKILL)
    left = states(store, row["number"]).get("waiting", 0)
    assert left > 0
    with EnginePipe() as engine:
        for event in engine.broadcasts():
            if event.get("event") == "job" and event["state"] == "done":
                break
    assert states(store, row["number"]) == {"indexed": 250}
    check_consistent(store, row["number"])


def test_a_changed_file_is_indexed_in_the_engine_at_once(home: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "machines", 3)
    core, call = Core(), Call(1, lambda event: None)
    try:
        row = made(core.documents.store, folder)
        assert documents.sync(core, call, collection=row["id"])["result"]["indexed"] == 3
        (folder / "machine0001.txt").write_text("A walrus sits in hall 9.", encoding="utf-8")
        done = documents.sync(core, call, collection=row["id"])
        assert (done["job"], done["result"]["indexed"]) == ("", 1)
        found = core.searching.search(core.documents.store, row["id"], "Where is the walrus?")
        assert found.hits[0].text == "A walrus sits in hall 9."
        write_folder(tmp_path / "machines" / "more", FEW + 1)
        assert documents.sync(core, call, collection=row["id"])["job"]
    finally:
        core.close()
