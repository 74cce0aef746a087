"""Hashes of files: right, remembered while the file stays as it is, stopped when nobody wants them."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from convert.digests import REMEMBERED, Digests, _kept, remember, remembered
from engine.api.job import Cancelled, Job
from models.file_hash import sha256


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))


def files(folder: Path) -> list[Path]:
    for name, content in (("a", b""), ("b", b"word" * 3_000_000)):
        (folder / name).write_bytes(content)
    return [folder / "a", folder / "b"]


def test_every_file_is_hashed(tmp_path: Path) -> None:
    made = files(tmp_path)
    with Digests(made) as digests:
        found = digests.found(Job(tmp_path / "x.partial", {}))
    assert [row["sha256"] for row in found] == [hashlib.sha256(file.read_bytes()).hexdigest() for file in made]
    assert [(row["name"], row["bytes"]) for row in found] == [("a", 0), ("b", 12_000_000)]


def test_a_hash_is_remembered_under_another_name_and_not_of_another_content(tmp_path: Path) -> None:
    file = files(tmp_path)[1]
    with Digests([file]) as digests:
        right = digests.found(Job(tmp_path / "x.partial", {}))[0]["sha256"]
    assert remembered(file.rename(tmp_path / "c")) == right
    stat = (tmp_path / "c").stat()
    with (tmp_path / "c").open("r+b") as changed:
        changed.write(b"W")
    os.utime(tmp_path / "c", ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert remembered(tmp_path / "c") == ""
    with Digests([tmp_path / "c"]) as digests:
        assert digests.found(Job(tmp_path / "x.partial", {}))[0]["sha256"] == sha256(tmp_path / "c") != right


def test_only_the_latest_are_kept_and_a_damaged_list_is_no_matter(tmp_path: Path) -> None:
    for number in range(REMEMBERED + 3):
        (tmp_path / f"{number}").write_bytes(b"")
        if number > REMEMBERED - 3:
            remember(tmp_path / f"{number}", "ab")
    assert remembered(tmp_path / f"{REMEMBERED + 2}") == "ab"
    assert len(_kept()) == 5
    for broken in ("", "[]", '{"1:1": 3}', "{"):
        (tmp_path / "home" / "hashes.json").write_text(broken, encoding="utf-8")
        assert remembered(tmp_path / "0") == ""
        remember(tmp_path / "0", "cd")
        assert remembered(tmp_path / "0") == "cd"


def test_who_is_left_stops(tmp_path: Path) -> None:
    file = tmp_path / "long"
    with file.open("wb") as stream:
        stream.truncate(20 << 30)  # empty on the disk, a quarter of a minute to hash
    stopped = threading.Event()
    stopped.set()
    with pytest.raises(Cancelled), Digests([file]) as digests:
        digests.found(Job(tmp_path / "x.partial", {}, cancelled=stopped))
    assert remembered(file) == ""
