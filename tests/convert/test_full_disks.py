"""A disk that becomes full while a folder or a file is made: said in time or on the way, and nothing half is left."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
import small_adapter
import whole_checkpoint
from small_disk import filling, small_disk

from convert.jobs import convert, quantize
from engine.api.errors import UserError
from engine.api.job import Job

KINDS = ("to_hf", "merge", "lowrank", "adapter", "prune", "residual")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, its adapter, and GGUF files of it."""
    folder = tmp_path_factory.mktemp("sources")
    whole_checkpoint.make(folder / "model", num_hidden_layers=6)
    small_adapter.make_adapter(folder / "lora", json.loads((folder / "model" / "config.json").read_text()))
    asked: dict[str, Any] = {"source": str(folder / "model"), "out": str(folder / "model.gguf"), "type": "f16"}
    convert.run(asked, Job(folder / "one.partial", asked))
    asked = {"source": asked["out"], "out": str(folder / "less.gguf"), "type": "Q4_0", "report": False, "threads": 1}
    quantize.run(asked, Job(folder / "two.partial", asked))
    return folder


def asked_of(kind: str, sources: Path) -> tuple[str, dict[str, Any]]:
    model, lora, file = (str(sources / name) for name in ("model", "lora", "model.gguf"))
    known: dict[str, tuple[str, dict[str, Any]]] = {
        "to_hf": ("to_hf", {"source": file, "type": "f32"}),
        "merge": ("merge", {"method": "linear", "models": [{"path": model}, {"path": model}]}),
        "lowrank": ("lowrank", {"source": model, "rank": 4}),
        "adapter": ("adapter", {"source": lora, "base": model, "type": "f32"}),
        "prune": ("prune", {"model": file, "layers": [2], "report": False}),
        "residual": ("lowrank", {"source": model, "of": str(sources / "less.gguf"), "rank": 64, "report": False}),
    }
    return known[kind]


def code_of(kind: str, sources: Path, disk: Path, hear: Any = None) -> str:
    name, params = asked_of(kind, sources)
    params |= {"out": str(disk / "made"), "threads": 1}
    with pytest.raises(UserError) as caught:
        importlib.import_module(f"convert.jobs.{name}").run(params, Job(disk / "made.partial", params, hear))
    assert caught.value.hint
    return caught.value.code


def check_nothing_half(disk: Path) -> None:
    assert not (disk / "made").exists()
    assert not list(disk.glob("made.partial/checkpoint/*"))
    assert not list(disk.glob(".made*"))


@pytest.mark.parametrize("kind", ["to_hf", "merge", "lowrank", "prune"])
def test_too_little_room_is_said_before_it_begins(kind: str, sources: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 3) as disk:
        assert code_of(kind, sources, disk) == "disk_full"
        check_nothing_half(disk)


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_others_fill_is_said_and_nothing_half_is_left(kind: str, sources: Path, tmp_path: Path) -> None:
    codes = ("disk_full", "disk_full_anew", "disk_full_midway", "quantize_disk_full")
    with small_disk(tmp_path / "disk", 64) as disk:
        assert code_of(kind, sources, disk, filling(disk)) in codes
        check_nothing_half(disk)
        (disk / "filler").unlink()
        name, params = asked_of(kind, sources)
        params |= {"out": str(disk / "made"), "threads": 1}
        done = importlib.import_module(f"convert.jobs.{name}").run(params, Job(disk / "made.partial", params))
        assert Path(done["path"]).exists()
        assert Path(done["report"]).is_file()
