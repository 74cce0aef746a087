"""A question answered from documents: found, judged, written by a model, and checked against the passages by code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from engine.api.messages import Stats
from engine.documents.cite import Cited, Place, cite, joined
from engine.documents.evidence import Evidence, Weighed, evidence, weighed
from engine.documents.prompting import ANSWER_TOKENS, fitting, messages, refusal, room_of, says_not_found
from engine.documents.rewriting import Turn, complete, parts
from engine.documents.strength import Strength, about_whole, strength
from engine.documents.widening import Passages, beside, sizes, widened
from engine.documents.wording import Weights

if TYPE_CHECKING:
    from engine.documents.search import Hit

PASSAGES = 4  # given to the model, of those found
QUOTES = 2  # sentences quoted under an answer
SURE = 0.6  # so strong a finding is answered with quotes where a model says there is nothing
LEAST_QUOTE = 0.2  # of the question a quoted sentence holds at least …
BESIDE = 0.6  # … and a second one so much of what the best one scored
MARKED = 0.2  # of a line, or of the quote, stands there for the line to be marked


class Writer(Protocol):
    """A model that answers; `size` is its context in tokens."""

    size: int

    def count(self, text: str) -> int:
        """Tokens of a text."""

    def write(self, messages: list[dict[str, Any]], max_tokens: int, heard: Callable[[str], None]) -> tuple[str, Stats]:
        """The answer to a chat, told piece by piece to `heard` while it is written."""

    def foretold(self, passage: str, question: str) -> float | None:
        """How much of a question a passage foretells, at most 1; None where that cannot be asked."""


class Listener(Protocol):
    """Who hears how an answer comes about."""

    def rewritten(self, question: str) -> None:
        """The question as it is looked for."""

    def passages(self, hits: list[Hit]) -> None:
        """What was found; shown before the answer begins."""

    def text(self, piece: str) -> None:
        """More of what the model writes, before it is checked."""


@dataclass(frozen=True)
class Citation:
    """Number [n] of an answer: the words quoted, and where they stand; `start` and `end` in the file's text."""

    number: int
    file: int
    name: str
    path: str
    page: int
    quote: str
    start: int
    end: int
    chunk: int
    boxes: list[dict[str, Any]]


@dataclass(frozen=True)
class Sentence:
    """A sentence of the answer, [start, end) in its text, and the numbers of its citations."""

    text: str
    start: int
    end: int
    citations: list[int]
    supported: bool


@dataclass(frozen=True)
class Answer:
    """What is shown. `strength` 0 to 1 is how far the passages can hold the answer at all; `sent` is the chat that
    the model was given, [] where none was asked, `read` the files that are in it; `notes` are {"code", …} for the
    person."""

    question: str
    text: str
    refused: bool
    sentences: list[Sentence] = field(default_factory=list)
    citations: list[Citation] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    strength: float = 0.0
    missing: list[str] = field(default_factory=list)
    sent: list[dict[str, Any]] = field(default_factory=list)
    stats: Stats = field(default_factory=Stats)
    notes: list[dict[str, Any]] = field(default_factory=list)
    read: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For the pipe."""
        return asdict(self)


@dataclass(frozen=True)
class Sources:
    """Where answers come from: `search(question) -> hits`, best first, how much words say there, the collection's own
    words to the model, and all passages there are."""

    search: Callable[[str], list[Hit]]
    weights: Weights
    system: str = ""
    whole: Passages | None = None


def ask(question: str, sources: Sources, writer: Writer, listener: Listener, history: Sequence[Turn] = ()) -> Answer:
    """Answer a question. Raises the UserErrors of the search and of the model, and Cancelled."""
    whole = complete(question, history, lambda turns, most: writer.write([*turns], most, _unheard)[0])
    listener.rewritten(whole)
    spread, notes = _widened(whole, sources, writer) if about_whole(whole) else ([], [])
    hits = spread or _found(whole, sources.search)
    listener.passages(hits)
    chosen = spread or fitting(hits[:PASSAGES], writer.count, writer.size)
    reading = _Reading(whole, chosen, hits, sources.weights, notes)
    reading.doubt(writer)
    if reading.strength.weak:
        return reading.refused()
    if not spread:
        reading.add(_widened(whole, sources, writer)[0] or reading.beside(sources, writer))
    chat = messages(whole, reading.given, sources.system)
    text, stats = writer.write(chat, ANSWER_TOKENS, listener.text)
    if says_not_found(text) and reading.strength.value < SURE:
        return reading.refused(chat, stats)
    return reading.answered("" if says_not_found(text) else text.strip(), chat, stats)


def _widened(question: str, sources: Sources, writer: Writer) -> tuple[list[Hit], list[dict[str, Any]]]:
    return widened(question, sources.whole, sizes(writer.count), writer.size) if sources.whole else ([], [])


def _unheard(piece: str) -> None:
    """Nobody sees a question being rewritten."""


def _found(question: str, search: Callable[[str], list[Hit]]) -> list[Hit]:
    """The hits of all parts of a question in turns, each chunk once."""
    lists = [search(part) for part in parts(question)]
    turns = [hits[at] for at in range(max(map(len, lists))) for hits in lists if at < len(hits)]
    return list({hit.chunk: hit for hit in turns}.values())


class _Reading:
    """The passages beside the question: how strong they are, and what of them is quoted.

    `judged` are those that the search found; what is added to them for the model to read is cited as they are.
    """

    def __init__(
        self, question: str, judged: list[Hit], hits: list[Hit], weights: Weights, notes: list[dict[str, Any]]
    ) -> None:
        self.question, self.hits, self.notes = question, hits, notes
        # The best passage first: sentences are judged by their place in the ranking too.
        self.chosen = sorted(judged, key=hits.index)
        self.passages: list[Weighed] = weighed(self.chosen)
        self.evidence = evidence(question, self.chosen, self.passages, weights)
        self.strength: Strength = strength(question, self.chosen, self.passages, weights)

    def doubt(self, writer: Writer) -> None:
        """Where the words leave it open, the model tells how much of the question the best passage foretells."""
        if self.strength.open:
            best = self.hits[0]
            foretold = writer.foretold(f"{best.heading}\n{best.text}", self.question)
            if foretold is not None:
                self.strength = self.strength.with_foretold(foretold)

    @property
    def given(self) -> list[Hit]:
        """All passages in the order of their documents."""
        return sorted(self.chosen, key=lambda hit: (hit.file, hit.start))

    def beside(self, sources: Sources, writer: Writer) -> list[Hit]:
        """What stands beside the passages whose best sentence is at their edge."""
        if sources.whole is None:
            return []
        size, room = sizes(writer.count), room_of(writer.size)
        return beside(self.chosen, self.passages, self.evidence, sources.whole, size, room)

    def add(self, more: list[Hit]) -> None:
        """Have the model read these too."""
        known = {hit.chunk for hit in self.chosen}
        new = [hit for hit in more if hit.chunk not in known]
        self.chosen, self.passages = [*self.chosen, *new], [*self.passages, *weighed(new)]

    def refused(self, chat: list[dict[str, Any]] | None = None, stats: Stats | None = None) -> Answer:
        """The documents do not say it; what came nearest is shown all the same."""
        return self._answer(refusal(self.question), True, None, chat or [], stats or {})

    def answered(self, text: str, chat: list[dict[str, Any]], stats: Stats) -> Answer:
        """The model's words with citations, and the sentences they rest on quoted below."""
        cited = joined(cite(text, self.question, self.chosen, self.passages)) if text else []
        if not any(one.supported for one in cited):
            cited = []  # nothing of it stands in the documents: what they say themselves is better
        noted = _Notes(self.chosen)
        for one in cited:
            noted.sentence(one)
        for place in self._quotes(cited):
            noted.quote(place)
        return self._answer(noted.text, False, noted, chat, stats)

    def _answer(
        self, text: str, refused: bool, noted: _Notes | None, chat: list[dict[str, Any]], stats: Stats
    ) -> Answer:
        return Answer(
            question=self.question,
            text=text,
            refused=refused,
            sentences=noted.sentences if noted else [],
            citations=noted.citations if noted else [],
            hits=self.hits,
            strength=self.strength.value,
            missing=list(self.strength.missing),
            sent=chat,
            stats=stats,
            notes=self.notes,
            read=sorted({hit.file for hit in self.chosen}) if chat else [],
        )

    def _quotes(self, cited: Sequence[Cited]) -> list[Place]:
        """The best sentence by its words, then those that the answer rests on."""
        best = self.evidence[:1]
        worth = [one for one in self.evidence[1:] if one.share >= LEAST_QUOTE and one.score >= BESIDE * best[0].score]
        rested = [place for one in cited for place in one.places[:1]]
        places = [*map(_place, best), *rested, *map(_place, worth)]
        return list(dict.fromkeys(places))[:QUOTES]


