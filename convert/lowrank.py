"""A matrix of few: what of it the `rank` strongest directions hold.

By the eigenvectors of the smaller of W W^T and W^T W in 64 bits, which are its singular vectors: memory is one matrix
and two squares of its shorter side. Where it is known how much each input matters (an importance matrix: the mean
square of what passes through), what is lost is weighed by it (LQER, Zhang et al. 2024, arXiv 2402.02446).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.api.errors import UserError

Matrix = NDArray[np.float32]
ROWS = 512  # of a matrix that are in 64 bits at a time
SMALLEST = 1e-8  # share of the largest importance that a column has at least


@dataclass(frozen=True)
class Rank:
    """How much to keep: `count` directions, or as many as hold the share `energy` of the sum of squares."""

    count: int = 0
    energy: float = 0.0


@dataclass(frozen=True)
class Factors:
    """outputs x rank, rank x inputs; `kept`: the share of the (weighed) sum of squares that their product holds."""

    b: Matrix
    a: Matrix
    kept: float


def rank_of(value: object) -> Rank:
    """A whole number of 1 or more, or a share between 0 and 1. Raises UserError bad_rank."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        raise _bad_rank(f"{value!r}"[:40])
    if value < 1:
        return Rank(energy=float(value))
    if value != int(value) or value > 1 << 20:
        raise _bad_rank(f"{value!r}"[:40])
    return Rank(count=int(value))


def factors(matrix: Matrix, rank: Rank, importance: Matrix | None = None) -> Factors:
    """The best product of this rank. `matrix`: outputs x inputs; `importance`: (inputs,), what each weighs."""
    scale = _scale(importance, matrix.shape[1])
    tall = matrix.shape[0] > matrix.shape[1]
    values, vectors = np.linalg.eigh(_square(matrix, scale, tall))
    values = np.maximum(values[::-1], 0.0)
    count, kept = _count(values, rank, min(matrix.shape))
    best = vectors[:, ::-1][:, :count]
    if tall:  # vectors of the inputs: W D v v^T D^-1
        return Factors(_times(matrix, best * scale[:, None]), (best / scale[:, None]).T.astype(np.float32), kept)
    return Factors(best.astype(np.float32), _turned_times(matrix, best), kept)


def product(found: Factors) -> Matrix:
    """The matrix of these factors."""
    return np.asarray(found.b @ found.a, np.float32)


def _scale(importance: Matrix | None, columns: int) -> NDArray[np.float64]:
    """What each column is multiplied by before its square counts; ones where nothing is known."""
    if importance is None or not np.isfinite(importance).all() or importance.max(initial=0) <= 0:
        return np.ones(columns)
    wide = importance.astype(np.float64)
    found = np.sqrt(np.maximum(wide, SMALLEST * wide.max()))
    return np.asarray(found / np.exp(np.log(found).mean()))  # around one: both factors are to be numbers of 16 bits


def _square(matrix: Matrix, scale: NDArray[np.float64], tall: bool) -> NDArray[np.float64]:
    """(W D)^T W D where it is tall, else W D (W D)^T; rows of the result are made some at a time."""
    if tall:
        found = np.zeros((matrix.shape[1], matrix.shape[1]))
        for start in range(0, matrix.shape[0], ROWS):
            part = matrix[start : start + ROWS] * scale
            found += part.T @ part
        return found
    found = np.zeros((matrix.shape[0], matrix.shape[0]))
    for start in range(0, matrix.shape[1], ROWS):
        part = matrix[:, start : start + ROWS] * scale[start : start + ROWS]
        found += part @ part.T
    return found


def _times(matrix: Matrix, vectors: NDArray[np.float64]) -> Matrix:
    """W times these, some rows at a time."""
    parts = [matrix[start : start + ROWS] @ vectors for start in range(0, matrix.shape[0], ROWS)]
    return np.concatenate(parts).astype(np.float32)


def _turned_times(matrix: Matrix, vectors: NDArray[np.float64]) -> Matrix:
    """These, turned, times W, some columns at a time."""
    parts = [vectors.T @ matrix[:, start : start + ROWS] for start in range(0, matrix.shape[1], ROWS)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def _count(values: NDArray[np.float64], rank: Rank, most: int) -> tuple[int, float]:
    """How many directions, and the share of all squares that they hold."""
    total = float(values.sum())
    shares = np.cumsum(values) / total if total > 0 else np.ones(len(values))
    wanted = rank.count or int(np.searchsorted(shares, rank.energy)) + 1
    count = max(1, min(wanted, most))
    return count, min(1.0, float(shares[count - 1]))


def _bad_rank(reason: str) -> UserError:
    return UserError(
        "bad_rank",
        f"This rank cannot be used: {reason}.",
        "Give a whole number of 1 or more, or how much to keep, above 0 and below 1.",
        reason=reason,
    )
