"""Jobs whose sources lie on a hub, each as the same job with folders here; what they need is all that is fetched."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import small_adapter
import whole_checkpoint
from stand_in_hub import StandInHub

from convert.jobs import adapter, look, lowrank, merge, onnx
from convert.report import read
from engine.api.errors import UserError
from engine.api.folders import checkpoints_folder
from engine.api.hub_names import hub_names, with_sources
from engine.api.job import Job

FIRST, SECOND, LORA = "someone/First", "someone/Second", "someone/Lora"


class Places:
    """The models in folders here, and the hub that has them too."""

    def __init__(self, folder: Path, hub: StandInHub) -> None:
        self.folder, self.hub = folder, hub

    def run(self, job: Any, out: Path, **params: Any) -> dict[str, Any]:
        params |= {"out": str(out), "endpoint": self.hub.url}
        done: dict[str, Any] = job.run(params, Job(out.with_name(out.name + ".partial"), params))
        return done

    def here(self, job: Any, out: Path, **params: Any) -> dict[str, Any]:
        """The same from the folders."""
        return self.run(job, out, **with_sources(params, lambda name: str(self.folder / name.rpartition("/")[2])))

    def look(self, name: str) -> dict[str, Any]:
        params = {"source": name, "endpoint": self.hub.url}
        return look.run(params, Job(self.folder / "look", params))

    def fetched(self) -> list[str]:
        return [one.path.rpartition("/")[2] for one in self.hub.file_requests()]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("First", "Second"):
        whole_checkpoint.make(folder / name, shards=2)
    small_adapter.make_adapter(folder / "Lora", json.loads((folder / "First" / "config.json").read_text()))
    return folder


@pytest.fixture
def places(models: Path) -> Iterator[Places]:
    with StandInHub() as hub:
        for repo in (FIRST, SECOND, LORA):
            folder = models / repo.rpartition("/")[2]
            hub.add(repo, {file.name: file for file in folder.iterdir()} | {"run.py": b"raise SystemExit"})
        yield Places(models, hub)


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a made model; reports hold times."""
    own = ("report.json", "README.md", "merge.json")
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name not in own}


def test_names_are_found_wherever_a_job_reads() -> None:
    params = {"source": FIRST, "base": "/a/folder", "models": [{"path": SECOND}, {"path": FIRST}, "odd"], "of": LORA}
    assert hub_names(params) == [FIRST, SECOND]
    assert with_sources(params, str.upper)["models"] == [{"path": SECOND.upper()}, {"path": FIRST.upper()}, "odd"]
    assert hub_names({"models": "odd", "source": ""}) == []


def test_models_are_merged_that_lie_on_a_hub(places: Places, tmp_path: Path) -> None:
    asked = {"method": "linear", "models": [{"path": FIRST, "weight": 0.25}, {"path": SECOND, "weight": 0.75}]}
    made = places.run(merge, tmp_path / "far", **asked)
    places.here(merge, tmp_path / "here", **asked)
    assert contents(tmp_path / "far") == contents(tmp_path / "here")
    assert {row["repo"]: row["kept"] for row in made["fetched"]} == {FIRST: True, SECOND: True}
    assert "source" not in made
    report = read(tmp_path / "far")
    assert (report["source"]["base"], report["source"]["license"]["id"]) == (FIRST, "mit")
    assert set(report["settings"]) <= {"method", "models", "base", "type", "seed"}
    assert "run.py" not in places.fetched()


def test_a_model_is_rounded_that_lies_on_a_hub_and_goes_afterwards(places: Places, tmp_path: Path) -> None:
    made = places.run(lowrank, tmp_path / "far", source=FIRST, rank=8, keep_source=False)
    places.here(lowrank, tmp_path / "here", source=FIRST, rank=8)
    assert contents(tmp_path / "far") == contents(tmp_path / "here")
    assert (made["source"]["repo"], made["source"]["kept"]) == (FIRST, False)
    assert not (checkpoints_folder() / FIRST).exists()


def test_of_an_adapters_base_no_weights_are_fetched(places: Places, tmp_path: Path) -> None:
    made = places.run(adapter, tmp_path / "far.gguf", source=LORA, base=FIRST)
    here = places.here(adapter, tmp_path / "here.gguf", source=LORA, base=FIRST)
    assert made["sha256"] == here["sha256"]
    assert [row["repo"] for row in made["fetched"]] == [LORA]
    assert not (checkpoints_folder() / FIRST).exists()
    assert "adapter_model.safetensors" in places.fetched()


def test_an_adapters_base_in_pickles_needs_its_config_alone(places: Places, tmp_path: Path) -> None:
    files = places.hub.files[FIRST]
    places.hub.files[FIRST] = {n: d for n, d in files.items() if ".safetensors" not in n} | {"pytorch_model.bin": b"x"}
    made = places.run(adapter, tmp_path / "far.gguf", source=str(places.folder / "Lora"), base=FIRST)
    assert made["tensors"] > 0
    assert "fetched" not in made
    assert "pytorch_model.bin" not in places.fetched()


def test_an_adapter_and_its_base_are_merged(places: Places, tmp_path: Path) -> None:
    asked = {"method": "adapter", "models": [{"path": LORA}], "base": FIRST}
    made = places.run(merge, tmp_path / "far", **asked)
    places.here(merge, tmp_path / "here", **asked)
    assert contents(tmp_path / "far") == contents(tmp_path / "here")
    assert {row["repo"] for row in made["fetched"]} == {FIRST, LORA}


def test_an_export_fetches_first(places: Places, tmp_path: Path) -> None:
    packed = {"quantization_config": {"quant_method": "gptq"}}
    config = json.loads(places.hub.files[FIRST]["config.json"]) | packed
    places.hub.files[FIRST]["config.json"] = json.dumps(config).encode()
    with pytest.raises(UserError) as caught:
        places.run(onnx, tmp_path / "far", source=FIRST)
    assert (caught.value.code, caught.value.values["name"]) == ("export_packed", "First")
    assert (checkpoints_folder() / FIRST / "config.json").is_file()


def test_a_look_offers_all_that_works_from_afar(places: Places) -> None:
    found = places.look(FIRST)
    assert {"gguf", "onnx", "merge", "lowrank"} <= set(found["can"])
    found = places.look(LORA)
    assert (found["kind"], found["can"], found["architecture"]) == ("hub", ["adapter", "merge_adapter"], "LORA")
    assert found["bytes"] > 0
    assert places.fetched() == ["config.json", "adapter_config.json"]


def test_what_is_neither_is_said(places: Places, tmp_path: Path) -> None:
    places.hub.files[LORA].pop("adapter_model.safetensors")
    with pytest.raises(UserError) as caught:
        places.run(merge, tmp_path / "far", method="adapter", models=[{"path": LORA}], base=FIRST)
    assert caught.value.code == "hub_without_checkpoint"
    assert not (tmp_path / "far").exists()
