"""What needs no exporter: figures and limits, tasks, publishing, the environment's making."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.onnx import agreement, environment, publish, running
from convert.onnx.child import Child
from convert.onnx.export import Order
from convert.onnx.task import task_of
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job

DRAW = np.random.default_rng(3)


def logits(*shape: int) -> agreement.Array:
    return DRAW.normal(0, 3, shape).astype(np.float32)


def test_the_same_holds_and_a_little_off_does_not() -> None:
    source = [logits(7, 40), logits(9, 40)]
    same = agreement.judged("text", agreement.text(source, [one.copy() for one in source]))
    off = agreement.judged("text", agreement.text(source, [one + logits(*one.shape) * 0.01 for one in source]))
    assert (same["holds"], same["top1"], same["kl_mean"], same["tokens"]) == (True, 1, 0, 16)
    assert not off["holds"]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_never_holds(bad: float) -> None:
    source = [logits(5, 8)]
    broken = source[0].copy()
    broken[2, 3] = bad
    for kind, measure in (("vectors", agreement.vectors), ("text", agreement.text)):
        with np.errstate(invalid="ignore"):
            figures = measure(source, [broken])
        assert not agreement.judged(kind, figures)["holds"]
        assert agreement.loss(kind, figures)["verdict"] == "damaged"


def test_another_shape_never_holds() -> None:
    figures = agreement.vectors([logits(5, 8)], [logits(4, 8)])
    assert not agreement.judged("vectors", figures)["holds"]


def test_kl_is_that_of_the_odds() -> None:
    source, export = logits(1, 3), logits(1, 3)
    p, q = (np.exp(x[0].astype(float)) / np.exp(x[0].astype(float)).sum() for x in (source, export))
    found = agreement.text([source], [export])["kl_mean"]
    assert found == pytest.approx(float((p * np.log(p / q)).sum()), abs=1e-6)


@pytest.mark.parametrize("noise, verdict", [(0.02, "good"), (1.0, "usable"), (4.0, "damaged")])
def test_the_word_for_a_loss(noise: float, verdict: str) -> None:
    source = [logits(400, 50) * 2]
    export = [source[0] + np.random.default_rng(1).normal(0, noise, source[0].shape).astype(np.float32)]
    assert agreement.loss("text", agreement.text(source, export))["verdict"] == verdict


@pytest.mark.parametrize("length", range(1, 12))
def test_pieces_are_the_whole_text_in_order(length: int) -> None:
    ids = list(range(length))
    found = running.pieces(ids)
    assert [one for piece in found for one in piece] == ids
    assert all(found)


@pytest.mark.parametrize(
    "config, task",
    [
        ({"architectures": ["BertForSequenceClassification"]}, "text-classification"),
        ({"architectures": ["BertForMaskedLM"], "model_type": "bert"}, "feature-extraction"),
        ({"architectures": ["GPT2LMHeadModel"]}, "text-generation-with-past"),
        ({"architectures": ["GPT2Model"], "model_type": "gpt2"}, "text-generation-with-past"),
        ({"architectures": ["T5ForConditionalGeneration"]}, "text2text-generation-with-past"),
        ({"architectures": ["BartModel"], "model_type": "bart"}, "text2text-generation-with-past"),
        ({"architectures": 7, "model_type": None}, "feature-extraction"),
    ],
)
def test_tasks(config: dict[str, Any], task: str) -> None:
    assert task_of(config) == task


def source_and_traced(folder: Path) -> tuple[Order, Path]:
    source, traced = folder / "source", folder / "out.partial" / "traced"
    for place in (source, traced):
        place.mkdir(parents=True)
    (source / "config.json").write_text("{}", encoding="utf-8")
    (source / "model.safetensors").write_bytes(b"x")
    (source / "modeling_x.py").write_text("raise SystemExit", encoding="utf-8")
    (traced / "model.onnx").write_bytes(b"graph")
    (traced / "model_quantized.onnx").write_bytes(b"small")
    return Order(source, folder / "out"), traced


def found(holds: bool, verdict: str) -> dict[str, Any]:
    figures = {"kind": "vectors", "texts": 2, "max_difference": 0.5, "limits": {"max_difference": 1e-3}}
    return {
        "graphs": ["model"],
        "agreement": figures | {"holds": holds},
        "int8": figures | {"verdict": verdict},
        "versions": {"torch": "1"},
        "task": "feature-extraction",
        "peak_bytes": 1,
    }


def test_what_disagrees_is_kept_aside(tmp_path: Path) -> None:
    order, traced = source_and_traced(tmp_path)
    with pytest.raises(UserError) as error:
        publish.publish(order, {}, traced, found(False, "good"), Job(tmp_path / "j", {}))
    assert error.value.code == "export_disagrees"
    assert "0.5" in error.value.text
    assert not order.out.exists()
    assert (tmp_path / "out.rejected" / "onnx" / "model.onnx").read_bytes() == b"graph"


def test_8_bits_that_are_damaged_are_not_published(tmp_path: Path) -> None:
    order, traced = source_and_traced(tmp_path)
    said = publish.publish(
        order, {"auto_map": {"AutoModel": "x.Y"}}, traced, found(True, "damaged"), Job(tmp_path / "j", {})
    )
    assert said["files"] == ["README.md", "config.json", "onnx/model.onnx", "report.json"]
    assert (tmp_path / "out.rejected" / "model_quantized.onnx").is_file()
    assert "auto_map" not in (order.out / "config.json").read_text(encoding="utf-8")
    assert "damaged" in (order.out / "README.md").read_text(encoding="utf-8")


def test_no_network_is_said_and_nothing_is_left(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An index that refuses connections stands for it."""
    alone = {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1", "PIP_FIND_LINKS": ""}
    for name, value in (alone | {"PIP_INDEX_URL": "http://127.0.0.1:9/simple"}).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError) as error:
        environment.prepare(Job(tmp_path / "j", {}))
    assert error.value.code == "export_offline"
    assert environment.python() is None
    assert not [place for place in environment.folder().parent.iterdir() if place.is_dir()]


def test_a_job_that_is_cancelled_leaves_no_environment(home: Path, tmp_path: Path) -> None:
    stop = threading.Event()
    job = Job(tmp_path / "j", {}, lambda event: stop.set(), stop)
    with pytest.raises(Cancelled):
        environment.prepare(job)
    assert environment.python() is None
    assert not [place for place in environment.folder().parent.iterdir() if place.is_dir()]


def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    """What watches it sees the end of stdin, also where nobody could say goodbye."""
    mark = tmp_path / "pid"
    sleeper = f"import os, pathlib, time; pathlib.Path({str(mark)!r}).write_text(str(os.getpid())); time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, str(environment.WATCHED), sys.executable, "-c", sleeper], stdin=subprocess.PIPE
    )
    import psutil

    while not (mark.exists() and mark.read_text(encoding="utf-8")):
        assert process.poll() is None
    child = psutil.Process(int(mark.read_text(encoding="utf-8")))
    process.communicate()  # closes stdin
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_childs_lines_and_last_words(tmp_path: Path) -> None:
    code = "import sys; print('一'); print('two'); sys.exit('gone wrong')"
    with Child([sys.executable, "-X", "utf8", "-c", code], tmp_path / "log", os.environ) as child:
        lines = list(child.lines(lambda: None))
        assert (lines, child.status(), child.last_words()) == (["一", "two"], 1, "gone wrong")
