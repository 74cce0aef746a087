"""prune, lowrank, merge, adapter and to-hf as a person calls them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tiny_measured
import tiny_quantizable
from small_adapter import make_adapter
from small_checkpoint import CONFIG, make_small
from tiny_quantizable import Tiny

from desktop.commands.merge import _model
from desktop.commands.prune import _numbers
from engine.api.errors import UserError

if TYPE_CHECKING:
    import subprocess

    Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_blocks_are_left_out_and_named(deskside: Run, tmp_path: Path) -> None:
    tiny = tiny_quantizable.write(tmp_path / "tiny.gguf", Tiny(layers=5))
    done = deskside("prune", str(tiny), str(tmp_path / "out.gguf"), "--layers", "2,3", "--no-report")
    assert done.returncode == 0, done.stderr
    assert "2, 3" in done.stdout
    assert "nothing was trained" in done.stdout
    assert (tmp_path / "out.gguf").exists()
    listed = json.loads(deskside("models", "list", "--json").stdout)
    assert "out.gguf" in [Path(row["path"]).name for row in listed if row["path"]]
    wrong = deskside("prune", str(tiny), str(tmp_path / "b.gguf"), "--layers", "0", LANG="zh_CN.UTF-8")
    assert wrong.returncode == 2
    assert "不能去掉" in wrong.stderr


def test_a_lower_rank_as_json(deskside: Run, tmp_path: Path) -> None:
    make_small(tmp_path / "model", "F32")
    done = deskside("lowrank", str(tmp_path / "model"), str(tmp_path / "out"), "--rank", "3", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["rank"] for row in found["tensors"]} == {3}
    assert Path(found["path"]) == tmp_path / "out"
    wrong = deskside("lowrank", str(tmp_path / "model"), str(tmp_path / "b"), "--rank", "1.5")
    assert (wrong.returncode, "rank cannot be used" in wrong.stderr) == (2, True)


def test_checkpoints_are_merged_by_weight(deskside: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_small(tmp_path / name, "F32")
    models = [f"{tmp_path / 'one'}:0.7", f"{tmp_path / 'two'}:0.3"]
    done = deskside("merge", "linear", str(tmp_path / "out"), *models)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "out") in done.stdout
    said = json.loads((tmp_path / "out" / "merge.json").read_text())
    assert [model["weight"] for model in said["models"]] == [0.7, 0.3]


def test_an_adapter_becomes_a_file(deskside: Run, tmp_path: Path) -> None:
    make_small(tmp_path / "base", "F32")
    make_adapter(tmp_path / "lora", CONFIG)
    call = ("adapter", str(tmp_path / "lora"), str(tmp_path / "lora.gguf"), "--base", str(tmp_path / "base"))
    done = deskside(*call)
    assert done.returncode == 0, done.stderr
    assert "16" in done.stdout
    assert (tmp_path / "lora.gguf").read_bytes()[:4] == b"GGUF"


def test_a_model_becomes_a_checkpoint(deskside: Run, smollm2: Path, tmp_path: Path) -> None:
    model = tiny_measured.write(tmp_path / "m.gguf", smollm2).path
    done = deskside("to-hf", str(model), str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["family"].startswith("llama")
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {p.name for p in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("command", ["prune", "lowrank", "merge", "adapter", "to-hf"])
def test_each_explains_itself(deskside: Run, command: str) -> None:
    for language in ("C.UTF-8", "zh_CN.UTF-8"):
        done = deskside(command, "--help", LANG=language)
        assert done.returncode == 0
        assert "convert_shape." not in done.stdout  # a key without words
        assert "convert." not in done.stdout


def test_numbers_that_are_none() -> None:
    assert _numbers("7, 8,12") == [7, 8, 12]
    for call, text in ((_numbers, "7,x"), (_numbers, ""), (_model, "a:b:c"), (_model, "folder:heavy")):
        with pytest.raises(UserError) as caught:
            call(text)
        assert caught.value.code == "bad_numbers"


def test_a_folders_own_colons(tmp_path: Path) -> None:
    (tmp_path / "a:1").mkdir()
    found = _model(f"{tmp_path}/a:1:0.5:0.25")
    assert found == {"path": f"{tmp_path}/a:1", "weight": 0.5, "density": 0.25}
    assert _model(f"{tmp_path}/a:1") == {"path": f"{tmp_path}/a:1"}
