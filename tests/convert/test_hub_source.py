"""A checkpoint on a hub: looked at from afar, fetched safely, taken up again, kept or not."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import whole_checkpoint
from stand_in_hub import StandInHub

from convert import hub_source
from convert.jobs import convert
from convert.jobs import look as look_job
from engine.api.errors import UserError
from engine.api.folders import checkpoints_folder
from engine.api.hub_names import hub_name
from engine.api.job import Cancelled, Job

REPO = "someone/Small-Model"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return whole_checkpoint.make(tmp_path_factory.mktemp("here") / "Small-Model", shards=2)


@pytest.fixture
def hub(checkpoint: Path) -> Iterator[StandInHub]:
    with StandInHub() as server:
        server.add(REPO, files_of(checkpoint))
        yield server


def files_of(folder: Path) -> dict[str, Path | bytes]:
    """What a repository holds beside what is wanted of it."""
    found: dict[str, Path | bytes] = {file.name: file for file in folder.iterdir()}
    return found | {
        "modeling_small.py": b"raise SystemExit('executed')",
        "pytorch_model.bin": b"a pickle",
        "onnx/model.onnx": b"x",
        "consolidated.safetensors": b"x",
        ".gitattributes": b"x",
        "../outside.json": b"{}",
        "LICENSE": b"MIT License",
    }


def job_in(folder: Path, params: dict[str, Any], stop_at: int = -1) -> Job:
    """Stops itself once that many bytes have come."""
    job = Job(folder, params, lambda event: stop(event))

    def stop(event: dict[str, Any]) -> None:
        if event["event"] == "step" and 0 <= stop_at <= event["done"]:
            job.cancelled.set()

    return job


def asked(hub: StandInHub, out: Path, **more: Any) -> dict[str, Any]:
    return {"source": REPO, "out": str(out), "type": "f16", "endpoint": hub.url, **more}


def start(hub: StandInHub, out: Path, **more: Any) -> dict[str, Any]:
    params = asked(hub, out, **more)
    return convert.run(params, job_in(out.with_name(out.name + ".convert.partial"), params))


def code_of(hub: StandInHub, out: Path) -> str:
    with pytest.raises(UserError) as caught:
        start(hub, out)
    return caught.value.code


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B"),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main", "Qwen/Qwen3-0.6B"),
        ("hf.co/Qwen/Qwen3-0.6B/", "Qwen/Qwen3-0.6B"),
        ("../folder", ""),
        ("./folder", ""),
        ("a/..b", ""),
        ("/root/model", ""),
        ("folder", ""),
        ("folder/model.gguf", ""),
        ("a/b/c", ""),
        ("C:\\models", ""),
        ("某人/模型", ""),
        ("", ""),
    ],
)
def test_what_is_a_name(source: str, name: str) -> None:
    assert hub_name(source) == name


def test_a_folder_that_is_there_is_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert hub_name("owner/name") == "owner/name"
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert hub_name("owner/name") == ""


def test_only_what_is_wanted() -> None:
    several = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    index = "model.safetensors.index.json"
    assert hub_source.wanted(["config.json", *several, index, "model.safetensors", "a.py"]) == [
        "config.json",
        index,
        *several,
    ]
    assert hub_source.wanted(["config.json", *several]) == ["config.json", *several], "the index was forgotten"
    assert hub_source.wanted(["config.json", "model.safetensors", "model.fp16.safetensors", index]) == [
        "config.json",
        "model.safetensors",
    ]
    pickles = ["pytorch_model-00001-of-00001.bin", "pytorch_model.bin.index.json"]
    assert hub_source.wanted(["config.json", *pickles, "training_args.bin"]) == [
        "config.json",
        pickles[1],
        pickles[0],
    ]
    assert hub_source.wanted(["config.json", "x.gguf"]) == hub_source.wanted(["model.safetensors"]) == []
    extra = ["1_Pooling/config.json", "tokenizer.model", "qwen.tiktoken", "chat_template.jinja", "merges.txt"]
    assert set(extra) < set(hub_source.wanted([*extra, "config.json", "model.safetensors"]))


def test_a_look_fetches_no_weights(hub: StandInHub, tmp_path: Path, checkpoint: Path) -> None:
    found = look_job.run({"source": REPO, "endpoint": hub.url}, Job(tmp_path / "w", {}))
    taken = [file for file in checkpoint.iterdir() if file.is_file()]
    assert (found["kind"], found["name"], found["license"], found["can"][0]) == ("hub", REPO, "apache-2.0", "gguf")
    assert (found["family"], found["architecture"], found["refused"]) == ("llama", "LlamaForCausalLM", None)
    assert found["files"] == len(taken) + 1, "and the licence"
    assert found["bytes"] == sum(file.stat().st_size for file in taken) + len(b"MIT License")
    assert [one.path.rpartition("/")[2] for one in hub.file_requests()] == ["config.json"]


def test_targets_and_preview_need_headers_only(hub: StandInHub, tmp_path: Path, checkpoint: Path) -> None:
    whole = look_job.run({"source": str(checkpoint), "targets": True}, Job(tmp_path / "w", {}))
    found = look_job.run({"source": REPO, "targets": True, "endpoint": hub.url}, Job(tmp_path / "w", {}))
    assert found["targets"] == whole["targets"] != []
    assert (found["kind"], found["name"], found["parameters"]) == ("hub", REPO, whole["parameters"])
    local = {"source": str(checkpoint), "out": str(tmp_path / "x.gguf"), "type": "Q4_K_M", "dry_run": True}
    here = convert.run(local, Job(tmp_path / "w", local))
    far = start(hub, tmp_path / "x.gguf", type="Q4_K_M", dry_run=True)
    assert {name: far[name] for name in ("tensors", "bytes", "bits", "path")} == {
        name: here[name] for name in ("tensors", "bytes", "bits", "path")
    }
    assert not checkpoints_folder().exists()
    asked_for = {one.path.rpartition("/")[2] for one in hub.file_requests()}
    assert not {name for name in asked_for if name.endswith((".py", ".bin", ".onnx")) or "outside" in name}


def test_it_becomes_the_same_file(hub: StandInHub, tmp_path: Path, checkpoint: Path) -> None:
    made = start(hub, tmp_path / "far.gguf")
    local = {"source": str(checkpoint), "out": str(tmp_path / "here.gguf"), "type": "f16"}
    here = convert.run(local, Job(tmp_path / "here.partial", local))
    assert made["sha256"] == here["sha256"] == hashlib.sha256((tmp_path / "far.gguf").read_bytes()).hexdigest()
    place = checkpoints_folder() / REPO
    assert made["source"]["folder"] == str(place)
    assert made["source"]["kept"] is True
    assert names(place) == {*names(checkpoint), "LICENSE", ".deskside.json"}
    assert names(place.parent) == {"Small-Model"}
    report = json.loads((tmp_path / "far.report.json").read_text(encoding="utf-8"))
    assert (report["source"]["base"], report["source"]["license"]["id"]) == (REPO, "mit")
    assert (tmp_path / "far.LICENSE.txt").read_text(encoding="utf-8") == "MIT License"
    before = len(hub.file_requests())
    start(hub, tmp_path / "again.gguf")
    assert len(hub.file_requests()) == before, "it is here already"


def test_it_may_go_when_it_was_converted(hub: StandInHub, tmp_path: Path) -> None:
    made = start(hub, tmp_path / "x.gguf", keep_source=False)
    assert (made["source"]["kept"], made["source"]["folder"]) == (False, "")
    assert not (checkpoints_folder() / REPO).exists()
    assert (tmp_path / "x.gguf").is_file()


def test_what_has_come_is_not_fetched_again(hub: StandInHub, tmp_path: Path) -> None:
    hub.bytes_per_s = 8_000_000
    params = asked(hub, tmp_path / "x.gguf")
    work = tmp_path / "x.gguf.convert.partial"
    with pytest.raises(Cancelled):
        convert.run(params, job_in(work, params, stop_at=1_000_000))
    partial = checkpoints_folder() / (REPO + ".partial")
    come = sum(file.stat().st_size for file in partial.glob("*.safetensors"))
    assert 900_000 < come < 3_000_000
    assert names(partial.parent) == {"Small-Model.partial"}
    hub.bytes_per_s, already = 0, len(hub.requests)
    convert.run(params, job_in(work, params))
    assert [one.range for one in hub.requests[already:] if one.range], "it went on in the middle of a file"
    assert names(partial.parent) == {"Small-Model"}


def test_another_revision_is_fetched_anew(hub: StandInHub, tmp_path: Path, checkpoint: Path) -> None:
    first = start(hub, tmp_path / "one.gguf")
    origin = checkpoints_folder() / REPO / ".deskside.json"
    said = json.loads(origin.read_text(encoding="utf-8"))
    origin.write_text(json.dumps(said | {"revision": "older"}), encoding="utf-8")
    changed = whole_checkpoint.make(tmp_path / "changed", dtype="F32")
    hub.add(REPO, files_of(changed))
    second = start(hub, tmp_path / "two.gguf", type="f32")
    assert second["source"]["revision"] == first["source"]["revision"] == said["revision"]
    assert names(origin.parent) == {*names(changed), "LICENSE", ".deskside.json"}, "nothing of the older one is left"


def test_without_the_network_what_is_here_is_used(hub: StandInHub, tmp_path: Path) -> None:
    first = start(hub, tmp_path / "one.gguf")
    notes: list[str] = []
    params = asked(hub, tmp_path / "two.gguf", endpoint="http://127.0.0.1:9")
    job = Job(tmp_path / "w", params, lambda event: notes.append(event["text"]))
    assert convert.run(params, job)["sha256"] == first["sha256"]
    assert any("cannot be reached" in note for note in notes)
    shutil.rmtree(checkpoints_folder())
    with pytest.raises(UserError) as caught:
        convert.run(params, Job(tmp_path / "w2", params))
    assert caught.value.code == "offline"


def test_what_cannot_be_had_is_said(hub: StandInHub, tmp_path: Path) -> None:
    out = tmp_path / "x.gguf"
    hub.gated.add(REPO)
    assert code_of(hub, out) == "gated"
    hub.gated.clear()
    hub.corrupt = True
    assert code_of(hub, out) == "wrong_hash"
    hub.corrupt = False
    hub.files[REPO].pop("config.json")
    assert code_of(hub, out) == "hub_without_checkpoint"
    del hub.files[REPO]
    assert code_of(hub, out) == "no_such_model"
    with pytest.raises(UserError) as caught:
        look_job.run({"source": REPO, "endpoint": hub.url}, Job(tmp_path / "w", {}))
    assert caught.value.code == "no_such_model"
    assert not out.exists()
    assert not (checkpoints_folder() / REPO).exists()


def test_a_repository_of_gguf_files_is_a_download(hub: StandInHub, tmp_path: Path) -> None:
    hub.add("someone/Small-GGUF", {"small-Q4_K_M.gguf": b"x", "README.md": b"x"})
    found = look_job.run({"source": "someone/Small-GGUF", "endpoint": hub.url}, Job(tmp_path / "w", {}))
    assert (found["kind"], found["can"]) == ("hub", ["download"])


def test_lying_headers_and_pickles(hub: StandInHub, tmp_path: Path) -> None:
    shard = "model-00001-of-00002.safetensors"
    hub.files[REPO][shard] = (2**62).to_bytes(8, "little") + b"{}"
    with pytest.raises(UserError) as caught:
        start(hub, tmp_path / "x.gguf", dry_run=True)
    assert caught.value.code == "damaged_weights"
    hub.files[REPO] = {n: d for n, d in hub.files[REPO].items() if not n.endswith((".safetensors", ".index.json"))}
    with pytest.raises(UserError) as caught:
        start(hub, tmp_path / "x.gguf", dry_run=True)
    assert caught.value.code == "no_plan_of_pickles"


def test_a_family_that_is_refused_says_so_from_afar(hub: StandInHub, tmp_path: Path) -> None:
    hub.files[REPO]["config.json"] = json.dumps({"architectures": ["OPTForCausalLM"]}).encode()
    found = look_job.run({"source": REPO, "endpoint": hub.url}, Job(tmp_path / "w", {}))
    assert found["can"] == ["onnx"]
    assert found["refused"]["way"] == "onnx"
