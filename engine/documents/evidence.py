"""Which sentences of the passages answer a question, found by their words; no model is asked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.documents.sentences import sentences
from engine.documents.wording import Weights, Words, asked_words, words_of

if TYPE_CHECKING:
    from engine.documents.search import Hit

BEFORE = 0.2  # a sentence is helped by the one before it: "It was built in 1911."
RANK = 0.1  # and loses so much for each place of its passage in the ranking
WRONG_KIND = 0.6  # asked for a number, and there is none
HEADING = 0.5  # the heading says what a passage is about; its words count half

_AMOUNT = re.compile(
    r"how (many|much|long|old|far|often|large|big|tall|high|fast)|what (year|percent|number|date|age|day|time)|\bwhen\b"
    r"|多少|几[个次年月日天名位条种岁届]|哪一?年|何时|什么时候|时间|日期|百分",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|[一二三四五六七八九十百千万亿两]"
    r"|\b(one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|hundred|thousand|million|billion|first|second"
    r"|third|half|dozen|once|twice|january|february|march|april|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Evidence:
    """One sentence of passage number `passage` (0 is the best ranked), `start` and `end` in the passage's text.

    `share` is how much of the question it holds, 0 to 1; `score` orders them.
    """

    passage: int
    start: int
    end: int
    text: str
    share: float
    score: float


@dataclass(frozen=True)
class Weighed:
    """A passage cut into sentences, and the words of each."""

    spans: list[tuple[int, int]]
    words: list[Words]
    heading: Words

    @property
    def all(self) -> Words:
        """The words of the whole passage."""
        return self.heading.union(*self.words)


def weighed(hits: Sequence[Hit]) -> list[Weighed]:
    """All passages cut and looked through at once."""
    spans = [sentences(hit.text) for hit in hits]
    texts = [hit.text[start:end] for hit, cut in zip(hits, spans, strict=True) for start, end in cut]
    words = words_of([*texts, *(hit.heading for hit in hits)])
    found, at = [], 0
    for number, cut in enumerate(spans):
        found.append(Weighed(cut, words[at : at + len(cut)], words[len(texts) + number]))
        at += len(cut)
    return found


def evidence(question: str, hits: Sequence[Hit], passages: Sequence[Weighed], weights: Weights) -> list[Evidence]:
    """The sentences of all passages, those that answer best first."""
    asked = asked_words(question)
    wants_number = _AMOUNT.search(question) is not None
    found: list[Evidence] = []
    for number, (hit, passage) in enumerate(zip(hits, passages, strict=True)):
        above = HEADING * weights.share(asked, passage.heading)
        shares = [weights.share(asked, words) for words in passage.words]
        for at, (start, end) in enumerate(passage.spans):
            text = hit.text[start:end]
            fits = WRONG_KIND if wants_number and not _NUMBER.search(_without(question, text)) else 1.0
            score = max(shares[at], above) * fits + BEFORE * (shares[at - 1] if at else 0.0) - RANK * number
            found.append(Evidence(number, start, end, text, shares[at], score))
    return sorted(found, key=lambda one: -one.score)


def _without(question: str, text: str) -> str:
    """A number that the question names itself is not what it asks for."""
    for number in re.findall(r"\d+", question):
        text = text.replace(number, "")
    return text
