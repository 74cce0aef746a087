"""A question's vector moves towards its best passages as far as they can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.documents.feedback import moved
from engine.documents.fusion import MOST

QUERY = np.array([1.0, 0.0, 0.0], np.float32)
BEST = [np.array([0.6, 0.8, 0.0], np.float32), np.array([0.6, 0.0, 0.8], np.float32)]


def test_it_moves_the_further_the_more_words_count_and_never_beyond_the_middle() -> None:
    centre = np.mean(BEST, axis=0) / np.linalg.norm(np.mean(BEST, axis=0))
    near = [float(moved(QUERY, BEST, words) @ centre) for words in (0.0, MOST / 3, MOST, 1.0)]
    assert near[0] < near[1] < near[2] == near[3] < 1
    halfway = moved(QUERY, BEST, MOST)
    assert float(halfway @ centre) == pytest.approx(float(halfway @ QUERY), abs=1e-6)  # SHARE is half
    assert float(np.linalg.norm(halfway)) == pytest.approx(1)


@pytest.mark.parametrize("best", [[], [np.ones(2, np.float32)]])
def test_nothing_to_believe_leaves_it(best: list[np.ndarray]) -> None:
    assert (moved(QUERY, best, 1.0) == QUERY).all()
    assert (moved(QUERY, BEST, 0.0) == QUERY).all()
