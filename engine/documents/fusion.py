"""Both legs put together, each by how far it can be trusted for this question."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from engine.documents.prepare import CJK_RUN


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


def fused(legs: dict[str, Leg], cjk: bool) -> tuple[list[tuple[int, float]], dict[str, float]]:
    """(chunk, score 0 to 1) best first, and the weight of each leg. `cjk`: the question has Chinese letters.

    Scores of a leg are spread over 0 to 1, then added by weight.
    """
    weights = trust(legs["lexical"], legs["dense"])
    parts = {name: normalized(leg.scores) for name, leg in legs.items()}
    chunks = dict.fromkeys(chunk for part in parts.values() for chunk in part)
    total = {chunk: sum(weights[name] * part.get(chunk, 0.0) for name, part in parts.items()) for chunk in chunks}
    return sorted(total.items(), key=lambda pair: -pair[1]), weights


def normalized(scores: dict[int, float]) -> dict[int, float]:
    """The best is 1, the worst just above 0."""
    if not scores:
        return {}
    best, worst = max(scores.values()), min(scores.values())
    reach = best - worst
    return {chunk: (score - worst) / reach if reach > 0 else 1.0 for chunk, score in scores.items()}


def trust(words: Leg, near: Leg) -> dict[str, float]:
    """Weights of both legs, 1 together. A leg that found nothing counts nothing."""
    if not words.scores or not near.scores:
        return {"lexical": float(bool(words.scores)), "dense": float(bool(near.scores))}
    lexical = 0.5 * coverage(words)
    return {"lexical": lexical, "dense": 1 - lexical}


def coverage(words: Leg) -> float:
    """How much of what the question says stands anywhere in the collection: 0 for a question in another language."""
    told = {word: count for word, count in words.counts.items() if not _single(word)} or words.counts
    whole = sum(rarity(count, words.total) for count in told.values())
    return sum(rarity(count, words.total) for count in told.values() if count) / whole if whole else 0.0


def rarity(count: int, total: int) -> float:
    """BM25's weight of a word that stands in `count` of `total` chunks."""
    return math.log(1 + (total - count + 0.5) / (count + 0.5))


def _single(word: str) -> bool:
    return len(word) == 1 and CJK_RUN.match(word) is not None
