"""Measuring two things in turns, so that a neighbour who slows the machine for a minute slows both."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")
Pair = tuple[Seen, Seen]


def abba(one: Callable[[int], Seen], other: Callable[[int], Seen], rounds: int) -> list[Pair[Seen]]:
    """(one, other) for each round 0, 1, …; who goes first changes, as the first of two may find a colder machine."""
    pairs = []
    for number in range(rounds):
        if number % 2:
            second = other(number)
            pairs.append((one(number), second))
        else:
            pairs.append((one(number), other(number)))
    return pairs


def median_ratio(pairs: list[Pair[float]]) -> float:
    """The median of one / other. Raises ZeroDivisionError."""
    return statistics.median(one / other for one, other in pairs)


def medians(pairs: list[Pair[float]], form: str = ".1f") -> str:
    """Both medians, "one / other"."""
    return " / ".join(format(statistics.median(side), form) for side in zip(*pairs, strict=True))
