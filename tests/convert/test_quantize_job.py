"""The job: a real model smaller, and everything that can go wrong on the way."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_quantizable
from tiny_quantizable import Tiny

from convert.jobs.quantize import run
from convert.quantize_plan import plan, read_source
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job
from models.gguf_reader import read_raw

ROOT = Path(__file__).parents[2]


def quantize(folder: Path, source: Path, name: str = "out", **more: Any) -> dict[str, Any]:
    params = {"source": str(source), "out": str(folder / f"{name}.gguf"), "threads": 1, "report": False, **more}
    return run(params, Job(folder / f"{name}.partial", params))


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return tiny_quantizable.write(tmp_path / "tiny.gguf", Tiny())


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source that takes some seconds in Q4_K."""
    big = Tiny(layers=8, columns=1024, wide=2048, rows=700, dtype="F16")
    return tiny_quantizable.write(tmp_path_factory.mktemp("slow") / "slow.gguf", big)


def test_a_real_model_becomes_what_the_preview_said(smollm2: Path, tmp_path: Path) -> None:
    planned = plan(read_source(smollm2), "Q8_0")
    done = quantize(tmp_path, smollm2, type="q8_0")
    out = Path(done["path"])
    assert out == tmp_path / "out.gguf"
    assert done["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert done["bytes"] == out.stat().st_size
    assert abs(planned.file_bytes - done["bytes"]) < 0.02 * done["bytes"]
    assert {tensor.name: tensor.type for tensor in read_raw(out).inventory} == planned.types
    assert [line["name"] for line in done["tensors"]] == list(planned.types)
    assert not (tmp_path / "out.partial" / "model.gguf").exists()
    assert any("quantized already (Q4_1, 5.74 bits)" in warning for warning in done["warnings"])
    assert any("no smaller" in warning for warning in done["warnings"])
    assert "Paris" in answer(out)


def answer(model: Path) -> str:
    """What a model says of France, in a process of its own."""
    code = (
        "import sys; from llama_cpp import Llama; model = Llama(sys.argv[1], n_ctx=64, n_threads=1, verbose=False);"
        "print(model('The capital of France is', max_tokens=4, temperature=0)['choices'][0]['text'])"
    )
    return subprocess.run([sys.executable, "-c", code, str(model)], capture_output=True, text=True, check=True).stdout


def test_a_dry_run_writes_nothing_and_says_the_same(tiny: Path, tmp_path: Path) -> None:
    dry = quantize(tmp_path, tiny, type="Q4_K_M", dry_run=True)
    assert not Path(dry["path"]).exists()
    assert (dry["sha256"], dry["files"]) == ("", [])
    real = quantize(tmp_path, tiny, "real", type="Q4_K_M")
    assert dry["tensors"] == real["tensors"]
    assert abs(dry["bytes"] - real["bytes"]) <= 1024


def test_the_same_again_gives_the_same_bytes(tiny: Path, tmp_path: Path) -> None:
    first, second = (quantize(tmp_path, tiny, name, type="Q3_K_M") for name in ("one", "two"))
    assert first["sha256"] == second["sha256"]


def imatrix_file(path: Path, sizes: dict[str, int], text: str = "words.txt") -> Path:
    from convert.imatrix import Imatrix, write

    sums = {name: np.ones((1, size)) for name, size in sizes.items()}
    write(path, Imatrix(sums, {name: np.array([3]) for name in sizes}, (text,), 7))
    return path


def sizes() -> dict[str, int]:
    return {name: values.size for name, values in tiny_quantizable.importance(Tiny()).items()}


def test_importances_are_used_and_named_in_the_header(tiny: Path, tmp_path: Path) -> None:
    known = imatrix_file(tmp_path / "known.gguf", sizes())
    done = quantize(tmp_path, tiny, type="Q2_K_S", imatrix=str(known))
    values = read_raw(Path(done["path"])).values
    assert values["quantize.imatrix.file"] == "known.gguf"
    assert values["quantize.imatrix.dataset"] == "words.txt"
    assert (values["quantize.imatrix.chunks_count"], values["quantize.imatrix.entries_count"]) == (7, len(sizes()))


def test_missing_importances_are_said_before_anything_is_quantized(tiny: Path, tmp_path: Path) -> None:
    some = sizes()
    del some["blk.2.ffn_down.weight"]
    known = imatrix_file(tmp_path / "known.gguf", some)
    for given in (str(known), ""):
        with pytest.raises(UserError) as caught:
            quantize(tmp_path, tiny, type="IQ2_XXS", imatrix=given)
        assert caught.value.code == "needs_importance"
    assert "blk.0" in str(caught.value.values["what"])
    assert quantize(tmp_path, tiny, "better", type="Q4_K_S", imatrix=str(known))["bytes"] > 0


def test_importances_of_another_model_are_refused(tiny: Path, tmp_path: Path) -> None:
    for name, given in (("other", {"blk.0.attn_q.weight": 128}), ("none", {"blk.0.else.weight": 256})):
        known = imatrix_file(tmp_path / f"{name}.gguf", given)
        with pytest.raises(UserError) as caught:
            quantize(tmp_path, tiny, type="Q4_K_M", imatrix=str(known))
        assert caught.value.code == "wrong_importance"


def test_the_model_itself_is_never_overwritten(tiny: Path, tmp_path: Path) -> None:
    before = tiny.read_bytes()
    (tmp_path / "link.gguf").symlink_to(tiny)
    for name in ("tiny", "link"):
        with pytest.raises(UserError) as caught:
            quantize(tmp_path, tiny, name, type="Q8_0")
        assert caught.value.code == "same_file"
    assert tiny.read_bytes() == before


def processes(parent: int) -> list[int]:
    import psutil

    return [child.pid for child in psutil.Process(parent).children(recursive=True)]


def test_cancelling_in_the_middle_leaves_nothing_and_no_process(slow: Path, tmp_path: Path) -> None:
    cancelled = threading.Event()
    params = {"source": str(slow), "out": str(tmp_path / "out.gguf"), "type": "Q4_K_M", "threads": 1, "report": False}

    def hear(event: dict[str, Any]) -> None:
        if event["event"] == "step" and event["done"] > 2_000_000:
            cancelled.set()

    before = processes(os.getpid())
    with pytest.raises(Cancelled):
        run(params, Job(tmp_path / "out.partial", params, hear, cancelled))
    assert not list(tmp_path.glob("*.gguf"))
    assert not list((tmp_path / "out.partial").glob("*.gguf"))
    assert processes(os.getpid()) == before


def test_killed_in_the_middle_nothing_half_done_is_seen_and_it_runs_again(slow: Path, tmp_path: Path) -> None:
    params = {"source": str(slow), "out": str(tmp_path / "out.gguf"), "type": "Q5_K_M", "threads": 1, "report": False}
    code = (
        "import json, sys; from pathlib import Path; from engine.api.job import Job;"
        "from convert.jobs.quantize import run; params = json.loads(sys.argv[1]);"
        "run(params, Job(Path(sys.argv[2]), params))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(params), str(tmp_path / "w.partial")], cwd=ROOT)
    half = tmp_path / "w.partial" / "model.gguf"
    wait_until(lambda: half.exists() and half.stat().st_size > 1_000_000)
    children = processes(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_until(lambda: not any(alive(child) for child in children))
    assert children
    assert not (tmp_path / "out.gguf").exists()
    done = run(params, Job(tmp_path / "w.partial", params))
    assert read_raw(Path(done["path"])).tensors == len(done["tensors"])


def wait_until(holds: Any) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen")


def alive(process: int) -> bool:
    import psutil

    return bool(psutil.pid_exists(process) and psutil.Process(process).status() != psutil.STATUS_ZOMBIE)


@pytest.mark.skipif(sys.platform == "win32", reason="limits on the size of files")
def test_a_file_that_may_not_grow_is_said_and_leaves_nothing(slow: Path, tmp_path: Path) -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000_000, 20_000_000));"
        "import json, sys; from pathlib import Path; from engine.api.errors import UserError\n"
        "from engine.api.job import Job; from convert.jobs.quantize import run; params = json.loads(sys.argv[1])\n"
        "try: run(params, Job(Path(sys.argv[2]), params))\n"
        "except UserError as error: print(error.code)"
    )
    params = {"source": str(slow), "out": str(tmp_path / "out.gguf"), "type": "Q8_0", "threads": 1, "report": False}
    call = [sys.executable, "-c", code, json.dumps(params), str(tmp_path / "w.partial")]
    said = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.stdout.strip() == "quantize_disk_full", said.stderr
    assert not list(tmp_path.rglob("*.gguf"))


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own, of as many MB as the test says."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={request.param}m", "tmpfs", str(place)]
    if sys.platform != "linux" or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small file system can be mounted by root on Linux only")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.parametrize("disk", [16], indirect=True)
