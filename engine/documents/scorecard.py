"""How well a collection answers questions whose answers are known: what is found, said, cited and refused."""

from __future__ import annotations

import re
import statistics
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError

if TYPE_CHECKING:
    from engine.documents.ask import Answer

MOST = 2000
_NOISE = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class Known:
    """A question with what is known of its answer: words that must occur, the file and page they stand on, or that the
    documents do not hold it."""

    question: str
    answers: tuple[str, ...] = ()
    file: str = ""
    page: int = 0
    unanswerable: bool = False


@dataclass(frozen=True)
class Scored:
    """One question asked. A value is None where the question does not tell what would be right."""

    known: Known
    answer: Answer
    seconds: float

    @property
    def contained(self) -> bool | None:
        """Whether the answer holds one of the right ones."""
        if self.known.unanswerable or not self.known.answers:
            return None
        return not self.answer.refused and _holds(self.answer.text, self.known.answers)

    @property
    def cited(self) -> bool | None:
        """Whether a cited passage holds the answer, of answers that cite."""
        if self.contained is None or not self.answer.citations:
            return None
        chunks = {citation.chunk for citation in self.answer.citations}
        return any(_holds(hit.text, self.known.answers) for hit in self.answer.hits if hit.chunk in chunks)

    def rank(self) -> int | None:
        """Where the right file (and page) stands among the passages found, from 1; 0 if not there."""
        if self.known.unanswerable or not (self.known.file or self.known.answers):
            return None
        places = (place for place, hit in enumerate(self.answer.hits, 1) if self._right(hit))
        return next(places, 0)

    def _right(self, hit: Any) -> bool:
        if not self.known.file:
            return _holds(hit.text, self.known.answers)
        named = Path(self.known.file).name in (hit.name, Path(hit.path).name)
        return named and (not self.known.page or hit.page == self.known.page)


def read_questions(rows: Sequence[object]) -> list[Known]:
    """Questions as people write them: {"question", "answer" or "answers"?, "file"?, "page"?, "unanswerable"?}.

    Raises UserError bad_questions, which says which row.
    """
    return [_known(number, row) for number, row in enumerate(rows[:MOST], 1)]


def score(
    questions: Sequence[Known], ask: Callable[[str], Answer], step: Callable[[int, int], None]
) -> tuple[dict[str, Any], list[Scored]]:
    """The scorecard and every question. `step(done, total)` may raise Cancelled."""
    scored: list[Scored] = []
    for number, known in enumerate(questions):
        step(number, len(questions))
        began = time.perf_counter()
        scored.append(Scored(known, ask(known.question), time.perf_counter() - began))
    return card(scored), scored


def card(scored: Sequence[Scored]) -> dict[str, Any]:
    """Shares from 0 to 1, None where no question tells: recall at 1, 5 and 10, contained, cited, refused (of those
    that cannot be answered), answered (of those that can); median seconds."""
    ranks = [rank for one in scored if (rank := one.rank()) is not None]
    can = [one for one in scored if not one.known.unanswerable]
    cannot = [one for one in scored if one.known.unanswerable]
    recalls = {f"recall_{k}": _share([0 < rank <= k for rank in ranks]) for k in (1, 5, 10)}
    return recalls | {
        "questions": len(scored),
        "contained": _share([one.contained for one in can]),
        "cited": _share([one.cited for one in can]),
        "answered": _share([not one.answer.refused for one in can]),
        "refused": _share([one.answer.refused for one in cannot]),
        "seconds": statistics.median(one.seconds for one in scored) if scored else None,
    }


def _share(values: Sequence[bool | None]) -> float | None:
    told = [value for value in values if value is not None]
    return sum(told) / len(told) if told else None


def _holds(text: str, answers: Sequence[str]) -> bool:
    flat = _flat(text)
    return any(_flat(answer) in flat for answer in answers if _flat(answer))


def _flat(text: str) -> str:
    """Without case, spaces and punctuation, in which people write the same answer differently."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", text).casefold())


def _known(number: int, row: object) -> Known:
    if not isinstance(row, dict) or not isinstance(row.get("question"), str) or not row["question"].strip():
        raise _bad(number)
    told = row.get("answers", row.get("answer", []))
    answers: Any = [told] if isinstance(told, str) else told
    file, page = row.get("file", ""), row.get("page", 0)
    fits = isinstance(answers, list) and all(isinstance(one, str) for one in answers)
    if not fits or not isinstance(file, str) or not isinstance(page, int):
        raise _bad(number)
    return Known(row["question"], tuple(answers), file, page, row.get("unanswerable") is True)


def _bad(number: int) -> UserError:
    return UserError(
        "bad_questions",
        f"Question {number} cannot be read.",
        'Each is an object with "question", and "answer", "file", "page" or "unanswerable" where they are known.',
        number=number,
    )
