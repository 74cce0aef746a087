"""The job that makes an importance matrix: on a real model, killed and resumed, cancelled, merged, refused."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import minilm_gguf
import numpy as np
import pytest
import tiny_measured

from convert.imatrix import read
from convert.jobs.imatrix import run
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_measured.write(tmp_path_factory.mktemp("tiny") / "tiny.gguf", smollm2).path


def asked(model: Path, out: Path, **more: Any) -> dict[str, Any]:
    return {
        "model": str(model),
        "out": str(out),
        "text": "builtin",
        "context": 64,
        "threads": 1,
        "gpu_layers": 0,
        **more,
    }


def start(params: dict[str, Any], folder: Path) -> dict[str, Any]:
    return run(params, Job(folder, params))


def test_a_real_model_is_complete(smollm2: Path, tmp_path: Path) -> None:
    found = start(asked(smollm2, tmp_path / "m.gguf", chunks=8), tmp_path / "m.partial")
    assert (found["complete"], found["missing"], found["tensors"], found["chunks"]) == (True, [], 210, 8)
    assert found["experts_unrouted"] == []
    entry = read(tmp_path / "m.gguf")
    assert entry.counts["blk.29.ffn_down.weight"].tolist() == [8 * 64]
    assert entry.datasets == ("deskside-builtin-1",)


def test_killed_and_resumed_it_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    params = asked(model, tmp_path / "m.gguf", chunks=400)
    folder = tmp_path / "m.partial"
    with subprocess.Popen(
        [sys.executable, "-m", "engine.job_main", "imatrix", str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    ) as process:
        assert process.stdin
        process.stdin.write(json.dumps(params).encode() + b"\n")
        process.stdin.flush()
        end = time.monotonic() + 60
        while not (folder / "job.json").exists() and time.monotonic() < end:
            time.sleep(0.01)
        process.kill()
    assert (folder / "sums.npz").exists()
    assert not (tmp_path / "m.gguf").exists()
    events: list[dict[str, Any]] = []
    run(params, Job(folder, params, events.append))
    assert next(event for event in events if event["event"] == "step")["done"] >= 8 * 64
    assert not (folder / "sums.npz").exists()
    whole = {**params, "out": str(tmp_path / "whole.gguf")}
    start(whole, tmp_path / "whole.partial")
    assert (tmp_path / "m.gguf").read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_unfinished_work_on_another_file_is_not_taken_up(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "m.partial"
    folder.mkdir()
    arrays: dict[str, Any] = {"s:blk.0.x": np.ones((1, 3))}
    np.savez(folder / "sums.npz", done=np.array(4), mark=np.array("another"), **arrays)
    found = start(asked(model, tmp_path / "m.gguf", chunks=4), folder)
    assert found["tensors"] == 14
    (folder / "sums.npz").write_bytes(b"PK\x03\x04 cut off")
    assert start(asked(model, tmp_path / "m.gguf", chunks=4), folder)["tensors"] == 14


def test_cancelled_it_leaves_nothing(model: Path, tmp_path: Path) -> None:
    params = asked(model, tmp_path / "m.gguf")
    stop = threading.Event()
    with pytest.raises(Cancelled):
        run(params, Job(tmp_path / "m.partial", params, lambda event: stop.set(), stop))
    assert not (tmp_path / "m.gguf").exists()


def test_merging_two_texts_is_reading_both(model: Path, tmp_path: Path) -> None:
    words = [("The ship sailed on. " * 200), ("It rained in the mountains all night. " * 200)]
    for number, text in enumerate(words):
        (tmp_path / f"{number}.txt").write_text(text, encoding="utf-8")
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    start(asked(model, first, text=str(tmp_path / "0.txt"), chunks=4), tmp_path / "a.partial")
    merge = {"text": str(tmp_path / "1.txt"), "chunks": 4, "merge": [str(first)]}
    found = start(asked(model, second, **merge), tmp_path / "b.partial")
    assert found["chunks"] == 8
    alone = tmp_path / "alone.gguf"
    start(asked(model, alone, text=str(tmp_path / "1.txt"), chunks=4), tmp_path / "c.partial")
    name = "blk.1.ffn_down.weight"
    np.testing.assert_allclose(read(second).sums[name], read(first).sums[name] + read(alone).sums[name], rtol=1e-6)
    assert read(second).datasets == ("0.txt", "1.txt")


def test_experts_that_were_never_asked_are_named(smollm2: Path, tmp_path: Path) -> None:
    experts = tiny_measured.write(tmp_path / "experts.gguf", smollm2, experts=64, wide=32, layers=1)
    (tmp_path / "text.txt").write_text("a a a a " * 64, encoding="utf-8")
    params = asked(experts.path, tmp_path / "m.gguf", text=str(tmp_path / "text.txt"), chunks=1)
    found = start(params, tmp_path / "m.partial")
    named = {entry["tensor"]: entry for entry in found["experts_unrouted"]}
    assert set(named) == {f"blk.0.ffn_{kind}_exps.weight" for kind in ("gate", "up", "down")}
    assert named["blk.0.ffn_up_exps.weight"]["of"] == 64
    assert len(named["blk.0.ffn_up_exps.weight"]["experts"]) > 30


def test_texts_of_a_collection(model: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"text": "船在海上航行了很久。" * 40}, ensure_ascii=False) for _ in range(20)]
    (tmp_path / "texts.jsonl").write_text("\n".join([*lines, '{"text": "cut o']), encoding="utf-8")
    text = {"collection": "7", "file": str(tmp_path / "texts.jsonl")}
    found = start(asked(model, tmp_path / "m.gguf", text=text, chunks=2), tmp_path / "m.partial")
    assert (found["chunks"], read(tmp_path / "m.gguf").datasets) == (2, ("collection 7",))


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"short", "short_text"), (b"\0\1\2" * 99, "unreadable_text"), (b"\xd6\xd0\xce\xc4" * 900, "unreadable_text")],
)
def test_texts_that_cannot_be_used(content: bytes, code: str, model: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(content)
    with pytest.raises(UserError) as caught:
        start(asked(model, tmp_path / "m.gguf", text=str(tmp_path / "text")), tmp_path / "m.partial")
    assert caught.value.code == code


def test_a_model_that_does_not_write_is_refused(tmp_path: Path) -> None:
    encoder = minilm_gguf.write(minilm_gguf.tiny_bert(), tmp_path / "encoder.gguf")
    with pytest.raises(UserError) as caught:
        start(asked(encoder, tmp_path / "m.gguf"), tmp_path / "m.partial")
    assert caught.value.code == "cannot_measure"
