"""Merging: each method against its paper's formula, in slabs as in one piece."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_checkpoint import make_small, write_safetensors

import convert.merging
from convert.checkpoint import open_checkpoint
from convert.jobs.merge import run
from convert.merge_methods import Share, Stack, dare, linear, slerp, ties
from engine.api.errors import UserError
from engine.api.job import Job

DRAW = np.random.default_rng(2)
A, B, BASE = (DRAW.standard_normal((6, 8)).astype(np.float32) for _ in range(3))


def test_linear_is_the_weighted_mean() -> None:
    found = linear.merge(Stack((A, B), None), (Share(1), Share(3)), 0)
    assert np.allclose(found, (A + 3 * B) / 4, atol=1e-6)


def test_slerp_keeps_the_length_between_equally_long_tensors() -> None:
    a, b = A / np.linalg.norm(A), B / np.linalg.norm(B)
    found = slerp.merge(Stack((a, b), None), (Share(1), Share(1)), 0)
    assert np.isclose(np.linalg.norm(found), 1, atol=1e-5)
    assert np.isclose(np.vdot(found, a), np.vdot(found, b), atol=1e-5)
    assert np.allclose(slerp.merge(Stack((a, a), None), (Share(1), Share(1)), 0), a)


def test_ties_keeps_the_largest_changes_whose_sign_wins() -> None:
    base = np.zeros((1, 4), np.float32)
    one = np.array([[4, -1, 3, 0.1]], np.float32)
    two = np.array([[2, 3, -1, 0.2]], np.float32)
    found = ties.merge(Stack((one, two), base), (Share(1, 0.5), Share(1, 0.5)), 0)
    assert found.tolist() == [[3, 3, 3, 0]]


def test_dare_adds_on_the_whole_what_the_changes_are() -> None:
    base = np.zeros((200, 200), np.float32)
    change = np.ones_like(base)
    found = dare.merge(Stack((change,), base), (Share(1, 0.25),), 7)
    assert set(np.unique(found).tolist()) == {0.0, 4.0}
    assert abs(float(found.mean()) - 1) < 0.03
    assert np.array_equal(found, dare.merge(Stack((change,), base), (Share(1, 0.25),), 7))


def models(tmp_path: Path, **config: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    one = make_small(tmp_path / "one", "BF16")
    two = {name: array[::-1].copy() if array.ndim > 1 else array for name, array in one.items()}
    make_small(tmp_path / "two", "BF16", **config)
    if not config:
        write_safetensors(tmp_path / "two" / "model.safetensors", two, "BF16")
    return [{"path": str(tmp_path / name)} for name in ("one", "two")], one


def work(tmp_path: Path, **params: Any) -> dict[str, Any]:
    asked = {"out": str(tmp_path / "out"), **params}
    (tmp_path / "out.partial").mkdir(exist_ok=True)
    return run(asked, Job(tmp_path / "out.partial", asked))


@pytest.mark.parametrize("method", ["linear", "slerp", "ties", "dare"])
def test_a_merged_checkpoint_opens_and_has_all_tensors(tmp_path: Path, method: str) -> None:
    given, one = models(tmp_path)
    (tmp_path / "one" / "tokenizer.json").write_text("{}")
    result = work(tmp_path, method=method, models=given, base=str(tmp_path / "one"), type="f32")
    found = open_checkpoint(tmp_path / "out")
    assert {name: source.shape for name, source in found.tensors.items()} == {n: a.shape for n, a in one.items()}
    assert result["tensors"] == len(one)
    assert (tmp_path / "out" / "tokenizer.json").read_text() == "{}"
    assert np.isfinite(found.tensors["lm_head.weight"].array()).all()


def test_rows_at_a_time_change_nothing(tmp_path: Path) -> None:
    given, _ = models(tmp_path)
    first = open_checkpoint(Path(given[0]["path"]))
    both = [first, open_checkpoint(Path(given[1]["path"]))]
    recipe = convert.merging.recipe_of({"method": "linear", "models": given}, base=False)
    wanted = {tensor.name: tensor for tensor in convert.merging.merged(both, None, recipe, "F32")}
    pieces = list(wanted["lm_head.weight"].pieces())
    whole = np.concatenate([piece.array() for piece, _ in pieces])
    a, b = (model.tensors["lm_head.weight"].array().astype(np.uint32) << 16 for model in both)
    assert np.allclose(whole, (a.view(np.float32) + b.view(np.float32)) / 2, atol=1e-6)
    assert list(convert.merging._rows((5000, 4096), False))[-1][1] == 5000
    assert len(list(convert.merging._rows((5000, 4096), False))) > 1


BAD: list[tuple[dict[str, Any], str]] = [
    ({"method": "linear", "models": [{"path": "one", "weight": -1}, {"path": "two"}]}, "bad_merge"),
    ({"method": "linear", "models": [{"path": "one", "weight": "a"}, {"path": "two"}]}, "bad_merge"),
    ({"method": "ties", "models": [{"path": "one"}, {"path": "two"}]}, "bad_merge"),
    ({"method": "slerp", "models": [{"path": "one"}] * 3}, "bad_merge"),
    ({"method": "linear", "models": [{"path": "one"}]}, "bad_merge"),
    ({"method": "adapter", "models": [{"path": "one"}]}, "bad_merge"),
    ({"method": "magic", "models": [{"path": "one"}, {"path": "two"}]}, "unknown_part"),
]


@pytest.mark.parametrize(("params", "code"), BAD)
def test_what_cannot_be_merged_is_said(tmp_path: Path, params: dict[str, Any], code: str) -> None:
    models(tmp_path)
    given = [model | {"path": str(tmp_path / model["path"])} for model in params["models"]]
    with pytest.raises(UserError) as caught:
        work(tmp_path, **params | {"models": given})
    assert caught.value.code == code


def test_models_of_different_shapes(tmp_path: Path) -> None:
    given, _ = models(tmp_path, intermediate_size=128)
    with pytest.raises(UserError, match="mlp") as caught:
        work(tmp_path, method="linear", models=given)
    assert caught.value.code == "not_alike"
    assert not (tmp_path / "out").exists()
