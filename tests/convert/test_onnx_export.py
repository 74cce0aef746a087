"""Checkpoints of many families become ONNX files that say the same as their source, in the exporter's environment."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from export_environment import export_python, job_apart, tiny_checkpoints, use_it

from convert.jobs import onnx as onnx_job
from convert.onnx import publish
from convert.onnx.export import Exporter, Order, look
from convert.onnx.running import Graph, continued
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job
from engine.documents.rerank import open_reranker

VECTORS, SCORES, WRITERS, ANSWERING = (
    ("bert", "xlm-r", "albert"),
    ("reranker",),
    ("gpt2", "llama", "opt", "codegen", "bloom"),
    ("t5", "bart"),
)
ALL = (*VECTORS, *SCORES, *WRITERS, *ANSWERING)
SMALL = ("albert", "opt", "bart", "gpt2")  # also with 8 bits


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints(tmp_path_factory.mktemp("checkpoints"))


@dataclass
class Shared:
    """What one exporter's process made of all checkpoints, one after the other; the last one ended it."""

    home: Path
    found: dict[str, dict[str, Any]]
    refused: dict[str, UserError]

    def graph(self, name: str, file: str = "model") -> Graph:
        """One of its files, run by the application's own onnxruntime."""
        return Graph(self.home / name / f"{file}.onnx", 1)


@pytest.fixture(scope="session")
def shared(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shared]:
    home = tmp_path_factory.mktemp("exporter")
    use_it(home)
    hostile = {name: make(checkpoints) for name, make in (("odd", odd), ("poor", poor), ("hostile", hostile_one))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESKSIDE_HOME", str(home))
        with Exporter(export_python(), home / "exporter.log") as exporter:
            shared = Shared(home, {}, {})
            for name in ALL:
                shared.found[name] = send(exporter, checkpoints / name, home / name, name in SMALL)
            shared.found["nameless"] = send(exporter, nameless(checkpoints), home / "nameless", False)
            for name, source in hostile.items():
                with pytest.raises(UserError) as error:
                    send(exporter, source, home / name, False)
                shared.refused[name] = error.value
    yield shared


def send(exporter: Exporter, source: Path, out: Path, int8: bool) -> dict[str, Any]:
    out.mkdir()
    order = Order(source, out, int8, threads=1)
    return exporter.export(order, look(source), out, Job(out.with_suffix(".partial"), {}))


def odd(checkpoints: Path) -> Path:
    """A network that transformers knows and the exporter does not."""
    source = _copy(checkpoints / "gpt2", checkpoints / "odd")
    return _change(source, model_type="funnel", architectures=["FunnelModel"])


def nameless(checkpoints: Path) -> Path:
    """An old config that names its network by the class alone, in a folder whose name has another network's in it."""
    source = _copy(checkpoints / "gpt2", checkpoints / "bit-8-bits")
    return _change(source, model_type=None, architectures=["GPT2LMHeadModel"])


def poor(checkpoints: Path) -> Path:
    """Fewer layers in the file than in the config."""
    return _change(_copy(checkpoints / "gpt2", checkpoints / "poor"), n_layer=3)


def hostile_one(checkpoints: Path) -> Path:
    """A config that names Python files, and a pickle that calls; each would leave the file `ran`."""
    source = _copy(checkpoints / "bert", checkpoints / "hostile")
    code = f"import pathlib; pathlib.Path({str(checkpoints / 'ran')!r}).touch()\nclass A: pass\n"
    (source / "modeling_own.py").write_text(code, encoding="utf-8")
    (source / "model.safetensors").unlink()
    (source / "pytorch_model.bin").write_bytes(pickle.dumps({"a": Call(checkpoints / "ran")}))
    return _change(source, auto_map=dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "modeling_own.A"))


class Call:
    """Unpickled, it touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.fixture
def ready(home: Path) -> Path:
    """This test's data folder, with the environment."""
    use_it(home)
    return home


def run(source: Path, out: Path, job: Job | None = None, **more: Any) -> dict[str, Any]:
    params = {"source": str(source), "out": str(out), "threads": 1, **more}
    return onnx_job.run(params, job or Job(out.with_name(out.name + ".partial"), params))


@pytest.mark.parametrize("name", ALL)
def test_says_the_same_as_its_source(name: str, shared: Shared) -> None:
    said = shared.found[name]["agreement"]
    assert said["holds"], said
    assert said["kind"] == ("vectors" if name in VECTORS else "scores" if name in SCORES else "text")
    assert said["max_difference"] < 1e-4
    assert not shared.found[name]["seeded"]


def test_the_class_tells_the_network_where_no_type_is_named(shared: Shared) -> None:
    assert shared.found["nameless"]["agreement"] == shared.found["gpt2"]["agreement"]


@pytest.mark.parametrize("name", WRITERS)
def test_writes_on_as_its_source_does(name: str, shared: Shared) -> None:
    assert shared.found[name]["agreement"]["same_writing"] == 1


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_of_8_bits_is_told(name: str, shared: Shared) -> None:
    found = shared.found[name]
    said = found["int8"]
    assert said["verdict"] in ("good", "usable", "damaged")
    assert said["max_difference"] > found["agreement"]["max_difference"]
    for graph in found["graphs"]:
        assert b"DynamicQuantizeLinear" in (shared.home / name / f"{graph}_quantized.onnx").read_bytes()


