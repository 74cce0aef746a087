"""A full disk: said in words, nothing lost, and work goes on once there is room."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import real_models
from stand_in_hub import StandInHub

from desktop.pipe import EnginePipe
from engine.api.errors import UserError

SIZE = 4 * 1024 * 1024


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A data folder on a file system of 4 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root on Linux only")
    monkeypatch.setenv("DESKSIDE_HOME", str(place / "home"))
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def fill(place: Path) -> Path:
    """Leave no room at all."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return filler


def test_what_cannot_be_saved_is_said_and_what_was_saved_stays(small_disk: Path) -> None:
    with EnginePipe() as engine:
        (row,) = engine.ask("models.add", path=str(real_models.smollm2()))["models"]
        chat = engine.ask("chats.create", model=row["id"], title="before")["id"]
        filler = fill(small_disk)
        codes = set()
        for _ in range(3):
            try:
                engine.ask("chats.update", chat=chat, system="x" * 1_000_000)
            except UserError as error:
                codes.add(error.code)
        assert codes == {"disk_full"}
        with pytest.raises(UserError) as caught:
            engine.ask("settings.set", values={"default_system": "y" * 100_000})
        assert caught.value.code == "disk_full"
        assert engine.ask("chats.get", chat=chat)["chat"]["title"] == "before"
        filler.unlink()
        assert engine.ask("chats.update", chat=chat, title="after")["title"] == "after"
    with EnginePipe() as engine:
        assert [c["title"] for c in engine.ask("chats.list")["chats"]] == ["after"]


def test_a_download_that_does_not_fit_is_refused_before_it_begins(small_disk: Path) -> None:
    with StandInHub() as hub, EnginePipe() as engine:
        hub.add("someone/tiny-gguf", {"tiny-Q4_1.gguf": real_models.smollm2()})
        engine.ask("settings.set", values={"hub_endpoint": hub.url})
        job = engine.ask("models.pull", model="someone/tiny-gguf")["job"]
        for message in engine.broadcasts():
            if message.get("event") == "job" and message["state"] == "failed":
                break
        assert message["error"]["code"] == "disk_full"
        assert message["job"] == job
        assert hub.file_requests() == []
