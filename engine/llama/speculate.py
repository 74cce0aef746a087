"""Guessing ahead: several tokens are checked in one pass of the model, where that is quicker than one after the other.

Pure arithmetic, no llama.cpp and no clock: what was guessed, what came true and how long it took is told from outside.
"""

from __future__ import annotations

from typing import Protocol

SHORTEST, LONGEST = 2, 32  # tokens that must have been met before, in this order; no further is looked back
NEAR = 12  # so many earlier places are compared
# Guesses to weigh. llama.cpp multiplies four rows at a time on a processor, and one row is the last token.
SIZES = (1, 2, 3, 5, 7, 11, 15, 19, 23)
MARGIN = 1.05  # times as many tokens a second as plain decoding, or it is left
REST, HOPE = 256, 0.7  # after so many plain steps this margin will do once: the machine may have become another
HOPED = 0.4  # part of a token's cost that each further one in a pass adds, until it was tried: on a GPU it is nothing
FORGET = 0.96  # what a guess was worth long ago counts less
# How often the next token is guessed right when so many tokens agreed before it: for quotations and code.
ODDS = ((2, 0.45), (3, 0.6), (4, 0.68), (6, 0.78), (11, 0.87), (23, 0.93), (LONGEST, 0.96))
TRUST = 5.0  # so many observations weigh as much as ODDS
DRAFT_ODDS = 0.87  # the same of a draft model that nobody knows yet
SPENT = 0.25  # of the time an answer took so far a draft may spend on reading what it guesses from


