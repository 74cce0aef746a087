"""Checkpoints of many families become ONNX files that say the same as their source, in the exporter's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from export_environment import CHECKPOINTS, in_environment, offline, tiny_checkpoints, use_it

from convert.jobs import onnx as onnx_job
from convert.onnx import environment
from convert.onnx.export import Exporter, Order, look
from convert.onnx.running import Graph, continued
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job

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


@pytest.fixture(scope="session")
def traced(checkpoints: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, dict[str, Any]]]:
    """All families exported by one process: folder and what was found."""
    home = tmp_path_factory.mktemp("exporter")
    use_it(home)
    before, os.environ["DESKSIDE_HOME"] = os.environ.get("DESKSIDE_HOME", ""), str(home)
    python = environment.python()
    assert python is not None
    job, found = Job(home / "job.partial", {}), {}
    try:
        with Exporter(python, home / "exporter.log") as exporter:
            for name in ALL:
                out = home / name
                out.mkdir()
                order = Order(checkpoints / name, out, int8=name in SMALL, threads=1)
                found[name] = out, exporter.export(order, look(order.source), out, job)
    finally:
        os.environ["DESKSIDE_HOME"] = before
    return found


@pytest.fixture
def ready(home: Path) -> Path:
    """This test's data folder, with the environment."""
    use_it(home)
    return home


def run(source: Path, out: Path, job: Job | None = None, **more: Any) -> dict[str, Any]:
    params = {"source": str(source), "out": str(out), "threads": 1, **more}
    return onnx_job.run(params, job or Job(out.with_name(out.name + ".partial"), params))


@pytest.mark.parametrize("name", ALL)
def test_says_the_same_as_its_source(name: str, traced: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    said = traced[name][1]["agreement"]
    assert said["holds"], said
    assert said["kind"] == ("vectors" if name in VECTORS else "scores" if name in SCORES else "text")
    assert said["max_difference"] < 1e-4
    assert not traced[name][1]["seeded"]


@pytest.mark.parametrize("name", WRITERS)
def test_writes_on_as_its_source_does(name: str, traced: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    assert traced[name][1]["agreement"]["same_writing"] == 1


@pytest.mark.parametrize("name", SMALL)
def test_the_loss_of_8_bits_is_told(name: str, traced: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    folder, found = traced[name]
    said = found["int8"]
    assert said["verdict"] in ("good", "usable", "damaged")
    assert said["max_difference"] > found["agreement"]["max_difference"]
    for graph in found["graphs"]:
        assert b"DynamicQuantizeLinear" in (folder / f"{graph}_quantized.onnx").read_bytes()


def test_the_applications_own_onnxruntime_runs_it(traced: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """Another version than the exporter's, and no torch beside it."""
    wrote = continued(Graph(traced["codegen"][0] / "model.onnx", 1), [5, 6, 7], 4)
    assert len(wrote) == 4
    assert "torch" not in sys.modules


def test_another_text_gives_other_vectors(traced: dict[str, tuple[Path, dict[str, Any]]]) -> None:
    """Agreement would be cheap if every text got the same answer."""
    graph = Graph(traced["albert"][0] / "model.onnx", 1)
    ones = np.ones((1, 5), np.int64)
    both = [
        graph.run({"input_ids": ids, "attention_mask": ones, "token_type_ids": ones * 0})["last_hidden_state"]
        for ids in (ones * 9, ones * 40)
    ]
    assert np.abs(both[0] - both[1]).max() > 0.1


def test_a_whole_job(ready: Path, checkpoints: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny-opt"
    said = run(checkpoints / "opt", out, int8=True)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert said["folder"] == str(out)
    assert said["model"] == ""  # a network that writes is not run from ONNX here
    assert said["agreement"]["holds"]
    assert report["source"]["license"] == "mit"
    assert set(report["files"]) | {"report.json", "README.md"} == set(said["files"])
    assert "license: mit" in (out / "README.md").read_text(encoding="utf-8")
    assert {p.name for p in tmp_path.iterdir()} <= {"tiny-opt", "tiny-opt.rejected"}
    with pytest.raises(UserError) as error:
        run(checkpoints / "opt", out)
    assert error.value.code == "export_exists"


def test_nothing_of_the_checkpoint_is_executed(ready: Path, tmp_path: Path) -> None:
    """A pickle that calls, and a config that names Python files: neither runs, and the pickle's words are told."""
    marker, source = tmp_path / "ran", tmp_path / "hostile"
    source.mkdir()
    in_environment(
        """
import json, pathlib, pickle, sys
class Call:
    def __reduce__(self):
        return pathlib.Path.touch, (pathlib.Path(sys.argv[2]),)
pickle.dump({"a": Call()}, open(sys.argv[1] + "/pytorch_model.bin", "wb"))
print("1")
""",
        str(source),
        str(marker),
    )
    code = f"import pathlib; pathlib.Path({str(marker)!r}).touch()\nclass A: pass\n"
    (source / "modeling_own.py").write_text(code, encoding="utf-8")
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "auto_map": dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "modeling_own.A"),
        "hidden_size": 16,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
        "vocab_size": 30,
    }
    (source / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UserError) as error:
        run(source, tmp_path / "out")
    assert error.value.code == "export_source_unreadable"
    assert not marker.exists()
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_traced_is_said(ready: Path, checkpoints: Path, tmp_path: Path) -> None:
    """In one exporter: an unknown network, and weights that are not there."""
    odd, poor = (_copy(checkpoints / "gpt2", tmp_path / name) for name in ("odd", "poor"))
    _change(odd / "config.json", model_type="funnel", architectures=["FunnelModel"])
    _change(poor / "config.json", n_layer=3)
    python = environment.python()
    assert python
    with Exporter(python, tmp_path / "log") as exporter:
        for source, code in ((odd, "export_unsupported"), (poor, "export_missing_weights")):
            with pytest.raises(UserError) as error:
                exporter.export(Order(source, tmp_path / "out"), look(source), tmp_path, Job(tmp_path / "j", {}))
            assert error.value.code == code
    assert "h.2" in str(error.value.values["names"])


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


def test_4_bits_without_their_builder_are_refused_before_any_work(
    ready: Path, checkpoints: Path, tmp_path: Path
) -> None:
    for source in ("bert", "llama"):
        with pytest.raises(UserError) as error:
            run(checkpoints / source, tmp_path / "out", int4=True)
        assert error.value.code == "no_int4"


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


def test_killed_in_the_middle(ready: Path, checkpoints: Path, tmp_path: Path) -> None:
    """The exporter ends with its job, and the same job works afterwards."""
    out = tmp_path / "out"
    code = "import sys, pathlib; from test_onnx_export import run; run(*map(pathlib.Path, sys.argv[1:]))"
    path = os.pathsep.join((str(Path(__file__).parent), str(CHECKPOINTS.parent), str(CHECKPOINTS.parents[2])))
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(checkpoints / "bert"), str(out)], env=offline() | {"PYTHONPATH": path}
    )
    exporter = _exporter_of(process)
    process.kill()
    process.wait()
    psutil.wait_procs([exporter], timeout=20)
    assert not exporter.is_running()
    assert not out.exists()
    assert run(checkpoints / "bert", out)["agreement"]["holds"]


def _exporter_of(process: subprocess.Popen[bytes]) -> psutil.Process:
    while process.poll() is None:
        for one in psutil.Process(process.pid).children(recursive=True):
            if "inside.py" in " ".join(one.cmdline()):
                return one
        time.sleep(0.05)
    raise AssertionError("the job ended")


def _copy(source: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(source, target)
    return target


def _change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | values), encoding="utf-8")
