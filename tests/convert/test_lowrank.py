"""Matrices of a lower rank: against numpy's own decomposition, in a checkpoint, and as what quantizing lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_logits import logits
from small_checkpoint import make_small
from vocabulary_kit import make_tokenizer

from convert.checkpoint import open_checkpoint
from convert.imatrix import Imatrix, write
from convert.jobs import convert, lowrank, quantize
from convert.lowrank import Rank, factors, product, rank_of
from engine.api.errors import UserError
from engine.api.job import Job
from engine.llama.adapters import check
from models.gguf_reader import read_raw

TOKENS = [1, 15043, 3186, 29892, 920, 526, 366, 29973]
ROWS = 32000
Run = Callable[[dict[str, Any], Job], dict[str, Any]]


def work(run: Run, out: Path, **params: Any) -> dict[str, Any]:
    asked = {"out": str(out), **{name: str(v) if isinstance(v, Path) else v for name, v in params.items()}}
    return run(asked, Job(out.with_name(out.name + ".partial"), asked))


def matrix(outputs: int, inputs: int) -> Any:
    return np.random.default_rng(outputs).standard_normal((outputs, inputs)).astype(np.float32)


def truncated(values: Any, rank: int) -> Any:
    u, s, v = np.linalg.svd(values.astype(np.float64), full_matrices=False)
    return (u[:, :rank] * s[:rank]) @ v[:rank]


@pytest.mark.parametrize("shape", [(40, 24), (24, 40), (24, 24), (1200, 24), (24, 1200), (1, 5)])
@pytest.mark.parametrize("rank", [1, 7])
def test_the_best_product_of_a_rank(shape: tuple[int, int], rank: int) -> None:
    values = matrix(*shape)
    found = factors(values, Rank(rank))
    count = min(rank, *shape)
    assert (found.b.shape, found.a.shape) == ((shape[0], count), (count, shape[1]))
    assert np.allclose(product(found), truncated(values, count), atol=1e-4)
    squares = np.linalg.svd(values, compute_uv=False) ** 2
    assert found.kept == pytest.approx(squares[:count].sum() / squares.sum(), abs=1e-5)


@pytest.mark.parametrize("shape", [(40, 24), (24, 40)])
def test_what_matters_more_is_kept_better(shape: tuple[int, int]) -> None:
    values, weights = matrix(*shape), np.random.default_rng(9).uniform(0.01, 9, shape[1]).astype(np.float32)
    scale = np.sqrt(weights)
    weighed = product(factors(values, Rank(6), weights))
    best = truncated(values * scale, 6) / scale
    assert np.allclose(weighed, best, atol=1e-4)
    plain = product(factors(values, Rank(6)))
    assert np.linalg.norm((values - weighed) * scale) < np.linalg.norm((values - plain) * scale)


def test_a_share_takes_as_many_directions_as_it_needs() -> None:
    values = truncated(matrix(30, 30), 4).astype(np.float32)
    found = factors(values, Rank(energy=0.9999))
    assert found.a.shape[0] == 4
    assert factors(values, Rank(energy=0.01)).a.shape[0] == 1
    assert factors(np.zeros((4, 6), np.float32), Rank(energy=0.5)).a.shape == (1, 6)
    assert np.isfinite(product(factors(values, Rank(2), np.zeros(30, np.float32)))).all()


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "8", None, float("nan"), float("inf"), 1 << 40])
def test_ranks_that_cannot_be(value: Any) -> None:
    with pytest.raises(UserError) as caught:
        rank_of(value)
    assert caught.value.code == "bad_rank"
    assert (rank_of(8.0), rank_of(0.5)) == (Rank(8), Rank(energy=0.5))


def test_a_checkpoint_rounded_to_a_rank(tmp_path: Path) -> None:
    before = make_small(tmp_path / "model", "F32")
    done = work(lowrank.run, tmp_path / "out", source=tmp_path / "model", rank=5)
    after = {name: source.array() for name, source in open_checkpoint(tmp_path / "out").tensors.items()}
    told = {row["name"]: row["rank"] for row in done["tensors"]}
    assert {name: values.shape for name, values in after.items()} == {name: v.shape for name, v in before.items()}
    for name, values in before.items():
        if values.ndim == 2 and "layers" in name:
            assert told[name] == 5
            assert np.allclose(after[name], truncated(values, 5), atol=1e-4)
        else:
            assert np.array_equal(after[name], values)
    assert "saves no bytes" in done["warnings"][0]
    assert json.loads((tmp_path / "out" / "lowrank.json").read_text())["rank"] == 5
    assert done["bytes"] == (tmp_path / "out" / "model.safetensors").stat().st_size


def test_what_has_no_matrices(tmp_path: Path) -> None:
    make_small(tmp_path / "model", "F32")
    for pattern in ("nothing.*", "(", "(" * 5000):
        with pytest.raises(UserError) as caught:
            work(lowrank.run, tmp_path / f"o{len(pattern)}", source=tmp_path / "model", rank=2, pattern=pattern)
        assert caught.value.code == "nothing_to_factor"
    assert not list(tmp_path.glob("o*/model*"))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint, beside it itself as F32 (`.gguf`) and its blocks in Q4_0 (`.q4.gguf`)."""
    folder = tmp_path_factory.mktemp("base") / "model"
    make_small(folder, "F32", vocab_size=ROWS)
    make_tokenizer(folder, "llama-spm")
    work(convert.run, folder.with_suffix(".gguf"), source=folder, type="f32")
    kept = {"overrides": [["token_embd", "F16"], ["^output", "F16"]], "report": False, "threads": 1}
    work(quantize.run, folder.with_suffix(".q4.gguf"), source=folder.with_suffix(".gguf"), type="Q4_0", **kept)
    return folder