class Lookup:
    """Guesses that the text goes on as it did where its last tokens stood before. Answers that quote their sources do.

    One table leads from a pair of tokens to the last place where it ended, and from each place to the one before it.
    """

    def __init__(self, tokens: list[int] | None = None) -> None:
        self.tokens: list[int] = []
        self.sure = 0  # tokens before the end that stand before the guess as well; 0 = no guess
        self._last: dict[tuple[int, int], int] = {}
        self._before: list[int] = []  # per token: where its pair ended the time before, -1 = nowhere
        self._from = 0  # where the guess begins
        self.extend(tokens or [])

    @property
    def next(self) -> int:
        """The token guessed to come next, negative if there is no guess."""
        return self.tokens[self._from] if self.sure else -1

    def extend(self, tokens: list[int]) -> None:
        """These came next, guessed or not. About 0.2 microseconds a token."""
        if not tokens:
            return
        start, guessed = len(self.tokens), self.next
        self.tokens += tokens
        self._index(start)
        if tokens == [guessed]:  # no other place can have become longer than this one
            self.sure, self._from = min(self.sure + 1, LONGEST), self._from + 1
        else:
            self._find()

    def propose(self, most: int) -> list[int]:
        """At most `most` tokens that may come next; [] if nothing like the end was there before."""
        if not self.sure or most <= 0:
            return []
        found = self.tokens[self._from : self._from + most]
        if min(found) < 0:  # an image stands there
            return found[: next(at for at, token in enumerate(found) if token < 0)]
        rounds = -(-most // len(found))  # a repetition that has reached the end goes round
        return (found * rounds)[:most]

    def _index(self, start: int) -> None:
        last, before, tokens = self._last, self._before, self.tokens
        if not start:
            before.append(-1)
            start = 1
        previous = tokens[start - 1]
        for at in range(start, len(tokens)):
            token = tokens[at]
            pair = (previous, token)
            before.append(last.get(pair, -1))
            last[pair] = at
            previous = token

    def _find(self) -> None:
        """The longest match among the nearest places, the nearest of equals."""
        end = len(self.tokens) - 1
        at, best, place = self._before[end], 0, 0
        for _ in range(NEAR):
            if at < 0 or best >= LONGEST:
                break
            length = self._match(at, end, best)
            if length > best:
                best, place = length, at
            at = self._before[at]
        self.sure, self._from = best, place + 1

    def _match(self, at: int, end: int, best: int) -> int:
        """How many tokens up to `at` equal those up to `end`; 0 if they cannot be more than `best`."""
        tokens = self.tokens
        if best and (at < best or tokens[at - best] != tokens[end - best]):
            return 0
        length, most = SHORTEST, min(LONGEST, at + 1)
        while length < most and tokens[at - length] == tokens[end - length]:
            length += 1
        return length


class Costs:
    """What a pass over so many tokens takes on this machine with this context: learnt from every step, kept for all.

    Sizes are learnt relative to each other, and apart from them how quick the machine is just now: a neighbour that
    takes half of it changes nothing in what pays.
    """

    def __init__(self) -> None:
        self._scale = 0.0  # seconds of one unit
        self._units: dict[int, float] = {}
        self._seen: dict[int, int] = {}

    def took(self, tokens: int, seconds: float) -> None:
        """A pass with `tokens` tokens, each with its logits, took that long."""
        if tokens < 1 or seconds <= 0:
            return
        expected, known = self.of(tokens), self._units.get(tokens)
        self._scale = self._scale or seconds / expected
        units = min(max(seconds / self._scale, expected / 2), expected * 2)  # one hiccup must not decide
        self._units[tokens] = units if known is None else known + 0.1 * (units - known)
        self._seen[tokens] = self._seen.get(tokens, 0) + 1
        if known is not None:
            self._scale *= 1 + 0.2 * (units / expected - 1)

    def seconds(self, tokens: int) -> float:
        """The same in seconds, as quick as the machine is just now. 0 before the first step."""
        return self.of(tokens) * self._scale

    def sure_of(self, tokens: int) -> bool:
        """Whether such a pass was timed more than once."""
        return self._seen.get(tokens, 0) > 1

    def of(self, tokens: int) -> float:
        """The cost of a pass, in units of about one plain step. Sizes never seen are read off their neighbours."""
        known = self._units
        if tokens in known:
            return known[tokens]
        lower = max((n for n in known if n < tokens), default=0)
        upper = min((n for n in known if n > tokens), default=0)
        if lower and upper:
            return known[lower] + (tokens - lower) / (upper - lower) * (known[upper] - known[lower])
        nearest = lower or upper or 1
        return known.get(nearest, 1.0) * (1 + HOPED * tokens) / (1 + HOPED * nearest)


class Worth:
    """How many tokens to guess for one request: as many as bring the most tokens a second, none if that is plain.

    Where a guess costs nothing to make it is made at every step, so `saw` learns from plain steps too.
    """

    def __init__(self, costs: Costs | None = None, matched: bool = True, odds: float | None = None) -> None:
        """`costs` should be the context's own, so that what one request learnt serves the next.

        `matched`: guesses stand behind tokens that agreed, and are the surer the longer that goes on. `odds`: how
        often a guess is right to begin with, instead of ODDS.
        """
        self.costs = costs or Costs()
        self.price = 0.0  # seconds that a guess takes to make
        self._matched = matched
        self._right = [TRUST * (usual if odds is None else odds) for _, usual in ODDS]
        self._seen = [TRUST] * len(ODDS)
        self._sure = LONGEST // 4  # of the last `size`
        self._rest = 0  # plain steps since the last guess

    @property
    def odds(self) -> float:
        """How often the next guess is right."""
        bucket = _bucket(self._sure)
        return self._right[bucket] / self._seen[bucket]

    def size(self, sure: int = LONGEST // 4, beside: int = 0) -> int:
        """How many tokens to guess now, 0 for none.

        `sure`: how many tokens agreed before the guess (Lookup.sure), left out where that is not known.
        `beside`: how many tokens of others the same pass will hold.
        """
        self._sure = sure
        if sure <= 0 or not self.costs.sure_of(1 + beside):
            return 0
        if self._rest >= REST and not self._matched:  # it learns from what is checked alone
            return SIZES[1]
        needed = HOPE if self._rest >= REST else MARGIN
        best, most = 0, needed * (1 + beside) / self.costs.seconds(1 + beside)
        for guesses, expected in self._expected(sure):
            speed = (1 + beside + expected) / (self.costs.seconds(1 + beside + guesses) + guesses * self.price)
            if speed > most:
                best, most = guesses, speed
        return best

    def took(self, proposed: int, accepted: int, seconds: float, beside: int = 0) -> None:
        """A step with `proposed` guesses, of which the first `accepted` were right, took `seconds`."""
        self.judge(proposed, accepted)
        self.step(proposed, seconds, beside)

    def judge(self, proposed: int, accepted: int) -> None:
        """Of the guesses made by the last `size` the first `accepted` were right."""
        for at in range(accepted):
            self.saw(self._sure + at * self._matched, True)
        if accepted < proposed:
            self.saw(self._sure + accepted * self._matched, False)

    def step(self, proposed: int, seconds: float, beside: int = 0) -> None:
        """`took` without its verdict, for whoever tells `saw` of every token."""
        self.costs.took(1 + proposed + beside, seconds)
        self._rest = 0 if proposed else self._rest + 1

    def saw(self, sure: int, right: bool) -> None:
        """The token guessed after `sure` tokens agreed was right or was not, proposed or only thought of."""
        if sure > 0:
            bucket = _bucket(sure)
            self._right[bucket] = self._right[bucket] * FORGET + (TRUST * (1 - FORGET)) * ODDS[bucket][1] / 2 + right
            self._seen[bucket] = self._seen[bucket] * FORGET + (TRUST * (1 - FORGET)) / 2 + 1

    def _expected(self, sure: int) -> list[tuple[int, float]]:
        """For each of SIZES how many of the guesses will be right: each needs those before it to be."""
        expected, chance, found = 0.0, 1.0, []
        for guess in range(SIZES[-1]):
            bucket = _bucket(sure + guess * self._matched)
            chance *= self._right[bucket] / self._seen[bucket]
            expected += chance
            if guess + 1 in SIZES:
                found.append((guess + 1, expected))
        return found


def _bucket(sure: int) -> int:
    return next((at for at, (most, _) in enumerate(ODDS) if sure <= most), len(ODDS) - 1)


class Draft(Protocol):
    """Someone whose guesses take time: engine.llama.draft.Drafting."""

    odds: float  # how often it was right, lately; kept from one request to the next

    @property
    def price(self) -> float:
        """Seconds a guess, lately."""

    def extend(self, tokens: list[int]) -> None:
        """These tokens came."""

    def ready(self, patience: float) -> bool:
        """Whether it has read what it guesses from. It reads a portion if all of it takes at most so many seconds."""

    def propose(self, most: int) -> list[int]:
        """At most so many tokens that may come next."""


class Ahead:
    """One request's guesses, weighed: `propose` before each step, `took` after it.

    A draft is asked where the text itself gives no guess that pays, and only for who writes alone: several share a
    pass already, and a draft would serve them one after another.
    """

    def __init__(self, costs: Costs, tokens: list[int], draft: Draft | None = None) -> None:
        """`tokens`: the prompt, in which media are negative; with such there is no draft."""
        self.lookup = Lookup(tokens)
        self.worth = Worth(costs)
        self._draft = draft if draft and min(tokens, default=0) >= 0 else None
        # Half of what earlier requests taught: another text may be easier.
        odds = (self._draft.odds + DRAFT_ODDS) / 2 if self._draft else None
        self._draft_worth = Worth(costs, matched=False, odds=odds)
        self._proposed = self._asked = 0  # in this step: tokens guessed, and tokens the draft was asked for
        self._written = 0
        if self._draft:
            self._draft_worth.price = HOPE * self._draft.price
            self._draft.extend(tokens)

    def propose(self, room: int, beside: int = 0) -> list[int]:
        """At most `room` tokens to check in the next pass behind the last token, [] for a plain step."""
        size = min(room, self.worth.size(self.lookup.sure, beside))
        guess = self.lookup.propose(size)
        self._asked = 0
        if self._draft and not guess and not beside:
            guess = self._by_draft(self._draft, room)
        self._proposed = len(guess)
        return guess

    def came(self, tokens: list[int]) -> None:
        """The step gave these tokens, the guesses that were right and one more, in a time that says nothing."""
        for token in tokens:
            self.worth.saw(self.lookup.sure, token == self.lookup.next)
            self.lookup.extend([token])
        self._written += len(tokens)
        if self._draft:
            self._draft.extend(tokens)
        if self._draft and self._asked:  # where it was not certain it took its time as well: that was no guess
            self._draft_worth.judge(self._asked, len(tokens) - 1)
            self._draft.odds = self._draft_worth.odds
        self._proposed = 0

    def took(self, tokens: list[int], seconds: float, beside: int = 0) -> None:
        """`came`, and the step took `seconds`: the pass alone, without making the guesses."""
        proposed = self._proposed
        self.came(tokens)
        self.worth.step(0 if self._asked else proposed, 0.0)
        self._draft_worth.step(self._asked, 0.0)
        self.worth.costs.took(1 + proposed + beside, seconds)

    def _by_draft(self, draft: Draft, room: int) -> list[int]:
        size = min(room, self._draft_worth.size())
        if size <= 0 or not draft.ready(SPENT * self._written * self.worth.costs.seconds(1)):
            return []
        self._asked, guess = size, draft.propose(size)
        self._draft_worth.price = draft.price
        return guess
