"""Encoders in Hugging Face layout as models like any other: added, copied, fetched, and refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from encoder_kit import checkpoint
from minilm_gguf import tiny_bert
from stand_in_hub import StandInHub

from engine.api.errors import UserError
from engine.api.job import Job
from engine.documents.embedders import embeds, open_embedder, recommended
from engine.documents.embedders.encoder_graph import write as write_graph
from engine.documents.rerank import open_reranker
from models import download, encoder, registry, rows
from models.fit import Loading
from models.hardware import Hardware

MACHINE = Hardware(cores=4, threads=8, total=8 * 1024**3, available=8 * 1024**3)
E5 = "intfloat/multilingual-e5-small"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = checkpoint(tiny_bert(), tmp_path / "My Encoder")
    (made / "1_Pooling").mkdir()
    (made / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    (made / "pytorch_model.bin").write_bytes(b"never read")
    return made


@pytest.fixture
def hub() -> Iterator[StandInHub]:
    with StandInHub() as server:
        yield server


def in_onnx(folder: Path) -> Path:
    """The same encoder with an ONNX file in the place of its weights."""
    from engine.documents.embedders.checkpoint import read

    (folder / "onnx").mkdir()
    write_graph(read(folder), folder / "onnx" / "model_quantized.onnx")
    (folder / "model.safetensors").unlink()
    return folder


def row(model: registry.Installed) -> dict[str, object]:
    return dict(rows.row(model.id, MACHINE, Loading(4096)))


def refused(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        registry.add_file(path)
    assert caught.value.hint and registry.installed() == []
    return caught.value.code


def in_hub(folder: Path) -> dict[str, Path | bytes]:
    return {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}


def pull(name: str, hub: StandInHub) -> registry.Installed:
    plan = download.plan(name, hub.url)
    download.run(plan.params, Job(plan.folder, plan.params))
    return registry.find(plan.id)


def test_a_folder_is_used_where_it_lies(folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    (model,) = registry.add_file(folder)
    assert (model.id, model.source, model.path) == ("my-encoder", "reference", folder)
    assert registry.add_file(folder / "model.safetensors") == [model]
    shown = row(model)
    assert (shown["kind"], shown["tags"], shown["architecture"]) == ("embedding", ["embedding"], "bert")
    assert (shown["quantization"], shown["context"], shown["problem"]) == ("F32", 64, "")
    assert embeds(model) and recommended() == model
    embedder = open_embedder(model.id, threads=1)
    assert embedder is not None and ":cls:" in embedder.identity and embedder.queries(["a cat"]).shape == (1, 32)
    assert sorted(folder.rglob("*")) == before, "nothing is written into the person's folder"
    registry.remove(model.id)
    assert folder.exists() and registry.installed() == []


def test_a_copy_holds_the_model_and_no_more(folder: Path) -> None:
    (by_reference,) = registry.add_file(folder)
    wanted = open_embedder(by_reference.id, threads=1)
    registry.remove(by_reference.id)
    (model,) = registry.add_file(folder, copy=True)
    held = {file.relative_to(model.folder).as_posix() for file in model.folder.rglob("*") if file.is_file()}
    assert held == {"config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json", "manifest.json"}
    embedder = open_embedder(model.id, threads=1)
    assert embedder and wanted
    np.testing.assert_allclose(embedder.queries(["a cat."]), wanted.queries(["a cat."]), atol=1e-6)


@pytest.mark.parametrize("copy", [True, False])
def test_a_folder_with_onnx(folder: Path, copy: bool) -> None:
    plain = open_embedder(registry.add_file(folder, copy=True)[0].id, threads=1)
    (model,) = registry.add_file(in_onnx(folder), copy)
    shown = row(model)
    assert (shown["kind"], shown["quantization"], shown["problem"]) == ("embedding", "ONNX", "")
    embedder = open_embedder(model.id, threads=1)
    assert embedder and plain and embeds(model)
    for text in ("a cat.", "a cat. " * 500):
        np.testing.assert_allclose(embedder.queries([text]), plain.queries([text]), atol=1e-6)


@pytest.mark.parametrize("graph", [False, True])
def test_a_reranker(tmp_path: Path, graph: bool) -> None:
    made = checkpoint(tiny_bert(head=True), tmp_path / "ranker")
    (model,) = registry.add_file(in_onnx(made) if graph else made)
    assert row(model)["tags"] == ["reranker"] and not embeds(model)
    reranker = open_reranker(threads=1)
    assert reranker is not None and len(reranker.scores("who?", ["me.", "you."])) == 2


def test_all_of_a_folder_come_in(folder: Path) -> None:
    checkpoint(tiny_bert(), folder.parent / "other", kind="xlm-roberta")
    assert [model.id for model in registry.add_file(folder.parent)] == ["my-encoder", "other"]


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        ("cut", "damaged_model"),
        ("header", "damaged_model"),
        ("hostile header", "damaged_model"),
        ("no tokenizer", "missing_part"),
        ("no weights", "no_models_in_folder"),
        ("another network", "no_models_in_folder"),
        ("no config", "no_models_in_folder"),
        ("deep config", "no_models_in_folder"),
    ],
)
def test_what_is_wrong_is_said_at_once(folder: Path, harm: str, code: str) -> None:
    weights, config = folder / "model.safetensors", folder / "config.json"
    data, said = weights.read_bytes(), json.loads(config.read_text("utf-8"))
    if harm == "cut":
        weights.write_bytes(data[:-100])
    elif harm == "header":
        weights.write_bytes(b"\xff" * 100)
    elif harm == "hostile header":
        weights.write_bytes((40).to_bytes(8, "little") + b'{"a":{"dtype":[],"shape":3}}'.ljust(40))
    elif harm == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif harm == "no weights":
        weights.unlink()
    elif harm == "another network":
        config.write_text(json.dumps(said | {"model_type": "llama"}), encoding="utf-8")
    else:
        config.write_text("[" * 100_000 if harm == "deep config" else "{}", encoding="utf-8")
    assert refused(folder) == code


def test_it_is_not_loaded_to_write(folder: Path) -> None:
    (model,) = registry.add_file(folder)
    with pytest.raises(UserError) as caught:
        rows.loadable(model.id)
    assert caught.value.code == "search_only" and caught.value.hint


def test_what_goes_wrong_later_is_shown_in_place(folder: Path) -> None:
    (model,) = registry.add_file(folder)
    (folder / "tokenizer.json").rename(folder / "away")
    assert row(model)["problem"] == "damaged_model"
    folder.rename(folder.with_name("moved"))
    assert row(model)["problem"] == "vanished_model"
    with pytest.raises(UserError) as caught:
        encoder.read(folder)
    assert caught.value.code == "not_an_encoder"


def test_one_of_a_hub_arrives_with_what_it_needs(folder: Path, hub: StandInHub) -> None:
    hub.add("someone/tiny-e5", {**in_hub(folder), "../outside.json": b"{}", "README.md": b"hi"}, "mit")
    model = pull("someone/tiny-e5", hub)
    assert (model.id, model.file, model.licence, model.source) == ("tiny-e5", "", "mit", "hub")
    held = {file.relative_to(model.folder).as_posix() for file in model.folder.rglob("*") if file.is_file()}
    assert held == {"config.json", "model.safetensors", "tokenizer.json", "1_Pooling/config.json", "manifest.json"}
    assert row(model)["kind"] == "embedding" and download.plan("someone/tiny-e5").installed
    embedder = open_embedder(model.id, threads=1)
    assert embedder is not None and ":cls:" in embedder.identity


def test_the_recommended_one_comes_from_its_makers(folder: Path, hub: StandInHub) -> None:
    hub.add(E5, in_hub(folder), "mit")
    model = pull("multilingual-e5-small", hub)
    assert (model.id, model.source, model.licence) == ("multilingual-e5-small", "catalogue", "MIT")
    shown = row(model)
    assert shown["problem"] == "" and "zh" in list(shown["languages"])  # type: ignore[call-overload]
    embedder = open_embedder(threads=1)
    assert embedder is not None and embedder.languages == ("*",) and embedder.identity.startswith(model.id)


def test_a_hubs_onnx_reranker(tmp_path: Path, hub: StandInHub) -> None:
    made = in_onnx(checkpoint(tiny_bert(head=True), tmp_path / "ranker"))
    (made / "onnx" / "model.onnx").write_bytes(b"the larger one")
    hub.add("someone/tiny-ranker", in_hub(made))
    model = pull("someone/tiny-ranker", hub)
    assert (model.folder / "onnx" / "model_quantized.onnx").is_file() and row(model)["tags"] == ["reranker"]
    assert not (model.folder / "onnx" / "model.onnx").exists()
    assert open_reranker(model.id, threads=1) is not None


def test_what_a_hub_has_that_is_no_encoder(folder: Path, hub: StandInHub) -> None:
    said = json.loads((folder / "config.json").read_text("utf-8"))
    llama = json.dumps(said | {"model_type": "llama"}).encode()
    hub.add("someone/llama", {**in_hub(folder), "config.json": llama})
    hub.add("someone/pickled", {n: f for n, f in in_hub(folder).items() if n != "model.safetensors"})
    hub.add("someone/cut", {**in_hub(folder), "model.safetensors": b"no"})
    for name, code in (("llama", "no_gguf"), ("pickled", "no_gguf"), ("cut", "damaged_model")):
        with pytest.raises(UserError) as caught:
            pull(f"someone/{name}", hub)
        assert caught.value.code == code
    assert registry.installed() == []
