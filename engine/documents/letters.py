"""How much of a Chinese question a text holds, by its letters.

Nothing tells where a word ends, and most pairs of letters across two words stand nowhere: they are no words that a
passage lacks. A letter is held where it stands in the text together with a neighbour it has in the question.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from engine.documents.prepare import CJK_RUN, clean, stop_words, without_stop_runs

if TYPE_CHECKING:
    from engine.documents.wording import Weights

_OTHERS = re.compile(r"[A-Za-z]+|\d+")


class Letters:
    """A question as its letters, and what else is written in it. `weight` is that of all of it."""

    def __init__(self, question: str, weights: Weights) -> None:
        flat = without_stop_runs(clean(question)).lower()
        self._runs = [run.group() for run in CJK_RUN.finditer(flat)]
        self._others = dict.fromkeys(_OTHERS.findall(flat), weights.full)
        known = {letter for run in self._runs for letter in run} - stop_words()
        self._weights = {letter: weights.of(letter) for letter in known}
        self.weight = self._total([letter for run in self._runs for letter in run]) + sum(self._others.values())

    def missing(self, text: str) -> tuple[int, float]:
        """(how many letters and other words a text does not hold, their weight)."""
        flat = clean(text).lower()
        gone = [letter for run in self._runs for letter in _gone(run, flat) if letter in self._weights]
        others = [weight for other, weight in self._others.items() if other not in flat]
        return len(gone) + len(others), self._total(gone) + sum(others)

    def share(self, text: str) -> float:
        """How much of the question a text holds, 0 to 1."""
        return 1.0 - self.missing(text)[1] / self.weight if self.weight else 0.0

    def _total(self, letters: list[str]) -> float:
        return sum(self._weights.get(letter, 0.0) for letter in letters)


def _gone(run: str, text: str) -> list[str]:
    """The letters of a run that do not stand in a text with a neighbour."""
    if len(run) == 1:
        return [] if run in text else [run]
    pairs = [run[at : at + 2] in text for at in range(len(run) - 1)]
    held = [before or after for before, after in zip([False, *pairs], [*pairs, False], strict=True)]
    return [letter for letter, there in zip(run, held, strict=True) if not there]
