"""How far a model's predictions are from those of the model it was made of: the figures, and what they mean.

Definitions are llama.cpp's (llama-perplexity --kl-divergence): chunks of a context, each read from an empty memory, the
second half of each scored, since a token with hardly any text before it says little; KL(a || b) from the source's
probabilities `a` to the result's `b`; top-1 is how often both put the same token first. Two things are ours: nothing is
rounded to 16 bits on the way, and intervals treat a chunk as one observation, because the tokens of one text are not
independent of each other; that makes them wider than llama.cpp's, and honest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Scores = NDArray[np.float32]  # [tokens, 4]: the columns below
KL, SAME, NLL_A, NLL_B = range(4)
SLAB_VALUES = 1 << 22  # logits looked at at once: 16 MB, and some copies of it
Z = 1.959964  # 95 % of a normal distribution
TAIL = 0.999
DRAWS = 400  # of the bootstrap
LEAST_TOKENS = 1000  # of one language, for a word about it

# Beyond the first number a result is no longer good, beyond the second it is damaged; top1 falls, the others rise.
# Where they come from: docs/guide/convert-quality.md.
THRESHOLDS = {"kl_mean": (0.1, 0.5), "top1": (0.88, 0.70), "ppl_ratio": (1.15, 1.6)}
WORDS = ("good", "usable", "damaged")


def score(a: Floats, b: Floats, following: NDArray[np.int32]) -> Scores:
    """Scores of positions with logits `a` and `b` [positions, vocabulary] and the tokens that really follow.

    In slabs, so that memory stays bounded whatever the vocabulary.
    """
    rows = max(1, SLAB_VALUES // a.shape[1])
    slabs = [slice(start, start + rows) for start in range(0, len(a), rows)]
    return np.concatenate([_score(a[slab], b[slab], following[slab]) for slab in slabs])


def _score(a: Floats, b: Floats, following: NDArray[np.int32]) -> Scores:
    places = np.arange(len(a))
    first_a, first_b = a.argmax(1), b.argmax(1)
    top_a, top_b = a[places, first_a], b[places, first_b]
    with np.errstate(invalid="ignore"):  # what is no number is told by the caller
        weights = np.exp(a - top_a[:, None])
        total_a = weights.sum(1, dtype=np.float64)
        log_a = top_a + np.log(total_a)
        log_b = top_b + np.log(np.exp(b - top_b[:, None]).sum(1, dtype=np.float64))
    apart = _expected(weights, a, b) / total_a
    found = np.empty((len(a), 4), np.float32)
    found[:, KL] = np.maximum(apart - (log_a - log_b), 0.0)  # rounding can make nothing a little less
    found[:, SAME] = first_a == first_b
    found[:, NLL_A] = log_a - a[places, following]
    found[:, NLL_B] = log_b - b[places, following]
    return found


def _expected(weights: Floats, a: Floats, b: Floats) -> NDArray[np.float64]:
    """Sums of weights * (a - b). Tokens that both models rule out (-inf) weigh nothing."""
    with np.errstate(invalid="ignore"):
        sums: NDArray[np.float64] = np.einsum("ij,ij->i", weights, a - b, dtype=np.float64, casting="same_kind")
        if np.isnan(sums).any():
            sums = (weights * np.where(weights > 0, a - b, 0.0)).sum(1, dtype=np.float64)
    return sums


def scored(context: int) -> range:
    """Positions of a chunk whose prediction of the next token counts."""
    return range(context // 2, context - 1)


def figures(chunks: list[Scores]) -> dict[str, float | int]:
    """kl_mean, kl_p999, top1, ppl_a, ppl_b, ppl_ratio, each with its 95 % interval `_low`, `_high`; tokens, chunks.

    With one chunk its tokens are taken as independent, which makes the interval too narrow.
    """
    tokens = np.concatenate(chunks).astype(np.float64)
    groups = chunks if len(chunks) > 1 else [tokens[place : place + 1] for place in range(len(tokens))]
    return {"tokens": len(tokens), "chunks": len(chunks)} | means(groups) | _tail(groups, tokens)


def means(groups: list[Scores] | list[NDArray[np.float64]]) -> dict[str, float]:
    """The figures that are means, with intervals for which each group is one observation."""
    sums = np.array([[len(group), *group.sum(0, dtype=np.float64)] for group in groups])
    counts, totals = sums[:, 0], sums[:, 1:]
    found = _interval("kl_mean", totals[:, KL], counts, least=0.0)
    found |= _interval("top1", totals[:, SAME], counts, least=0.0, most=1.0)
    found |= _interval("ppl_a", totals[:, NLL_A], counts, exponent=True)
    found |= _interval("ppl_b", totals[:, NLL_B], counts, exponent=True)
    return found | _interval("ppl_ratio", totals[:, NLL_B] - totals[:, NLL_A], counts, exponent=True)


def _interval(
    name: str,
    sums: NDArray[np.float64],
    counts: NDArray[np.float64],
    least: float = -math.inf,
    most: float = math.inf,
    exponent: bool = False,
) -> dict[str, float]:
    """A mean over groups and its interval by Student's t, with the standard error of a ratio of sums."""
    mean, groups = float(sums.sum() / counts.sum()), len(sums)
    left = sums - mean * counts
    error = math.sqrt(float(left @ left) * groups / max(1, groups - 1)) / float(counts.sum())
    reach = student(groups - 1) * error
    low, high = max(least, mean - reach), min(most, mean + reach)
    if exponent:
        mean, low, high = (math.exp(min(value, 700.0)) for value in (mean, low, high))
    return {name: mean, f"{name}_low": low, f"{name}_high": high}


