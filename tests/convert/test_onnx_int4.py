"""4-bit networks by onnxruntime-genai's builder: built, held against their source, judged; or said how to get them."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from export_environment import builder_python, job_apart, tiny_checkpoints, use_it

from convert.jobs import onnx as onnx_job
from convert.onnx import four_bits, int4, publish
from engine.api.errors import UserError
from engine.api.job import Job

WORDS = ("good", "usable", "damaged")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints(tmp_path_factory.mktemp("writers"), "wide-llama", "opt")


@pytest.fixture
def builder(home: Path) -> Path:
    """This test's data folder has an environment with the builder."""
    python = builder_python()
    use_it(home)
    return python


def run(source: Path, out: Path, **more: Any) -> dict[str, Any]:
    params = {"source": str(source), "out": str(out), "threads": 1, "int4": True, **more}
    return onnx_job.run(params, Job(out.with_name(out.name + ".partial"), params))


def killed_while_it_builds(source: Path, out: Path) -> None:
    """A process that does the same job is killed as soon as the builder runs; nothing of it goes on."""
    job = job_apart(__file__, source, out)
    while not (out.with_name(out.name + ".partial") / "traced" / four_bits.FOLDER).exists():
        assert job.poll() is None
        time.sleep(0.02)
    family = psutil.Process(job.pid).children(recursive=True)
    assert any(four_bits.BUILDER in one.cmdline() for one in family), [one.cmdline() for one in family]
    job.kill()
    job.wait()
    assert not psutil.wait_procs(family, timeout=20)[1]
    assert not out.exists()


def test_a_network_in_4_bits_is_compared_and_told(builder: Path, checkpoints: Path, tmp_path: Path) -> None:
    """The second time: the first job was killed in the builder."""
    killed_while_it_builds(checkpoints / "wide-llama", tmp_path / "tiny")
    said = run(checkpoints / "wide-llama", tmp_path / "tiny")
    figures = said["int4"]
    assert said["agreement"]["holds"]
    assert figures["verdict"] in WORDS
    assert 0 < figures["kl_mean"] < 5
    assert figures["max_difference"] > said["agreement"]["max_difference"]
    assert figures["tokens"] == said["agreement"]["tokens"]
    place = tmp_path / ("tiny.rejected" if figures["verdict"] == "damaged" else "tiny") / "int4"
    assert {"model.onnx", "genai_config.json", "tokenizer.json"} <= {file.name for file in place.iterdir()}
    assert figures["bytes"] == sum(file.stat().st_size for file in place.glob("model.onnx*"))
    report = json.loads((tmp_path / "tiny" / "report.json").read_text(encoding="utf-8"))
    assert report["int4"] == figures
    assert report["versions"]["onnxruntime-genai"].startswith("0.15.")
    card = (tmp_path / "tiny" / "README.md").read_text(encoding="utf-8")
    assert "| 4 bits |" in card
    assert figures["verdict"] in card
    assert not (tmp_path / "tiny.partial").exists()


def test_what_the_builder_does_not_know_is_said_before_tracing(
    builder: Path, checkpoints: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        run(checkpoints / "opt", tmp_path / "tiny")
    assert caught.value.code == "no_int4"
    assert caught.value.values["reason"] == "The opt model is not currently supported"
    assert not (tmp_path / "tiny").exists()
    assert not list((tmp_path / "tiny.partial").glob("*/*"))


def test_a_network_that_does_not_write_has_no_4_bits(tmp_path: Path) -> None:
    source = tmp_path / "bert"
    source.mkdir()
    (source / "config.json").write_text('{"architectures": ["BertModel"], "model_type": "bert"}', encoding="utf-8")
    (source / "pytorch_model.bin").write_bytes(bytes(8))
    with pytest.raises(UserError) as caught:
        run(source, tmp_path / "out")
    assert caught.value.code == "no_int4"


def test_a_builder_that_is_missing_or_too_new_is_said_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This Python has none; then one of a version that asks for other libraries lies in its way."""
    assert int4.installed(Path(sys.executable)) == ()
    for version in ("", "0.18.0"):
        if version:
            monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(pretended(tmp_path, version)), *guard())))
            assert int4.installed(Path(sys.executable)) == (0, 18)
        with pytest.raises(UserError) as caught:
            int4.check(Path(sys.executable))
        assert caught.value.code == "int4_not_installed"
        assert f'"{sys.executable}" -m pip install onnxruntime-genai==' in str(caught.value.values["command"])
    shutil.rmtree(tmp_path / "site")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(pretended(tmp_path, "0.15.2")), *guard())))
    int4.check(Path(sys.executable))


def guard() -> list[str]:
    return [os.environ["PYTHONPATH"]] if os.environ.get("PYTHONPATH") else []


def pretended(folder: Path, version: str) -> Path:
    """A folder that looks as if the builder were installed in it."""
    site = folder / "site"
    for package in ("onnxruntime_genai", "onnxruntime_genai/models", "onnx_ir"):
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").touch()
    (site / "onnxruntime_genai" / "models" / "builder.py").touch()
    told = site / f"onnxruntime_genai-{version}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: onnxruntime-genai\nVersion: {version}\n")
    return site


@pytest.mark.parametrize("bits, file", [("int8", "onnx/model_quantized.onnx"), ("int4", "int4/model.onnx")])
def test_damaged_bits_are_kept_aside(bits: str, file: str, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    for name in ("onnx/model.onnx", "onnx/model_quantized.onnx", "int4/model.onnx"):
        (ready / name).parent.mkdir(parents=True, exist_ok=True)
        (ready / name).touch()
    found = {one: {"verdict": "damaged" if one == bits else "usable"} for one in ("int8", "int4")}
    publish._damaged_aside(ready, tmp_path / "out", found, Job(tmp_path / "job", {}))
    assert not (ready / file).exists()
    assert len(list(ready.rglob("*.onnx"))) == 2
    assert (tmp_path / "out.rejected" / file.removeprefix("onnx/")).is_file()
