"""Idle conversations leave the KV cache for ordinary memory, and come back whole."""

from __future__ import annotations

import threading

import pytest
from real_models import smollm2

from engine.api.sampling import Sampling
from engine.generation import Generation, Unheard
from engine.llama.load import LoadSettings
from engine.parking import Parked, Parking
from engine.resident import Resident, Serving, take_in

TALKS = ["The keeper of the light wrote down each ship. ", "Bread rises slowly in a cold kitchen. ", "Snow fell. "]


@pytest.fixture(scope="module")
def small() -> object:
    shape = LoadSettings(context_size=1024, threads=1, sequences=4)
    resident = take_in("smollm2", smollm2(), shape, Serving(), lambda done: True)
    yield resident
    resident.stop()
    resident.close()


def reused(resident: Resident, prompt: str) -> int:
    request = Generation(prompt, Sampling(temperature=0, max_tokens=2))
    return resident.generate(request, Unheard(), threading.Event())["reused_tokens"]


def test_idle_sequences_hold_no_cells_and_are_not_read_again(small: Resident) -> None:
    prompts = [talk * 12 for talk in TALKS]
    assert [reused(small, prompt) for prompt in prompts] == [0, 0, 0]
    slots = small.scheduler.slots
    assert [bool(slot.held) for slot in slots.all].count(True) == 1
    assert [reused(small, prompt) for prompt in prompts] == [small.count(prompt) - 1 for prompt in prompts]


def test_a_beginning_that_two_share_stays_for_the_first(small: Resident) -> None:
    beginning = "A map of the old town hung over the table. " * 10
    one, two = (beginning + end * 10 for end in ("It showed the walls. ", "Its ink had faded. "))
    assert reused(small, one) == 0
    shared = reused(small, two)
    assert small.count(beginning) - 2 <= shared < small.count(two) - 20
    assert reused(small, one) == small.count(one) - 1


def parked(tokens: list[int], size: int, conversation: str = "") -> Parked:
    return Parked(tokens, (), conversation, False, 0.0, bytes(size))


def test_what_is_too_much_goes_oldest_first() -> None:
    lot, first, second = Parking(100), parked([1, 2], 60), parked([3, 4], 40)
    assert lot.put(first) == lot.put(second) == []
    assert lot.put(parked([5, 6], 30)) == [first]
    assert lot.longest([3, 4, 5], ()) is second


def test_a_longer_state_of_the_same_conversation_takes_the_place_of_the_shorter() -> None:
    lot = Parking(100)
    lot.put(parked([1, 2], 20, "a"))
    lot.put(parked([1, 2], 20, "b"))
    lot.put(parked([1, 2, 3], 30, "a"))
    assert [(one.conversation, len(one.tokens)) for one in lot.all()] == [("b", 2), ("a", 3)]
    lot.forget("a")
    assert [one.conversation for one in lot.all()] == ["b"]
