"""Whether the passages found can answer a question at all: what decides over "your documents do not say this".

A logistic function of how much of the question its best passage and its best sentence hold, how many of its words are
missing, and how much it says. Fitted on half of XQuAD's articles in English and Chinese at once, the questions once
with and once without the paragraph that answers them in the collection: bench/document_answers.py tells how it does
on the other half.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.documents.evidence import Evidence, Weighed
from engine.documents.wording import Weights, asked_words

if TYPE_CHECKING:
    from engine.documents.search import Hit

PASSAGE, SENTENCE, MISSING, ASKED, NOTHING = 1.9, 4.5, -0.81, 0.9, -4.11
WEAK = 0.4  # below this the documents are taken not to say it
LIKE = 0.5  # a cosine of an embedder that stands for as much: question and passage may be in two languages

_WHOLE = re.compile(
    r"\b(summar\w*|outline|overview|(main|key) (points?|ideas?)|translate|what is (this|it) about|rewrite|list all)\b"
    r"|总结|概括|摘要|大意|主要(内容|观点)|要点|翻译|讲了什么|列出",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Strength:
    """`value` 0 to 1; `missing` are words of the question that its best passage does not have."""

    value: float
    missing: tuple[str, ...] = ()

    @property
    def weak(self) -> bool:
        """Whether it is better to say that the documents do not say it."""
        return self.value < WEAK


def about_whole(question: str) -> bool:
    """Whether a question is about a document as a whole, and not about something in it."""
    return _WHOLE.search(question) is not None


def strength(
    question: str, hits: Sequence[Hit], passages: Sequence[Weighed], found: Sequence[Evidence], weights: Weights
) -> Strength:
    """How far the passages can be trusted to hold the answer. A question about a document as a whole always can."""
    asked = asked_words(question)
    if not hits:
        return Strength(0.0, tuple(sorted(asked)))
    if about_whole(question) or not asked:
        return Strength(1.0)
    best = max(passages, key=lambda passage: weights.share(asked, passage.all))
    sentence = max((one.share for one in found), default=0.0)
    missing = asked - best.all
    said = weights.total(asked) / weights.full
    value = NOTHING + PASSAGE * weights.share(asked, best.all) + SENTENCE * sentence
    value += MISSING * len(missing) + ASKED * said
    return Strength(max(1 / (1 + math.exp(-value)), _other_language(question, hits)), tuple(sorted(missing)))


def _other_language(question: str, hits: Sequence[Hit]) -> float:
    """A question in one language about passages in another shares no words with them: the embedder alone can tell."""
    from engine.documents.prepare import has_cjk

    if has_cjk(question) == has_cjk(hits[0].text):
        return 0.0
    likeness = max(hit.legs.get("dense", {}).get("score", 0.0) for hit in hits)
    return min(1.0, WEAK * likeness / LIKE)