def student(freedom: int) -> float:
    """The 97.5 % quantile of Student's t (Cornish-Fisher, within 1 % from three degrees of freedom on)."""
    if freedom < 1:
        return math.inf
    if freedom < 3:
        return (12.706, 4.303)[freedom - 1]
    terms = (Z, (Z**3 + Z) / 4, (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96, (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384)
    return float(sum(term / freedom**power for power, term in enumerate(terms)))


def _tail(groups: list[Scores] | list[NDArray[np.float64]], tokens: NDArray[np.float64]) -> dict[str, float]:
    """The 99.9 % quantile of KL, its interval by drawing groups anew; the same draws every time."""
    values = [np.asarray(group[:, KL], np.float64) for group in groups]
    middle, draw = float(np.quantile(tokens[:, KL], TAIL)), np.random.default_rng(1)
    if len(values) > len(tokens) // 2:  # single tokens
        flat = tokens[:, KL]
        drawn = [float(np.quantile(draw.choice(flat, len(flat)), TAIL)) for _ in range(DRAWS)]
    else:
        picks = (draw.integers(0, len(values), len(values)) for _ in range(DRAWS))
        drawn = [float(np.quantile(np.concatenate([values[i] for i in pick]), TAIL)) for pick in picks]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {"kl_p999": middle, "kl_p999_low": float(low), "kl_p999_high": float(high)}


# What it means ----------------------------------------------------------------------------------------------------


def verdict(found: dict[str, Any], languages: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """{"verdict", "verdict_low", "verdict_high", "sure", "reasons"}.

    `verdict` goes by the figures themselves; `verdict_low` is the worst and `verdict_high` the best word that the
    intervals allow, and `sure` says whether they agree. A result that is damaged in one language is not called good.
    """
    words = [judge(found, end) for end in ("", "worst", "best")]
    reasons = [name for name in THRESHOLDS if grade(name, found[name])]
    hurt = [
        name
        for name, own in sorted(languages.items())
        if own["tokens"] >= LEAST_TOKENS and judge(own, "") == WORDS[2] and name != "other"
    ]
    if hurt:
        words = [max(word, WORDS[1], key=WORDS.index) for word in words]
        reasons += [f"language_{name}" for name in hurt]
    return {
        "verdict": words[0],
        "verdict_low": words[1],
        "verdict_high": words[2],
        "sure": words[1] == words[2],
        "reasons": reasons,
    }


def judge(found: dict[str, Any], end: str) -> str:
    """The word for figures; `end` "worst" or "best" of their intervals, "" for themselves."""
    grades = []
    for name in THRESHOLDS:
        falls = name == "top1"
        suffix = {"": "", "worst": "_low" if falls else "_high", "best": "_high" if falls else "_low"}[end]
        grades.append(grade(name, found[name + suffix]))
    return WORDS[max(grades)]


def grade(name: str, value: float) -> int:
    """0 good, 1 usable, 2 damaged. What is no number is damaged."""
    good, usable = THRESHOLDS[name]
    if math.isnan(value):
        return 2
    if name == "top1":
        return int(value < good) + int(value < usable)
    return int(value > good) + int(value > usable)


def by_language(chunks: list[Scores], languages: list[str]) -> Iterator[tuple[str, list[Scores]]]:
    """The chunks of each language."""
    for name in sorted(set(languages)):
        yield name, [chunk for chunk, own in zip(chunks, languages, strict=True) if own == name]
