"""Names of a hub in orders to the engine: where they may stand, and that a cancel takes what was fetched along."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import conversion_desk as desk
import pytest
import whole_checkpoint
from stand_in_hub import StandInHub

from desktop.pipe import EnginePipe
from engine.api.errors import UserError
from engine.api.folders import checkpoints_folder

ONE, TWO = "someone/One", "someone/Two"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[StandInHub]:
    made = whole_checkpoint.make(tmp_path / "model")
    with StandInHub() as server:
        for name in (ONE, TWO):
            server.add(name, {file.name: file for file in made.iterdir()})
        yield server


def test_models_of_a_hub_are_merged(engine: EnginePipe, hub: StandInHub, tmp_path: Path) -> None:
    engine.ask("settings.set", values={"hub_endpoint": hub.url})
    models = [{"path": f"https://huggingface.co/{ONE}"}, {"path": TWO}]
    params = {"method": "linear", "models": models, "out": str(tmp_path / "made")}
    row = desk.end(engine, desk.start(engine, "merge", params))
    assert row["state"] == "done", row["error"]
    assert [one["repo"] for one in row["result"]["fetched"]] == [ONE, TWO]
    assert row["params"]["models"] == [{"path": ONE}, {"path": TWO}]
    assert (tmp_path / "made" / "report.json").is_file()


def test_a_cancel_takes_what_was_fetched_of_all(engine: EnginePipe, hub: StandInHub, tmp_path: Path) -> None:
    engine.ask("settings.set", values={"hub_endpoint": hub.url})
    hub.bytes_per_s = 400_000
    params = {"method": "linear", "models": [{"path": ONE}, {"path": TWO}], "out": str(tmp_path / "made")}
    job = desk.start(engine, "merge", params)
    partial = checkpoints_folder() / f"{ONE}.partial"
    desk.wait_for(lambda: list(partial.glob("*.safetensors")))
    engine.ask("jobs.cancel", job=job)
    assert desk.end(engine, job)["state"] == "cancelled"
    desk.wait_for(lambda: not partial.exists())
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_job_of_files_takes_no_name_of_a_hub(engine: EnginePipe, hub: StandInHub, tmp_path: Path) -> None:
    engine.ask("settings.set", values={"hub_endpoint": hub.url})
    for kind, more in (("to_hf", {}), ("quantize", {"type": "Q8_0"})):
        with pytest.raises(UserError) as caught:
            desk.start(engine, kind, {"source": ONE, "out": str(tmp_path / "made"), **more})
        assert caught.value.code == "nothing_there"
    assert hub.requests == []
