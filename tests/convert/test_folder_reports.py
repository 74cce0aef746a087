"""What lies beside a made folder of weights and a made adapter: hashes, licences, nothing of the person's folders."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import small_adapter
import whole_checkpoint

from convert.jobs import adapter, convert, lowrank, merge, to_hf
from convert.report import read
from engine.api.job import Job

HOME = "persons-own-folder"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two checkpoints under different licences, an adapter trained in somebody's folder, a GGUF file."""
    folder = tmp_path_factory.mktemp(HOME)
    for name, stated in (("first", "apache-2.0"), ("second", "gemma")):
        whole_checkpoint.make(folder / name)
        (folder / name / "README.md").write_text(f"---\nlicense: {stated}\n---\n# {name}\n", encoding="utf-8")
        (folder / name / "LICENSE").write_text(f"The words of {stated}.\n", encoding="utf-8")
    config = json.loads((folder / "first" / "config.json").read_text())
    small_adapter.make_adapter(folder / "lora", config, base_model_name_or_path=str(folder / "first"))
    run(convert, folder / "first.gguf", source=folder / "first", type="f16")
    return folder


def run(job: Any, out: Path, **params: Any) -> dict[str, Any]:
    said = {name: str(value) if isinstance(value, Path) else value for name, value in params.items()}
    asked = said | {"out": str(out)}
    done: dict[str, Any] = job.run(asked, Job(out.with_name(out.name + ".partial"), asked))
    return done


def made(kind: str, models: Path, out: Path) -> dict[str, Any]:
    halves = [{"path": str(models / name), "weight": 0.5} for name in ("first", "second")]
    if kind == "to_hf":
        return run(to_hf, out, source=models / "first.gguf", type="f32")
    if kind == "lowrank":
        return run(lowrank, out, source=models / "first", rank=4)
    if kind == "merge":
        return run(merge, out, method="linear", models=halves)
    return run(merge, out, method="adapter", models=[{"path": str(models / "lora")}], base=models / "first")


def digest(file: Path) -> dict[str, Any]:
    data = file.read_bytes()
    return {"name": file.name, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


@pytest.mark.parametrize("kind", ["to_hf", "lowrank", "merge", "merge_adapter"])
def test_a_folder_of_weights_has_a_report(kind: str, models: Path, tmp_path: Path) -> None:
    done = made(kind, models, tmp_path / "made")
    report = read(tmp_path / "made")
    weights = sorted((tmp_path / "made").glob("*.safetensors"))
    assert report["result"]["files"] == [digest(file) for file in weights]
    assert (report["result"]["name"], report["result"]["bytes"]) == ("made", done["bytes"])
    assert done["report"] == str(tmp_path / "made" / "report.json")
    assert report["source"]["license"]["id"] == "apache-2.0"
    card = (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert 'license: "apache-2.0"' in card
    assert all(row["sha256"] in card for row in [*report["result"]["files"], *report["source"]["files"]])
    if kind != "to_hf":  # a GGUF file carries the name of its licence, not its words
        assert (tmp_path / "made" / "LICENSE").read_text(encoding="utf-8") == "The words of apache-2.0.\n"


@pytest.mark.parametrize("kind", ["to_hf", "lowrank", "merge", "merge_adapter"])
def test_nothing_says_where_it_was_made(kind: str, models: Path, tmp_path: Path) -> None:
    made(kind, models, tmp_path / "made")
    texts = [file for file in (tmp_path / "made").iterdir() if file.suffix in (".json", ".md")]
    assert len(texts) >= 3
    for file in texts:
        assert HOME not in file.read_text(encoding="utf-8"), file.name


def test_the_sources_of_a_report_are_hashed(models: Path, tmp_path: Path) -> None:
    made("merge", models, tmp_path / "made")
    rows = {row["name"]: row for row in read(tmp_path / "made")["source"]["files"]}
    assert set(rows) == {"first/model.safetensors", "second/model.safetensors"}
    for name, row in rows.items():
        assert row == digest(models / name) | {"name": name}


def test_several_licences_are_named(models: Path, tmp_path: Path) -> None:
    done = made("merge", models, tmp_path / "made")
    (note,) = done["notes"]
    assert (note["code"], note["values"]["licences"]) == ("licences_differ", "apache-2.0, gemma")
    report = read(tmp_path / "made")
    assert report["source"]["name"] == "first + second"
    assert "apache-2.0, gemma" in report["warnings"][0]
    assert "apache-2.0, gemma" in (tmp_path / "made" / "README.md").read_text(encoding="utf-8")
    assert made("merge_adapter", models, tmp_path / "alone")["notes"] == []


def test_an_adapter_has_a_report_that_names_its_base_only(models: Path, tmp_path: Path) -> None:
    out = tmp_path / "lora.gguf"
    done = run(adapter, out, source=models / "lora", base=models / "first")
    report = read(out)
    assert report["result"]["sha256"] == done["sha256"] == digest(out)["sha256"]
    assert report["source"]["files"] == [digest(models / "lora" / "adapter_model.safetensors")]
    assert report["source"]["base"] == "first"
    assert report["settings"]["alpha"] == done["alpha"]
    card = (tmp_path / "lora.md").read_text(encoding="utf-8")
    assert 'base_model: "first"' in card
    for text in (json.dumps(report), card):
        assert HOME not in text
    assert HOME.encode() not in out.read_bytes()


@pytest.mark.parametrize("stated", ["/home/someone/first", "C:\\Users\\someone\\first\\", "./runs/first/"])
def test_a_base_is_named_without_its_folders(stated: str, models: Path, tmp_path: Path) -> None:
    source = tmp_path / "lora"
    source.mkdir()
    for file in (models / "lora").iterdir():
        (source / file.name).write_bytes(file.read_bytes())
    config = json.loads((source / "adapter_config.json").read_text()) | {"base_model_name_or_path": stated}
    (source / "adapter_config.json").write_text(json.dumps(config))
    run(adapter, tmp_path / "lora.gguf", source=source, base=models / "first")
    assert read(tmp_path / "lora.gguf")["source"]["base"] == "first"
    assert b"someone" not in (tmp_path / "lora.gguf").read_bytes()
