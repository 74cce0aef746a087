"""Whether the passages found can answer a question at all: what decides over "your documents do not say this".

A logistic function of how much of the question its best passage and its best sentence hold, how many of its words are
missing, and how much it says. Fitted on the even half of XQuAD's articles, the questions once with and once without
the paragraph that answers them in the collection, so that as many are answered as refused: bench/document_answers.py
tells how it does on the other half. Chinese is judged by its letters, and so has weights of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from engine.documents.evidence import Weighed
from engine.documents.letters import Letters
from engine.documents.prepare import has_cjk
from engine.documents.wording import Weights, asked_words

if TYPE_CHECKING:
    from engine.documents.search import Hit

Figures = tuple[float, float, int, float]
WEAK = 0.4  # below this the documents are taken not to say it
LIKE = 0.5  # a cosine of an embedder that stands for as much: question and passage may be in two languages

_ASKING = re.compile(
    r"\bhow (many|much|long|old|far|often|large|big|tall|high|fast|wide|deep)\b"
    r"|\b(in )?(what|which) (year|type|kind|sort|date|day|percentage|percent|number)s?\b( of\b)?"
    r"|多长时间|多[久大高远长重深宽快]|(哪|什么)(年份?|类型|种类|日期|地方)|怎么说|叫什么(名字)?|名字?是什么",
    re.IGNORECASE,
)  # a passage that answers this holds none of these words


@dataclass(frozen=True)
class Fit:
    """What each figure weighs: what of the question the best passage and the best sentence hold, 0 to 1; how many of
    its words the passage lacks; how much it asks for, in words that stand nowhere else."""

    passage: float
    sentence: float
    missing: float
    asked: float
    nothing: float

    def of(self, figures: Figures) -> float:
        """The logistic function of the figures, 0 to 1."""
        weights = (self.passage, self.sentence, self.missing, self.asked)
        value = self.nothing + sum(weight * figure for weight, figure in zip(weights, figures, strict=True))
        return _logistic(value)


ENGLISH = Fit(5.46, 5.53, -0.14, 0.48, -7.16)
CHINESE = Fit(6.23, 2.72, -0.09, 0.27, -6.16)  # of letters

# Between these the letters of a Chinese question leave it open, and a model is asked, which takes a second or two. What
# a model is told by an English passage adds little to the words.
OPEN = (0.05, 0.9)
# What weighs the log odds of the letters, how much of the question its best passage foretells, and nothing: fitted as
# above with Qwen2.5-Coder-0.5B, so that nine of ten are answered and as many refused as can be.
LETTERS, FORETOLD, NOTHING = 0.82, 5.2, -0.78

_WHOLE = re.compile(
    r"\b(summar\w*|outline|overview|(main|key) (points?|ideas?)|translate|what is (this|it) about|rewrite|list all)\b"
    r"|总结|概括|摘要|大意|主要(内容|观点)|要点|翻译|讲了什么|列出",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Strength:
    """`value` 0 to 1; `missing` are words of the question that its best passage does not have; `open`: a model is to
    be asked how much of the question its best passage foretells."""

    value: float
    missing: tuple[str, ...] = ()
    open: bool = False

    def with_foretold(self, foretold: float) -> Strength:
        """The same, not open any more. `foretold` is what a model was asked, at most 1."""
        odds = LETTERS * math.log(self.value / (1 - self.value)) + FORETOLD * foretold + NOTHING
        return replace(self, value=_logistic(odds), open=False)

    @property
    def weak(self) -> bool:
        """Whether it is better to say that the documents do not say it."""
        return self.value < WEAK


def about_whole(question: str) -> bool:
    """Whether a question is about a document as a whole, and not about something in it."""
    return _WHOLE.search(question) is not None


def strength(question: str, hits: Sequence[Hit], passages: Sequence[Weighed], weights: Weights) -> Strength:
    """How far the passages can be trusted to hold the answer. A question about a document as a whole always can."""
    asked = asked_words(_ASKING.sub(" ", question)) or asked_words(question)
    if not hits:
        return Strength(0.0, tuple(sorted(asked)))
    if about_whole(question) or not asked:
        return Strength(1.0)
    best = max(passages, key=lambda passage: weights.share(asked, passage.all))
    missing = asked - best.all
    if has_cjk(question):
        value = CHINESE.of(by_letters(question, hits, passages, weights))
    else:
        sentence = max((weights.share(asked, words) for one in passages for words in one.words), default=0.0)
        held = weights.share(asked, best.all)
        value = ENGLISH.of((held, sentence, len(missing), weights.total(asked) / weights.full))
    left_open = has_cjk(question) and has_cjk(hits[0].text) and OPEN[0] < value < OPEN[1]
    return Strength(max(value, _other_language(question, hits)), tuple(sorted(missing)), left_open)


def by_letters(question: str, hits: Sequence[Hit], passages: Sequence[Weighed], weights: Weights) -> Figures:
    """The figures of a question in Chinese."""
    letters = Letters(_ASKING.sub(" ", question), weights)
    if not letters.weight:
        letters = Letters(question, weights)
    texts = [f"{hit.heading} {hit.text}" for hit in hits]
    best = max(texts, key=letters.share)
    cut = (hit.text[start:end] for hit, passage in zip(hits, passages, strict=True) for start, end in passage.spans)
    sentence = max(map(letters.share, cut), default=0.0)
    return letters.share(best), sentence, letters.missing(best)[0], letters.weight / weights.full


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-max(-30.0, min(30.0, value))))


def _other_language(question: str, hits: Sequence[Hit]) -> float:
    """A question in one language about passages in another shares no words with them: the embedder alone can tell."""
    if has_cjk(question) == has_cjk(hits[0].text):
        return 0.0
    likeness = max(hit.legs.get("dense", {}).get("score", 0.0) for hit in hits)
    return min(1.0, WEAK * likeness / LIKE)