def _place(one: Evidence) -> Place:
    return Place(one.passage, one.start, one.end)


class _Notes:
    """The text of an answer with its marks, as it grows."""

    def __init__(self, hits: Sequence[Hit]) -> None:
        self._hits = hits
        self.text = ""
        self.sentences: list[Sentence] = []
        self.citations: list[Citation] = []

    def sentence(self, one: Cited) -> None:
        """One sentence of the model's, with the marks of its places."""
        numbers = [self._number(place) for place in one.places]
        marks = "".join(f" [{number}]" for number in numbers)
        self._add(f"{one.text}{marks}", " " if self.text else "", numbers, bool(one.supported))

    def quote(self, place: Place) -> None:
        """A sentence of the documents, word for word."""
        number = self._number(place)
        words = " ".join(self._hits[place.passage].text[place.start : place.end].split())
        between = "\n" if self.text.rpartition("\n")[2].startswith(">") else "\n\n" if self.text else ""
        self._add(f"> {words} [{number}]", between, [number], True)

    def _add(self, text: str, between: str, numbers: list[int], supported: bool) -> None:
        start = len(self.text) + len(between)
        self.text += between + text
        self.sentences.append(Sentence(text, start, len(self.text), numbers, supported))

    def _number(self, place: Place) -> int:
        hit = self._hits[place.passage]
        start, end = hit.start + place.start, hit.start + place.end
        for known in self.citations:
            if (known.chunk, known.start) == (hit.chunk, start):
                return known.number
        quote = hit.text[place.start : place.end]
        number = len(self.citations) + 1
        boxes = _boxes(hit, place)
        self.citations.append(
            Citation(number, hit.file, hit.name, hit.path, hit.page, quote, start, end, hit.chunk, boxes)
        )
        return number


def _boxes(hit: Hit, place: Place) -> list[dict[str, Any]]:
    """The lines that a stretch of a chunk stands on, as far as the room each line takes tells its share of the text."""
    boxes = [box if isinstance(box, dict) else asdict(box) for box in hit.boxes]
    sizes = [(box["right"] - box["left"]) / max(1.0, box["bottom"] - box["top"]) for box in boxes]
    scale = sum(sizes) / max(1, len(hit.text))
    first, last = place.start * scale, place.end * scale
    chosen, at = [], 0.0
    for box, size in zip(boxes, sizes, strict=True):
        shared = min(last, at + size) - max(first, at)
        if shared > MARKED * min(size, last - first):
            chosen.append(box)
        at += size
    return chosen