def test_too_little_room_is_said_before_it_begins(slow: Path, disk: Path) -> None:
    with pytest.raises(UserError) as caught:
        quantize(disk, slow, type="Q8_0")
    assert caught.value.code == "disk_full"
    assert not list(disk.rglob("*.gguf"))


@pytest.mark.parametrize("disk", [68], indirect=True)
def test_a_disk_that_fills_up_on_the_way_is_said_and_leaves_nothing(slow: Path, disk: Path) -> None:
    """Room enough when it began: others fill it."""
    params = {"source": str(slow), "out": str(disk / "out.gguf"), "type": "Q4_K_M", "threads": 1, "report": False}

    def fill(event: dict[str, Any]) -> None:
        if not (disk / "filler").exists():
            with suppress(OSError), (disk / "filler").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(1 << 20))

    with pytest.raises(UserError) as caught:
        run(params, Job(disk / "w.partial", params, fill))
    assert caught.value.code == "quantize_disk_full"
    assert not list(disk.rglob("*.gguf"))


@pytest.mark.parametrize("disk", [64], indirect=True)
def test_a_result_on_another_disk_arrives_whole(tiny: Path, disk: Path, tmp_path: Path) -> None:
    params = {"source": str(tiny), "out": str(disk / "out.gguf"), "type": "Q8_0", "threads": 1, "report": False}
    done = run(params, Job(tmp_path / "w.partial", params))
    assert hashlib.sha256((disk / "out.gguf").read_bytes()).hexdigest() == done["sha256"]
    assert sorted(file.name for file in disk.iterdir()) == ["out.gguf", "out.md", "out.report.json"]


