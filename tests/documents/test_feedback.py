"""A question's vector moves towards its best passages as far as they can be believed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.documents.feedback import moved
from engine.documents.fusion import MOST

QUERY = np.array([1.0, 0.0, 0.0], np.float32)
BEST = [np.array([0.6, 0.8, 0.0], np.float32), np.array([0.6, 0.0, 0.8], np.float32)]


def test_it_moves_the_further_the_more_words_count_and_never_all_the_way() -> None:
    centre = np.mean(BEST, axis=0) / np.linalg.norm(np.mean(BEST, axis=0))
    near = [float(moved(QUERY, BEST, words) @ centre) for words in (0.0, MOST / 3, MOST, 1.0)]
    assert near[0] < near[1] < near[2] == near[3] < 1
    far = moved(QUERY, BEST, MOST)
    assert far == pytest.approx(_unit(0.4 * QUERY + 0.6 * centre), abs=1e-6)
    assert float(np.linalg.norm(far)) == pytest.approx(1)


def _unit(vector: np.ndarray) -> np.ndarray:
    return np.asarray(vector / np.linalg.norm(vector))


@pytest.mark.parametrize("best", [[], [np.ones(2, np.float32)]])
def test_nothing_to_believe_leaves_it(best: list[np.ndarray]) -> None:
    assert (moved(QUERY, best, 1.0) == QUERY).all()
    assert (moved(QUERY, BEST, 0.0) == QUERY).all()
