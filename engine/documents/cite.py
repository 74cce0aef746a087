"""Citations made by code: each sentence of an answer is looked for in the passages, and marked if none supports it.

A sentence is supported by a passage that has all its numbers and names, and most of its other words close together.
What it only repeats of the question needs no support. No model is asked, so it works with the smallest.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from engine.documents.evidence import Weighed
from engine.documents.sentences import sentences
from engine.documents.wording import Words, words_of

if TYPE_CHECKING:
    from engine.documents.search import Hit

ENOUGH = 0.5  # of a sentence's own words must stand together in a passage
WINDOW = 1  # sentences before and after
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_NAME = re.compile(r"(?<![.!?。！？]\s)(?<!^)\b[A-Z][\w’'-]+")
_MARK = re.compile(r"\s*\[(\d{1,2})\]")
_EMPTY = re.compile(r"^[\W_]*$")


@dataclass(frozen=True)
class Place:
    """A stretch of passage number `passage`, in characters of its text."""

    passage: int
    start: int
    end: int


@dataclass(frozen=True)
class Cited:
    """A sentence of the answer, [start, end) in it. `supported` None: it claims nothing that could be checked."""

    text: str
    start: int
    end: int
    supported: bool | None
    places: tuple[Place, ...] = field(default=())


@dataclass(frozen=True)
class _Claim:
    words: Words
    numbers: frozenset[str]
    names: frozenset[str]

    @property
    def empty(self) -> bool:
        return not (self.words or self.numbers)


def cite(answer: str, question: str, hits: Sequence[Hit], passages: Sequence[Weighed]) -> list[Cited]:
    """The sentences of `answer` with the places that support them, the best first, at most two."""
    spans = sentences(answer)
    texts = [_MARK.sub("", answer[start:end]) for start, end in spans]
    asked, *words = words_of([question, *texts])
    return [
        _cited(text, span, _claim(text, own, question, asked), hits, passages)
        for text, span, own in zip(texts, spans, words, strict=True)
    ]


def numbers(text: str) -> frozenset[str]:
    """The numbers of a text, written in one way: 1,234.50 -> 1234.50, full-width digits as usual ones."""
    found = _NUMBER.findall(unicodedata.normalize("NFKC", text))
    return frozenset(re.sub(r",(?=\d{3})", "", number) for number in found)


def _claim(text: str, words: Words, question: str, asked: Words) -> _Claim:
    """What a sentence says beyond the question; all it says if that is nothing."""
    own = words - asked
    names = frozenset(_NAME.findall(text)) - frozenset(_NAME.findall(question))
    if own or numbers(text) - numbers(question):
        return _Claim(own, numbers(text), names)
    return _Claim(words, numbers(text), names)


def _cited(text: str, span: tuple[int, int], claim: _Claim, hits: Sequence[Hit], passages: Sequence[Weighed]) -> Cited:
    if _EMPTY.match(text) or claim.empty:
        return Cited(text, *span, None)
    scored = [
        _best(claim, number, hit, passage) for number, (hit, passage) in enumerate(zip(hits, passages, strict=True))
    ]
    good = sorted((one for one in scored if one and one[0] >= ENOUGH), key=lambda one: -one[0])
    near = [place for share, place in good if share >= good[0][0] - 0.1]
    return Cited(text, *span, bool(near), tuple(near[:2]))


def _best(claim: _Claim, number: int, hit: Hit, passage: Weighed) -> tuple[float, Place] | None:
    """The sentences of one passage that hold the most of a claim. None where a number or a name is missing."""
    flat = unicodedata.normalize("NFKC", hit.text)
    if not claim.numbers <= numbers(hit.text) or not all(name in flat or name in hit.heading for name in claim.names):
        return None
    best: tuple[float, Place] | None = None
    for at, (start, end) in enumerate(passage.spans):
        here = _share(claim, passage.words[at], hit.text[start:end])
        first, last = max(0, at - WINDOW), min(len(passage.spans), at + WINDOW + 1)
        around = hit.text[passage.spans[first][0] : passage.spans[last - 1][1]]
        near = _share(claim, passage.heading.union(*passage.words[first:last]), around)
        score = near * 0.6 + here * 0.4
        if near >= ENOUGH and (best is None or score > best[0]):
            best = (score, Place(number, start, end))
    return best if best is None else (max(best[0], ENOUGH), best[1])


def _share(claim: _Claim, words: Words, text: str) -> float:
    if not claim.numbers <= numbers(text):
        return 0.0
    return len(claim.words & words) / len(claim.words) if claim.words else 1.0


def joined(cited: Sequence[Cited]) -> list[Cited]:
    """The same, a sentence that claims nothing taken for as good as the one before it."""
    found: list[Cited] = []
    for one in cited:
        found.append(replace(one, supported=found[-1].supported if found else True) if one.supported is None else one)
    return found