@pytest.mark.parametrize("keep", [False, True])
def test_a_split_model_is_joined_or_stays_split(keep: bool, tmp_path: Path) -> None:
    source = split(tiny_quantizable.write(tmp_path / "whole.gguf", Tiny()), tmp_path)
    done = quantize(tmp_path, source, type="Q4_K_M", keep_split=keep)
    whole = plan(read_source(tmp_path / "whole.gguf"), "Q4_K_M").types
    assert {line["name"]: line["to"] for line in done["tensors"]} == whole
    assert len(done["files"]) == (2 if keep else 1)
    found = [tensor.name for file in done["files"] for tensor in read_raw(Path(file)).inventory]
    assert sorted(found) == sorted(whole)
    assert read_source(Path(done["path"])).types == whole


def split(whole: Path, folder: Path) -> Path:
    """The tiny model in two parts, cut by hand."""
    from gguf import GGUFReader, GGUFWriter

    reader = GGUFReader(whole)
    halves = reader.tensors[:14], reader.tensors[14:]
    names = [folder / f"part-{number:05d}-of-00002.gguf" for number in (1, 2)]
    for number, (name, tensors) in enumerate(zip(names, halves, strict=True)):
        writer = GGUFWriter(name, "llama")
        for key, field in reader.fields.items():
            if number == 0 and key.startswith("llama."):
                writer.add_key_value(key, field.contents(), field.types[0])
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", 2)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in tensors:
            writer.add_tensor(tensor.name, np.array(tensor.data))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return names[0]


def test_weights_that_are_no_numbers_are_said(tmp_path: Path) -> None:
    file = tiny_quantizable.write(tmp_path / "nan.gguf", Tiny())
    data = bytearray(file.read_bytes())
    data[-400:-396] = b"\xff\xff\xff\xff"
    file.write_bytes(data)
    with pytest.raises(UserError) as caught:
        quantize(tmp_path, file, type="Q4_K_M")
    assert caught.value.code == "not_finite_weights"
    assert not (tmp_path / "out.gguf").exists()


def test_what_only_llama_cpp_finds_wrong_ends_its_process_and_not_this_one(tmp_path: Path) -> None:
    """An architecture that it does not know, and a number of experts at which it gives up."""
    for tiny in (Tiny("no-such-architecture"), Tiny(experts=100_000, rows=1, layers=0)):
        file = tmp_path / "bad.gguf"
        tiny_quantizable.write(file, tiny)
        with pytest.raises(UserError) as caught:
            quantize(tmp_path, file, type="Q8_0")
        assert caught.value.code in ("quantize_failed", "quantize_died")
        assert not (tmp_path / "out.gguf").exists()


def test_the_result_is_measured_against_its_source_and_told_beside_it(smollm2: Path, tmp_path: Path) -> None:
    done = quantize(tmp_path, smollm2, type="q2_k", report=True, report_chunks=1)
    report = json.loads(Path(done["report"]).read_text(encoding="utf-8"))
    assert report["quality"]["kl_mean"] == done["comparison"]["kl_mean"] > 0.05
    assert report["result"]["sha256"] == done["sha256"]
    assert report["source"]["name"] == smollm2.name
    assert "Q2_K" in (tmp_path / "out.md").read_text(encoding="utf-8")