@pytest.mark.parametrize("source", ["checkpoint", "gguf"])
def test_all_that_quantizing_lost_as_an_adapter_is_the_source(base: Path, tmp_path: Path, source: str) -> None:
    given = base if source == "checkpoint" else base.with_suffix(".gguf")
    small, out = base.with_suffix(".q4.gguf"), tmp_path / "low.gguf"
    done = work(lowrank.run, out, source=given, of=small, rank=64, type="f32", report=False)
    check(out, "llama")
    wanted, alone = logits(base.with_suffix(".gguf"), TOKENS), logits(small, TOKENS)
    found = logits(small, TOKENS, out)
    assert (done["tensors"], done["kept"]) == (14, pytest.approx(1))
    assert np.abs(alone - wanted).max() > 0.1
    # Q4_0's products round what comes in to 8 bits: that the adapter cannot know.
    assert np.abs(found - wanted).mean() < 0.25 * np.abs(alone - wanted).mean()


def test_a_small_rank_helps_and_the_report_says_how_much(base: Path, tmp_path: Path) -> None:
    small, out = base.with_suffix(".q4.gguf"), tmp_path / "low.gguf"
    more = {"report_chunks": 1, "threads": 1}
    done = work(lowrank.run, out, source=base.with_suffix(".gguf"), of=small, rank=16, **more)
    assert done["comparison"]["kl_mean"] < done["before"]["kl_mean"]
    report = json.loads(Path(done["report"]).read_text(encoding="utf-8"))
    assert f"{done['comparison']['kl_mean']:.4f} instead of {done['before']['kl_mean']:.4f}" in report["warnings"][1]
    assert report["settings"]["of"] == small.name
    values = read_raw(out).values
    assert (values["adapter.lora.alpha"], done["alpha"]) == (16.0, 16.0)


def test_importances_and_shares(base: Path, tmp_path: Path) -> None:
    small = base.with_suffix(".q4.gguf")
    columns = {tensor.name: tensor.shape[0] for tensor in read_raw(small).inventory if tensor.name.startswith("blk")}
    draw = np.random.default_rng(3)
    sums = {name: draw.uniform(0.1, 9, (1, size)) for name, size in columns.items()}
    write(tmp_path / "im.gguf", Imatrix(sums, {name: np.array([2]) for name in sums}, ("x",), 1))
    asked = {"source": base, "of": small, "rank": 0.5, "report": False}
    done = work(lowrank.run, tmp_path / "low.gguf", **asked, imatrix=tmp_path / "im.gguf")
    assert done["alpha"] == 0.0  # the ranks differ: nothing is to be divided by them
    assert done["kept"] >= 0.5
    assert np.isfinite(logits(small, TOKENS, tmp_path / "low.gguf")).all()
    write(tmp_path / "bad.gguf", Imatrix({n: np.ones((1, 7)) for n in sums}, {n: np.array([2]) for n in sums}))
    with pytest.raises(UserError) as caught:
        work(lowrank.run, tmp_path / "bad.out.gguf", **asked, imatrix=tmp_path / "bad.gguf")
    assert caught.value.code == "wrong_importance"


def test_a_file_that_was_not_made_of_it(base: Path, tmp_path: Path) -> None:
    make_small(tmp_path / "wide", "F32", vocab_size=ROWS, intermediate_size=128)
    arrays = make_small(tmp_path / "other", "F32", vocab_size=ROWS)
    from small_checkpoint import write_safetensors

    turned = {name: values[::-1].copy() if values.ndim == 2 else values for name, values in arrays.items()}
    write_safetensors(tmp_path / "other" / "model.safetensors", turned, "F32")
    for name in ("wide", "other"):
        with pytest.raises(UserError) as caught:
            asked = {"source": tmp_path / name, "of": base.with_suffix(".q4.gguf"), "rank": 4, "report": False}
            work(lowrank.run, tmp_path / f"{name}.gguf", **asked)
        assert caught.value.code == "not_made_of"
        assert not (tmp_path / f"{name}.gguf").exists()


def test_what_an_earlier_try_computed_is_used_again(base: Path, tmp_path: Path) -> None:
    asked = {"source": base, "of": base.with_suffix(".q4.gguf"), "rank": 4, "report": False}
    first = work(lowrank.run, tmp_path / "one.gguf", **asked)
    pairs = sorted((tmp_path / "one.gguf.partial" / "pairs").glob("*.npy"))
    before = [file.stat().st_mtime_ns for file in pairs]
    pairs[0].unlink()
    (tmp_path / "one.gguf").unlink()
    again = work(lowrank.run, tmp_path / "one.gguf", **asked)
    assert again["sha256"] == first["sha256"]
    assert [file.stat().st_mtime_ns for file in pairs[1:]] == before[1:]
