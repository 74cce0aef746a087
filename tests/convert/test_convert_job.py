"""The convert job on a small checkpoint: split, straight into small types, previews that come true, bad orders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from llama_logits import logits
from small_checkpoint import make_small
from vocabulary_kit import make_tokenizer

from convert.jobs.convert import run
from convert.targets import targets
from engine.api.errors import UserError
from engine.api.job import Job

TOKENS = [1, 15043, 3186, 29892, 920]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small") / "模型 one"
    make_small(folder, "BF16", 2, vocab_size=32000, hidden_size=256, intermediate_size=512)
    make_tokenizer(folder, "llama-spm")
    return folder


def work(out: Path, source: Path, **params: Any) -> dict[str, Any]:
    asked = {"source": str(source), "out": str(out), "report": False, **params}
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    return run(asked, Job(folder, asked))


def test_parts_are_one_model(checkpoint: Path, tmp_path: Path) -> None:
    whole = work(tmp_path / "whole.gguf", checkpoint, type="bf16")
    parts = work(tmp_path / "parts.gguf", checkpoint, type="bf16", split_bytes=8 << 20)
    assert len(parts["files"]) > 2
    assert parts["path"].endswith(f"-00001-of-{len(parts['files']):05}.gguf")
    assert all(Path(file).stat().st_size < 18 << 20 for file in parts["files"])
    assert np.array_equal(logits(Path(parts["path"]), TOKENS), logits(Path(whole["path"]), TOKENS))


def test_a_preview_comes_true(checkpoint: Path, tmp_path: Path) -> None:
    planned = work(tmp_path / "x.gguf", checkpoint, type="Q4_K_M", dry_run=True)
    assert list(tmp_path.glob("*.gguf")) == []
    made = work(tmp_path / "x.gguf", checkpoint, type="Q4_K_M")
    read = gguf.GGUFReader(made["path"])
    assert made["bytes"] == planned["bytes"] == Path(made["path"]).stat().st_size
    assert {t.name: t.tensor_type.name for t in read.tensors} == {t["name"]: t["type"] for t in planned["tensors"]}
    offered = {row["type"]: row["bytes"] for row in targets(str(checkpoint))["targets"]}
    assert abs(offered["Q4_K_M"] - made["bytes"]) < 0.01 * made["bytes"]


@pytest.mark.parametrize("kind", ["Q4_K_M", "Q8_0", "IQ4_NL"])
def test_straight_from_the_checkpoint_is_what_llama_makes_of_sixteen_bits(
    checkpoint: Path, tmp_path: Path, kind: str
) -> None:
    from convert.jobs import quantize

    made = work(tmp_path / "direct.gguf", checkpoint, type=kind)
    work(tmp_path / "whole.gguf", checkpoint, type="bf16")
    asked = {"source": str(tmp_path / "whole.gguf"), "out": str(tmp_path / "two.gguf"), "type": kind, "report": False}
    (tmp_path / "two.partial").mkdir()
    quantize.run(asked, Job(tmp_path / "two.partial", asked))
    ours, theirs = (
        {t.name: t for t in gguf.GGUFReader(tmp_path / name).tensors} for name in ("direct.gguf", "two.gguf")
    )
    assert {name: t.tensor_type for name, t in ours.items()} == {name: t.tensor_type for name, t in theirs.items()}
    assert all(ours[name].data.tobytes() == theirs[name].data.tobytes() for name in theirs)
    assert made["losses"] == []


def test_report_and_card_lie_beside_the_file(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "README.md").write_text("---\nlicense: apache-2.0\n---\n# One\n")
    made = work(tmp_path / "one.gguf", checkpoint, type="q8_0")
    report = json.loads(Path(made["report"]).read_text(encoding="utf-8"))
    card = (tmp_path / "one.md").read_text(encoding="utf-8")
    assert report["result"]["sha256"] == made["sha256"]
    assert "apache-2.0" in card
    assert made["sha256"] in card
    assert made["vocabulary"]["equal"] == made["vocabulary"]["lines"] > 900


def test_a_vocabulary_larger_than_the_embedding(tmp_path: Path) -> None:
    make_small(tmp_path / "model", vocab_size=96)
    make_tokenizer(tmp_path / "model", "llama-spm")
    with pytest.raises(UserError) as caught:
        work(tmp_path / "x.gguf", tmp_path / "model", type="f16")
    assert caught.value.code == "vocabulary_too_large"
    assert not (tmp_path / "x.gguf").exists()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"architectures": ["NobodyForCausalLM"]}, "unknown_architecture"),
        ({"architectures": ["OPTForCausalLM"]}, "refused_for_onnx"),
        ({"architectures": "Llama"}, "unknown_architecture"),
    ],
)
def test_what_is_no_family(checkpoint: Path, tmp_path: Path, change: dict[str, Any], code: str) -> None:
    make_small(tmp_path / "model", **change)
    with pytest.raises(UserError) as caught:
        work(tmp_path / "x.gguf", tmp_path / "model", type="f16")
    assert caught.value.code == code


def test_a_type_nobody_knows(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        work(tmp_path / "x.gguf", checkpoint, type="Q9_X")
    assert caught.value.code == "unknown_recipe"


def test_tensors_of_other_types_by_their_names(checkpoint: Path, tmp_path: Path) -> None:
    wanted = [["attn_v", "Q6_K"], ["ffn_down", "Q5_0"]]
    made = work(tmp_path / "mixed.gguf", checkpoint, type="q8_0", overrides=wanted)
    types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(made["path"]).tensors}
    assert types["blk.0.attn_v.weight"] == "Q6_K"
    assert types["blk.1.ffn_down.weight"] == "Q5_0"
    assert types["blk.0.attn_q.weight"] == "Q8_0"
    with pytest.raises(UserError) as caught:
        work(tmp_path / "x.gguf", checkpoint, type="f16", overrides=wanted)
    assert caught.value.code == "bad_override"


def test_parts_can_be_weighed_by_a_matrix_that_is_measured(checkpoint: Path, tmp_path: Path) -> None:
    asked = {"imatrix": "auto", "imatrix_chunks": 1, "threads": 1, "split_bytes": 2 << 20}
    made = work(tmp_path / "parts.gguf", checkpoint, type="iq2_xs", **asked)
    assert len(made["files"]) > 1
    types = {tensor.name: tensor.tensor_type.name for file in made["files"] for tensor in gguf.GGUFReader(file).tensors}
    assert types["blk.0.attn_q.weight"] == "IQ2_XS"
    assert np.isfinite(logits(Path(made["path"]), TOKENS)).all()


def test_eight_bits_are_measured_too(checkpoint: Path, tmp_path: Path) -> None:
    made = work(tmp_path / "eight.gguf", checkpoint, type="q8_0", report=True, report_chunks=1, threads=1)
    report = json.loads(Path(made["report"]).read_text(encoding="utf-8"))
    assert report["quality"]["tokens"] > 0
    assert report["quality"]["kl_mean"] == made["comparison"]["kl_mean"] < 2, "of weights that are mere noise"
