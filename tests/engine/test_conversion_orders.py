"""Orders to convert that get in each other's way, odd places, sources that vanish, and names of a hub."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conversion_desk as desk
import pytest
import whole_checkpoint
from conversion_desk import Moment
from stand_in_hub import StandInHub

from desktop.pipe import EnginePipe
from engine.api.errors import UserError
from engine.api.folders import checkpoints_folder

Run = Callable[..., "subprocess.CompletedProcess[str]"]
REPO = "someone/Small-Model"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Takes a moment to convert."""
    return whole_checkpoint.make(tmp_path_factory.mktemp("源 folder") / "Small-Model", num_hidden_layers=32)


@pytest.fixture
def hub(large: Path) -> Iterator[StandInHub]:
    with StandInHub() as server:
        server.add(REPO, {file.name: file for file in large.iterdir()})
        yield server


def order(source: Path | str, out: Path, **more: Any) -> dict[str, Any]:
    return {"source": str(source), "out": str(out), "type": "f32", "report": False, **more}


def code_of(engine: EnginePipe, kind: str, params: dict[str, Any]) -> str:
    with pytest.raises(UserError) as caught:
        desk.start(engine, kind, params)
    assert caught.value.hint
    return caught.value.code


def test_a_file_that_is_there_is_not_written_over(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.gguf"
    out.write_bytes(b"mine")
    assert code_of(engine, "convert", order(large, out)) == "already_there"
    (tmp_path / "full").mkdir()
    assert code_of(engine, "to_hf", order(large, tmp_path / "full")) == "already_there"
    assert out.read_bytes() == b"mine"
    assert engine.ask("jobs.list")["jobs"] == []
    row = desk.end(engine, desk.start(engine, "convert", order(large, out, replace=True)))
    assert row["state"] == "done"
    assert hashlib.sha256(out.read_bytes()).hexdigest() == row["result"]["sha256"]


def test_two_jobs_do_not_make_one_file(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.gguf"
    job = desk.start(engine, "convert", order(large, out))
    assert desk.start(engine, "convert", order(large, out)) == job, "the very same is not doubled"
    assert code_of(engine, "convert", order(large, out, type="f16")) == "output_taken"
    assert code_of(engine, "quantize", order(tmp_path / "y.gguf", out, type="Q8_0")) == "output_taken"
    assert desk.end(engine, job)["state"] == "done"
    assert code_of(engine, "convert", order(large, out, type="f16")) == "already_there"


def test_what_stopped_is_begun_anew_with_other_settings(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.gguf"
    job = desk.start(engine, "convert", order(large, out))
    desk.until(engine, job, Moment())
    assert desk.kill_process(engine, job)
    assert desk.end(engine, job)["state"] == "failed"
    again = desk.start(engine, "convert", order(large, out, type="q8_0"))
    assert again != job
    row = desk.end(engine, again)
    assert (row["state"], row["result"]["tensors"][0]["type"]) == ("done", "Q8_0")
    assert [row["job"] for row in engine.ask("jobs.list")["jobs"]] == [again]
    assert desk.leftovers(tmp_path, out) <= {"network-attempts.txt"}


def test_places(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    deep = tmp_path / "还没有 yet" / "下 一层" / "模型 one.gguf"
    row = desk.end(engine, desk.start(engine, "convert", order(large, deep, type="q8_0")))
    assert row["state"] == "done"
    assert deep.stat().st_size == row["result"]["bytes"]
    (tmp_path / "file").write_bytes(b"x")
    assert code_of(engine, "convert", order(large, tmp_path / "file" / "x.gguf")) == "no_such_place"
    assert code_of(engine, "convert", order(large, tmp_path / ("x" * 300) / "x.gguf")) == "no_such_place"
    assert code_of(engine, "convert", order(large, tmp_path / ("x" * 245 + ".gguf"))) == "no_such_place"
    if sys.platform == "linux":
        assert code_of(engine, "convert", order(large, Path("/proc/here/x.gguf"))) == "no_such_place"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    assert code_of(engine, "convert", order(large, closed / "x.gguf")) == "no_such_place"


def test_a_source_that_vanishes(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "made"
    place.mkdir()
    shutil.copytree(large, source)
    job = desk.start(engine, "convert", order(source, place / "x.gguf"))
    desk.until(engine, job, Moment())
    assert desk.kill_process(engine, job)
    desk.end(engine, job)
    shutil.rmtree(source)
    engine.ask("jobs.resume", job=job)
    row = desk.end(engine, job)
    assert (row["state"], row["error"]["code"]) == ("failed", "no_config")
    assert desk.leftovers(place, place / "x.gguf") == {"x.gguf.convert.partial"}
    shutil.copytree(large, source)
    engine.ask("jobs.resume", job=job)
    assert desk.end(engine, job)["state"] == "done", "it has come back"
    assert desk.leftovers(place, place / "x.gguf") == set()


def test_a_source_that_is_cut_off_while_it_is_read(engine: EnginePipe, large: Path, tmp_path: Path) -> None:
    source, place = tmp_path / "source", tmp_path / "made"
    place.mkdir()
    shutil.copytree(large, source)
    job = desk.start(engine, "convert", order(source, place / "x.gguf"))
    desk.until(engine, job, Moment())
    os.truncate(source / "model.safetensors", 100_000)
    row = desk.end(engine, job)
    assert row["state"] in ("done", "failed")
    if row["state"] == "failed":
        assert not (place / "x.gguf").exists()
        engine.ask("jobs.resume", job=job)
        assert desk.end(engine, job)["error"]["code"] == "damaged_weights"
        engine.ask("jobs.delete", job=job)
        assert list(place.iterdir()) == []


def test_a_name_of_the_hub(engine: EnginePipe, hub: StandInHub, large: Path, tmp_path: Path) -> None:
    engine.ask("settings.set", values={"hub_endpoint": hub.url})
    found = engine.ask("convert.look", source=REPO)
    assert (found["kind"], found["license"], found["family"]) == ("hub", "apache-2.0", "llama")
    offered = engine.ask("convert.targets", source=REPO)["targets"]
    assert {"F16", "Q4_K_M"} <= {row["type"] for row in offered}
    assert all(row["fit"] for row in offered)
    planned = engine.ask("convert.preview", kind="convert", params=order(REPO, tmp_path / "x.gguf"))
    row = desk.end(engine, desk.start(engine, "convert", order(REPO, tmp_path / "x.gguf")))
    assert (row["state"], row["result"]["bytes"]) == ("done", planned["bytes"])
    local = desk.end(engine, desk.start(engine, "convert", order(large, tmp_path / "y.gguf")))
    assert row["result"]["sha256"] == local["result"]["sha256"]
    hub.gated.add("someone/Other")
    hub.add("someone/Other", hub.files[REPO])
    for name, code in {"someone/Other": "gated", "someone/None": "no_such_model"}.items():
        failed = desk.end(engine, desk.start(engine, "convert", order(name, tmp_path / "z.gguf")))
        assert failed["error"]["code"] == code
    assert not list(tmp_path.glob("z.*"))


def test_fetching_goes_on_after_kill_9_and_goes_with_a_cancel(hub: StandInHub, tmp_path: Path) -> None:
    out = tmp_path / "x.gguf"
    partial = checkpoints_folder() / (REPO + ".partial")
    with EnginePipe() as engine:
        engine.ask("settings.set", values={"hub_endpoint": hub.url})
        hub.bytes_per_s = 8_000_000
        job = desk.start(engine, "convert", order(REPO, out))
        desk.until(engine, job, Moment(number=6))
        desk.kill_engine(engine)
    assert partial.exists()
    hub.bytes_per_s, already = 4_000_000, len(hub.requests)
    with EnginePipe() as engine:
        assert desk.start(engine, "convert", order(REPO, out)) == job
        desk.until(engine, job, Moment(number=6))
        assert any(one.range for one in hub.requests[already:]), "it went on where it was"
        engine.ask("jobs.cancel", job=job)
        assert desk.end(engine, job)["state"] == "cancelled"
    assert list(partial.parent.iterdir()) == []
    assert {path.name for path in tmp_path.iterdir()} <= {"network-attempts.txt"}


def test_from_the_command_line(deskside: Run, hub: StandInHub, large: Path, tmp_path: Path) -> None:
    out = tmp_path / "出 来.gguf"
    done = deskside("convert", REPO, str(out), "--type", "f16", "--remove-source", HF_ENDPOINT=hub.url)
    assert done.returncode == 0, done.stderr
    assert REPO in done.stdout
    assert not (checkpoints_folder() / REPO).exists()
    missing = deskside("convert", "someone/None", str(tmp_path / "y.gguf"), HF_ENDPOINT=hub.url)
    assert missing.returncode != 0
    assert "someone/None" not in str(list(tmp_path.iterdir()))
    assert "127.0.0.1" in missing.stderr
    assert "Traceback" not in missing.stderr
    same = tmp_path / "same.gguf"
    deskside("convert", str(large), str(same), "--type", "f16")
    assert same.read_bytes() == out.read_bytes()
