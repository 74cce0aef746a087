"""The second pass: bytes that are right, whatever stops it on the way."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from small_checkpoint import make_small

from convert.checkpoint import open_checkpoint
from convert.families import family_of
from convert.family import Entries
from convert.keys import entries_of
from convert.plan import Plan, tensors_of
from convert.stream import USUAL, Pace, Written, write
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job

GENERAL: Entries = {"general.architecture": ("str", "llama"), "general.name": ("str", "Small, 小")}


def planned(folder: Path, kind: str) -> tuple[Plan, Any]:
    checkpoint = open_checkpoint(folder)
    found = family_of(checkpoint.config)
    assert found
    entries = GENERAL | entries_of("llama", found[1].keys, checkpoint.config)
    return Plan(found[0], entries, tensors_of(found[1], checkpoint, kind)), checkpoint


def job_in(folder: Path, cancelled: threading.Event | None = None) -> Job:
    folder.mkdir(parents=True, exist_ok=True)
    return Job(folder, {"kind": "convert"}, cancelled=cancelled)


def converted(tmp_path: Path, dtype: str, kind: str, pace: Pace = USUAL) -> tuple[Path, dict[str, Any], Written, Plan]:
    arrays = make_small(tmp_path / "model", dtype)
    plan, checkpoint = planned(tmp_path / "model", kind)
    path = tmp_path / "out.gguf"
    return path, arrays, write(plan, checkpoint, path, job_in(tmp_path / "work"), pace=pace), plan


def wide(bits: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def test_the_file_is_as_planned_and_its_hash_is_true(tmp_path: Path) -> None:
    path, _, written, plan = converted(tmp_path, "BF16", "F16")
    raw = path.read_bytes()
    assert written.sha256 == hashlib.sha256(raw).hexdigest()
    assert len(raw) == plan.file_bytes == written.bytes
    read = gguf.GGUFReader(path)
    assert read.fields["general.name"].contents() == "Small, 小"
    assert read.fields["llama.attention.head_count_kv"].contents() == 2
    assert {t.name: (tuple(reversed(t.shape.tolist())), t.tensor_type.name) for t in read.tensors} == {
        tensor.name: (tensor.shape, tensor.type) for tensor in plan.tensors
    }


@pytest.mark.parametrize(("dtype", "kind"), [("BF16", "BF16"), ("F16", "F16"), ("F32", "F32"), ("BF16", "F32")])
def test_values_pass_unchanged(tmp_path: Path, dtype: str, kind: str) -> None:
    path, arrays, _, _ = converted(tmp_path, dtype, kind)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    found = tensors["blk.1.ffn_down.weight"].data
    source = arrays["model.layers.1.mlp.down_proj.weight"]
    if kind == "BF16":
        assert found.tobytes() == source.tobytes()
    else:
        assert np.array_equal(found, wide(source) if dtype == "BF16" else source)
    norm = arrays["model.norm.weight"]
    assert np.array_equal(
        tensors["output_norm.weight"].data, wide(norm) if dtype == "BF16" else norm.astype(np.float32)
    )


def test_q8_0_is_ggmls(tmp_path: Path) -> None:
    path, arrays, _, _ = converted(tmp_path, "F32", "Q8_0")
    found = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}["token_embd.weight"]
    assert (
        found.data.tobytes()
        == gguf.quantize(arrays["model.embed_tokens.weight"], gguf.GGMLQuantizationType.Q8_0).tobytes()
    )


def test_slabs_change_nothing(tmp_path: Path) -> None:
    one = converted(tmp_path / "one", "BF16", "F16")[2]
    other = converted(tmp_path / "other", "BF16", "F16", Pace(slab=100, forget=1000))[2]
    assert one.sha256 == other.sha256


class StopsAt(Job):
    """A job that is cancelled at its Nth step."""

    steps = 0

    def __init__(self, folder: Path, at: int) -> None:
        super().__init__(folder, {"kind": "convert"}, cancelled=threading.Event())
        self.at = at

    def step(self, done: int, total: int, unit: str, text: str = "") -> None:
        self.steps += 1
        if self.steps == self.at:
            self.cancelled.set()
        super().step(done, total, unit, text)


@pytest.mark.parametrize("at", [1, 7, 15, 20])
def test_stopped_and_resumed_is_as_if_it_never_stopped(tmp_path: Path, at: int) -> None:
    pace = Pace(save=4096)
    make_small(tmp_path / "model", "BF16")
    plan, checkpoint = planned(tmp_path / "model", "F16")
    whole = write(plan, checkpoint, tmp_path / "whole.gguf", job_in(tmp_path / "one"))
    (tmp_path / "work").mkdir()
    path = tmp_path / "out.gguf"
    with pytest.raises(Cancelled):
        write(plan, checkpoint, path, StopsAt(tmp_path / "work", at), pace=pace)
    with path.open("ab") as file:
        file.write(b"left over by a power cut" * 1000)
    again = job_in(tmp_path / "work")
    assert at < 20 or again.state["tensors"] > 10
    assert write(plan, checkpoint, path, again) == whole
    assert path.read_bytes() == (tmp_path / "whole.gguf").read_bytes()


def test_values_that_get_lost_are_told(tmp_path: Path) -> None:
    arrays = make_small(tmp_path / "model")
    source = tmp_path / "model" / "model.safetensors"
    raw = bytearray(source.read_bytes())
    at = len(raw) - sum(array.nbytes for array in arrays.values())
    raw[at : at + 8] = np.array([1e9, np.nan], np.float32).tobytes()
    source.write_bytes(raw)
    plan, checkpoint = planned(tmp_path / "model", "F16")
    written = write(plan, checkpoint, tmp_path / "out.gguf", job_in(tmp_path / "work"))
    loss = written.losses["token_embd.weight"]
    assert (loss.not_finite, loss.too_large) == (1, 1)
    assert list(written.losses) == ["token_embd.weight"]


def test_a_full_disk_is_said_and_the_work_kept(tmp_path: Path) -> None:
    import resource
    import signal

    make_small(tmp_path / "model")
    plan, checkpoint = planned(tmp_path / "model", "F32")
    path, before = tmp_path / "out.gguf", resource.getrlimit(resource.RLIMIT_FSIZE)
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
        with pytest.raises(UserError) as caught:
            write(plan, checkpoint, path, job_in(tmp_path / "work"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, usual)
    assert caught.value.code == "disk_full_midway"
    assert write(plan, checkpoint, path, job_in(tmp_path / "work")).bytes == plan.file_bytes
