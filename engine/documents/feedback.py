"""Pseudo-relevance feedback: a question's vector moves towards the best passages, and is searched with again.

Rocchio's way (Relevance Feedback in Information Retrieval, 1971) with dense vectors, as in Li et al., Pseudo Relevance
Feedback with Deep Language Models and Dense Retrievers (2021). Where several passages answer, the first ones lead to
the others; where one does, it stays the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from engine.documents.fusion import MOST

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

BEST = 3  # passages that are believed
SHARE = 0.6  # of the new vector is theirs, where words count as much as they ever do


def moved(query: Array, best: Sequence[Array], words: float) -> Array:
    """A question's vector (width,) of length 1 moved towards those of its best passages, of length 1 again.

    `words` is the weight of the words in choosing these: where the two legs could not confirm each other, as with a
    question in another language, the vector stays where it is.
    """
    import numpy as np

    share = SHARE * min(1.0, words / MOST)
    alike = [one for one in best if one.shape == query.shape]
    if not alike or share <= 0:
        return query
    centre = _unit(np.mean(alike, axis=0))
    return _unit((1 - share) * query + share * centre)


def _unit(vector: Array) -> Array:
    import numpy as np

    return np.asarray(vector / max(1e-9, float(np.linalg.norm(vector))), np.float32)
