"""The figures of a comparison against a slow computation, and what they are called."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convert.compare import (
    KL,
    NLL_A,
    NLL_B,
    SAME,
    THRESHOLDS,
    Scores,
    figures,
    judge,
    means,
    score,
    scored,
    student,
    verdict,
)

DRAW = np.random.default_rng(11)


def logits(rows: int = 40, words: int = 300, scale: float = 4.0) -> NDArray[np.float32]:
    return (DRAW.standard_normal((rows, words)) * scale).astype(np.float32)


def slowly(a: NDArray[np.float32], b: NDArray[np.float32], following: list[int]) -> list[list[float]]:
    """The definitions, a token at a time, in plain Python."""
    found = []
    for row_a, row_b, token in zip(a.tolist(), b.tolist(), following, strict=True):
        p = [math.exp(x - max(row_a)) for x in row_a]
        q = [math.exp(x - max(row_b)) for x in row_b]
        p, q = [x / sum(p) for x in p], [x / sum(q) for x in q]
        kl = sum(x * math.log(x / y) for x, y in zip(p, q, strict=True) if x > 0)
        same = float(p.index(max(p)) == q.index(max(q)))
        found.append([kl, same, -math.log(p[token]), -math.log(q[token])])
    return found


def test_scores_are_those_of_the_slow_path() -> None:
    a = logits()
    b = a + logits(scale=0.7)
    following = DRAW.integers(0, 300, 40).astype(np.int32)
    found = score(a, b, following)
    assert found.shape == (40, 4)
    np.testing.assert_allclose(found, slowly(a, b, following.tolist()), rtol=2e-5, atol=1e-6)


def test_slabs_change_nothing() -> None:
    """A vocabulary so large that a slab holds three rows."""
    words = 1 << 21
    a = np.zeros((3, words), np.float32)
    a[:, :5] = logits(3, 5)
    b = a[:, ::-1].copy()
    whole = score(a, b, np.array([0, 1, 2], np.int32))
    single = [score(a[row : row + 1], b[row : row + 1], np.array([row], np.int32)) for row in range(3)]
    np.testing.assert_array_equal(whole, np.concatenate(single))
    assert whole[:, KL].min() > 0


def test_a_model_against_itself() -> None:
    a = logits()
    found = score(a, a.copy(), np.zeros(40, np.int32))
    assert found[:, KL].max() == 0
    assert found[:, SAME].min() == 1
    np.testing.assert_array_equal(found[:, NLL_A], found[:, NLL_B])


def test_tokens_that_both_rule_out_weigh_nothing() -> None:
    a, following = logits(), np.zeros(40, np.int32)
    b = a + logits(scale=0.5)
    expected = score(a, b, following)
    wide_a, wide_b = (np.hstack([x, np.full((40, 4), -np.inf, np.float32)]) for x in (a, b))
    np.testing.assert_allclose(score(wide_a, wide_b, following), expected, rtol=1e-5, atol=1e-6)


def test_what_is_no_number_stays_visible() -> None:
    b = logits()
    b[3, 7] = np.nan
    assert np.flatnonzero(~np.isfinite(score(logits(), b, np.zeros(40, np.int32))).all(1)).tolist() == [3]


def test_the_second_half_is_scored() -> None:
    assert list(scored(8)) == [4, 5, 6]  # the last token's prediction has nothing to be compared with
    assert len(scored(512)) == 255  # as many as llama-perplexity


def made(chunks: int, kl: float = 0.02, same: float = 0.95, worse: float = 0.0, each: int = 100) -> list[Scores]:
    found = []
    for _ in range(chunks):
        scores = np.empty((each, 4), np.float32)
        scores[:, KL] = DRAW.exponential(kl, each)
        scores[:, SAME] = DRAW.random(each) < same
        scores[:, NLL_A] = DRAW.normal(2.0, 0.5, each)
        scores[:, NLL_B] = scores[:, NLL_A] + worse
        found.append(scores)
    return found


def test_figures_are_means_over_tokens() -> None:
    chunks = made(12, worse=0.1)
    tokens = np.concatenate(chunks).astype(float)
    found = figures(chunks)
    assert found["tokens"] == 1200
    assert found["kl_mean"] == pytest.approx(tokens[:, KL].mean())
    assert found["kl_p999"] == pytest.approx(np.quantile(tokens[:, KL], 0.999))
    assert found["top1"] == pytest.approx(tokens[:, SAME].mean())
    assert found["ppl_a"] == pytest.approx(math.exp(tokens[:, NLL_A].mean()))
    assert found["ppl_ratio"] == pytest.approx(math.exp(0.1), rel=1e-5)
    for name in ("kl_mean", "kl_p999", "top1", "ppl_a", "ppl_b", "ppl_ratio"):
        assert found[f"{name}_low"] <= found[name] <= found[f"{name}_high"]


def test_intervals_hold_the_truth_about_95_times_in_100() -> None:
    held = sum(f["kl_mean_low"] <= 0.02 <= f["kl_mean_high"] for f in (means(made(8)) for _ in range(300)))
    assert 0.90 < held / 300 < 0.99


def test_intervals_see_that_the_tokens_of_a_chunk_are_alike() -> None:
    """Chunks that differ as wholes: taking tokens as independent would promise ten times too much."""
    chunks = made(10)
    for number, chunk in enumerate(chunks):
        chunk[:, KL] = 0.01 * number
    found = figures(chunks)
    naive = 1.96 * np.concatenate(chunks)[:, KL].std() / math.sqrt(1000)
    assert found["kl_mean_high"] - found["kl_mean"] > 5 * naive


def test_one_chunk_gives_an_interval_too() -> None:
    found = figures(made(1))
    assert 0 < found["kl_mean_low"] < found["kl_mean"] < found["kl_mean_high"] < 0.1


@pytest.mark.parametrize(("freedom", "expected"), [(1, 12.706), (2, 4.303), (4, 2.776), (9, 2.262), (60, 2.000)])
def test_students_quantiles(freedom: int, expected: float) -> None:
    assert student(freedom) == pytest.approx(expected, rel=0.01)


def exact(**values: float) -> dict[str, Any]:
    """Figures without any doubt."""
    own = {"kl_mean": 0.01, "top1": 0.97, "ppl_ratio": 1.01, **values}
    return {"tokens": 5000, **{f"{name}{end}": value for name, value in own.items() for end in ("", "_low", "_high")}}


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "good"),
        ({"kl_mean": 0.1, "top1": 0.88}, "good"),
        ({"kl_mean": 0.11}, "usable"),
        ({"top1": 0.87}, "usable"),
        ({"ppl_ratio": 1.2}, "usable"),
        ({"kl_mean": 0.51}, "damaged"),
        ({"top1": 0.69}, "damaged"),
        ({"ppl_ratio": 1.7}, "damaged"),
        ({"kl_mean": math.nan}, "damaged"),
    ],
)
def test_verdicts(values: dict[str, float], word: str) -> None:
    found = verdict(exact(**values), {})
    assert (found["verdict"], found["sure"]) == (word, True)
    assert found["reasons"] == ([] if word == "good" else list(values))


def test_a_small_sample_says_what_it_allows() -> None:
    found = exact(kl_mean=0.09)
    found |= {"kl_mean_low": 0.03, "kl_mean_high": 0.2}
    told = verdict(found, {})
    assert (told["verdict"], told["verdict_low"], told["verdict_high"], told["sure"]) == (
        "good",
        "usable",
        "good",
        False,
    )


def test_damage_in_one_language_is_not_hidden_by_the_others() -> None:
    hurt = exact(kl_mean=0.9)
    told = verdict(exact(), {"zh": hurt, "en": exact()})
    assert (told["verdict"], told["reasons"]) == ("usable", ["language_zh"])
    assert verdict(exact(), {"zh": {**hurt, "tokens": 200}})["verdict"] == "good"  # too few to say so


def test_every_threshold_has_two_limits_in_order() -> None:
    for name, (good, usable) in THRESHOLDS.items():
        assert judge(exact(**{name: good}), "") == "good"
        assert (good > usable) == (name == "top1")
