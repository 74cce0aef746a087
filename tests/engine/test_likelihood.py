"""How likely a text is after a prompt: the same as when the model chooses it, however it is read, whoever else asks."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from real_models import smollm2

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.sampling import Sampling
from engine.generation import Generation, TokenLogprob
from engine.llama.load import LoadSettings
from engine.resident import Resident, Serving, take_in

PROMPT = "The capital of France is"
LONG = "Of the sea and the people beside it. " * 40 + PROMPT


@pytest.fixture(scope="module")
def resident() -> Iterator[Resident]:
    got = take_in("smollm2", smollm2(), LoadSettings(context_size=1024, threads=1), Serving(), lambda done: True)
    yield got
    got.stop()
    got.close()


class Heard:
    """Keeps the likelihood of each token."""

    def __init__(self) -> None:
        self.told: list[TokenLogprob] = []
        self.pieces: list[str] = []

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Not kept."""

    def text(self, piece: str) -> None:
        self.pieces.append(piece)

    def logprob(self, token: TokenLogprob) -> None:
        self.told.append(token)


def likely(resident: Resident, text: str, prompt: str = PROMPT) -> float:
    return resident.likelihood(prompt, text, threading.Event())


def written(resident: Resident, prompt: str) -> tuple[str, float]:
    """What the model writes by itself, and its likelihood as told while it was written."""
    heard = Heard()
    sampling = Sampling(temperature=0.0, repeat_penalty=1.0, max_tokens=8)
    resident.generate(Generation(prompt=prompt, sampling=sampling, logprobs=0), heard, threading.Event())
    return "".join(heard.pieces), sum(token.logprob for token in heard.told)


@pytest.mark.parametrize("prompt", [PROMPT, LONG])
def test_the_same_as_while_it_is_written(resident: Resident, prompt: str) -> None:
    text, told = written(resident, prompt)
    # a last token that is read alone differs by some tenths from one read with the others, as when writing again
    assert likely(resident, text, prompt) == pytest.approx(told, abs=0.5)


def test_what_follows_is_likelier_than_what_does_not(resident: Resident) -> None:
    assert likely(resident, " Paris") > likely(resident, " bicycle") + 3


def test_again_and_beside_someone_who_writes(resident: Resident) -> None:
    alone = likely(resident, " Paris, a city")
    assert likely(resident, " Paris, a city") == pytest.approx(alone, abs=0.05)
    writer = threading.Thread(target=written, args=(resident, LONG))
    writer.start()
    beside = likely(resident, " Paris, a city")
    writer.join()
    assert beside == pytest.approx(alone, abs=0.05)


def test_cancelled_and_too_long(resident: Resident) -> None:
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        resident.likelihood(PROMPT, " Paris", cancelled)
    with pytest.raises(UserError) as error:
        likely(resident, " sea" * 2000)
    assert error.value.code == "context_too_long"
    assert likely(resident, " Paris") < 0
