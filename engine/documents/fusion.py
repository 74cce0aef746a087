"""Both legs put together, each by how far it can be trusted for this question."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.documents.prepare import CJK_RUN

# Chosen on Cranfield, and XQuAD in English, Chinese and across, with two embedders; bench/retrieval_quality.py tells.
KNOWN = 0.4  # of a question's words, by rarity: a collection that knows so many speaks its language
LEAST, BY_BEST, MOST = 0.2, 0.4, 0.5  # weight of words: at least, for what the best passage holds, at most
TERM = 2.2  # BM25's most for one word, in its rarity (k1 = 1.2)


@dataclass(frozen=True)
class Leg:
    """What one leg found: chunk -> score, best first. Of words also how often each of the question's stands in the
    collection of `total` chunks; of vectors mean and spread of all cosines."""

    scores: dict[int, float]
    counts: dict[str, int] = field(default_factory=dict)
    mean: float = 0.0
    spread: float = 0.0
    total: int = 0

    def told(self) -> dict[int, dict[str, float]]:
        """chunk -> rank and score, and for vectors the similarity: 0 for what is as near as any, 1 for the same."""
        return {chunk: self._place(rank, score) for rank, (chunk, score) in enumerate(self.scores.items(), 1)}

    def _place(self, rank: int, score: float) -> dict[str, float]:
        place = {"rank": rank, "score": score}
        if self.spread:
            place["similarity"] = max(0.0, (score - self.mean) / (1 - self.mean))
        return place


def fused(legs: dict[str, Leg]) -> tuple[list[tuple[int, float]], dict[str, float]]:
    """(chunk, score 0 to 1) best first, and the weight of each leg.

    The best of a leg is 1; 0 is what has none of the words, or is as near as any passage. Both are added by weight.
    """
    words, near = legs["lexical"], legs["dense"]
    weights = trust(words, near)
    parts = {"lexical": _shares(words.scores, 0.0), "dense": _shares(near.scores, near.mean)}
    chunks = dict.fromkeys(chunk for part in parts.values() for chunk in part)
    total = {chunk: sum(weights[name] * part.get(chunk, 0.0) for name, part in parts.items()) for chunk in chunks}
    return sorted(total.items(), key=lambda pair: -pair[1]), weights


def _shares(scores: dict[int, float], nothing: float) -> dict[int, float]:
    reach = max(scores.values(), default=nothing) - nothing
    if reach <= 0:
        return dict.fromkeys(scores, 1.0)
    return {chunk: max(0.0, (score - nothing) / reach) for chunk, score in scores.items()}


def trust(words: Leg, near: Leg) -> dict[str, float]:
    """Weights of both legs, 1 together; a leg that found nothing counts nothing.

    Words count the more, the more of the question stands in the best passage, and nothing where the collection does
    not know them: then the question is in another language, or says it in other words.
    """
    if not words.scores or not near.scores:
        return {"lexical": float(bool(words.scores)), "dense": float(bool(near.scores))}
    lexical = min(1.0, coverage(words) / KNOWN) * min(MOST, LEAST + BY_BEST * best_share(words))
    return {"lexical": lexical, "dense": 1 - lexical}


def coverage(words: Leg) -> float:
    """How much of what the question says stands anywhere in the collection: 0 for a question in another language."""
    told = _told(words)
    whole = sum(rarity(count, words.total) for count in told.values())
    return sum(rarity(count, words.total) for count in told.values() if count) / whole if whole else 0.0


def best_share(words: Leg) -> float:
    """How much of the question the best passage holds, by BM25's own measure: 0 to about 1."""
    most = TERM * sum(rarity(count, words.total) for count in _told(words).values())
    return max(words.scores.values(), default=0.0) / most if most else 0.0


def _told(words: Leg) -> dict[str, int]:
    """Single characters say what their pairs say already, and less."""
    return {word: count for word, count in words.counts.items() if not _single(word)} or words.counts


def rarity(count: int, total: int) -> float:
    """BM25's weight of a word that stands in `count` of `total` chunks."""
    return math.log(1 + (total - count + 0.5) / (count + 0.5))


def _single(word: str) -> bool:
    return len(word) == 1 and CJK_RUN.match(word) is not None