def test_the_applications_own_onnxruntime_runs_it(shared: Shared) -> None:
    """Another version than the exporter's, and no torch beside it."""
    wrote = continued(shared.graph("codegen"), [5, 6, 7], 4)
    assert len(wrote) == 4
    assert "torch" not in sys.modules


def test_another_text_gives_other_vectors(shared: Shared) -> None:
    """Agreement would be cheap if every text got the same answer."""
    graph = shared.graph("albert")
    ones = np.ones((1, 5), np.int64)
    both = [
        graph.run({"input_ids": ids, "attention_mask": ones, "token_type_ids": ones * 0})["last_hidden_state"]
        for ids in (ones * 9, ones * 40)
    ]
    assert np.abs(both[0] - both[1]).max() > 0.1


def test_nothing_of_the_checkpoint_is_executed(shared: Shared, checkpoints: Path) -> None:
    """The pickle's call would run where the file is read as one; the error is of the reader that takes weights only."""
    assert shared.refused["hostile"].code == "export_source_unreadable"
    assert "eights" in shared.refused["hostile"].text
    assert not (checkpoints / "ran").exists()
    pickle.loads((checkpoints / "hostile" / "pytorch_model.bin").read_bytes())
    assert (checkpoints / "ran").exists()  # it would have worked


def test_what_cannot_be_traced_is_said(shared: Shared) -> None:
    """An unknown network, and weights that are not there."""
    assert shared.refused["odd"].code == "export_unsupported"
    assert "funnel" in shared.refused["odd"].text
    assert shared.refused["poor"].code == "export_missing_weights"
    assert "h.2" in str(shared.refused["poor"].values["names"])


def test_a_reranker_ranks_as_its_checkpoint_does(shared: Shared, checkpoints: Path, home: Path, tmp_path: Path) -> None:
    """Published, listed, and opened by what searches documents."""
    source, traced = checkpoints / "reranker", shared.home / "reranker"
    order = Order(source, tmp_path / "tiny-rerank")
    found = shared.found["reranker"] | {"task": "text-classification", "peak_bytes": 0}
    said = publish.publish(order, look(source).config, traced, found, Job(tmp_path / "job.partial", {}))
    truth = json.loads((source / "expected.json").read_text(encoding="utf-8"))
    reranker = open_reranker(said["model"], threads=1)
    assert reranker is not None
    scores = reranker.scores(truth["question"], truth["passages"])
    reranker.close()
    assert np.abs(np.array(scores) - truth["scores"]).max() < 1e-4
    assert max(scores) - min(scores) > 1e-3


def test_what_is_no_checkpoint_is_said_without_the_exporter(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF")
    packed = tmp_path / "packed"
    packed.mkdir()
    (packed / "config.json").write_text('{"quantization_config": {"quant_method": "gptq"}}', encoding="utf-8")
    for source, code in ((file, "export_needs_checkpoint"), (packed, "export_packed"), (tmp_path, "no_config")):
        with pytest.raises(UserError) as error:
            run(source, tmp_path / "out")
        assert error.value.code == code


def test_cancelled_in_the_middle(ready: Path, checkpoints: Path, tmp_path: Path) -> None:
    stop, out = threading.Event(), tmp_path / "out"

    def report(event: dict[str, Any]) -> None:
        if event.get("text") == "load":
            stop.set()

    with pytest.raises(Cancelled):
        run(checkpoints / "gpt2", out, Job(tmp_path / "out.partial", {}, report, stop))
    assert not out.exists()
    assert not (tmp_path / "out.partial" / "traced").exists()
    assert not [one for one in psutil.Process().children(recursive=True) if "inside.py" in " ".join(one.cmdline())]


def test_a_job_killed_in_the_middle_and_done_again(
    ready: Path, checkpoints: Path, shared: Shared, tmp_path: Path
) -> None:
    """The exporter ends with its job, and the same job works afterwards, to the same network."""
    source, out = checkpoints / "opt", tmp_path / "tiny-opt"
    for traced in (False, True):  # as soon as there is an exporter; then while what it traced is compared
        process = job_apart(__file__, source, out)
        exporter = _exporter_of(process)
        while traced and not list(tmp_path.glob("tiny-opt.partial/traced/*.onnx")):
            assert process.poll() is None
            time.sleep(0.02)
        process.kill()
        process.wait()
        psutil.wait_procs([exporter], timeout=20)
        assert not exporter.is_running()
        assert not out.exists()
    said = run(source, out, int8=True)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert (said["folder"], said["model"]) == (str(out), "")  # a network that writes is not run from ONNX here
    assert said["agreement"]["holds"]
    assert report["source"]["license"]["id"] == "mit"
    assert set(report["files"]) | {"report.json", "README.md"} == set(said["files"])
    assert 'license: "mit"' in (out / "README.md").read_text(encoding="utf-8")
    assert [place.name for place in tmp_path.iterdir()] == ["tiny-opt"]
    undisturbed = shared.home / "opt" / "model.onnx"
    assert (out / "onnx" / "model.onnx").read_bytes() == undisturbed.read_bytes()
    with pytest.raises(UserError) as error:
        run(source, out)
    assert error.value.code == "export_exists"


def _exporter_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    while process.poll() is None:
        for one in psutil.Process(process.pid).children(recursive=True):
            if "inside.py" in " ".join(one.cmdline()):
                return one
        time.sleep(0.05)
    raise AssertionError("the job ended")


def _copy(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def _change(source: Path, **values: Any) -> Path:
    path = source / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")
    return source
