"""The threads of a context: kept from step to step, its own, and gone with it."""

from __future__ import annotations

import time

import psutil
import pytest
import real_models
from decoding import read

from engine.llama.devices import system_info
from engine.llama.load import LoadSettings, load
from engine.llama.model import Model
from engine.llama.quiet import library


@pytest.fixture(autouse=True)
def without_openmp() -> None:
    if "OPENMP = 1" in system_info()["features"]:
        pytest.skip("a build with OpenMP keeps threads of its own")


def threads() -> set[int]:
    return {thread.id for thread in psutil.Process().threads()}


def end(of: set[int]) -> bool:
    """Whether these threads end. The system lists one for a moment after it was waited for."""
    until = time.monotonic() + 10
    while threads() & of and time.monotonic() < until:
        time.sleep(0.01)
    return not threads() & of


def loaded(count: int) -> tuple[Model, set[int]]:
    """A model that computes on `count` threads, and those that are new."""
    before = threads()
    model = load(real_models.smollm2(), LoadSettings(context_size=256, threads=count))
    return model, threads() - before


def step(model: Model) -> list[float]:
    read(model, model.tokenize("The sea, the sea"))
    return list(library().llama_get_logits_ith(model.context, -1)[:100])


def test_a_thread_stays_from_step_to_step_and_ends_with_its_context() -> None:
    model, new = loaded(2)
    others = threads() - new
    assert len(new) == 1
    for _ in range(3):
        step(model)
        assert threads() - others == new
    model.close()
    assert end(new)


def test_two_contexts_have_their_own_and_say_the_same() -> None:
    first, its = loaded(2)
    second, others = loaded(2)
    assert len(its) == len(others) == 1
    said = step(first)
    assert step(second) == said
    first.close()
    assert step(second) == said
    assert end(its)
    assert threads() >= others
    second.close()


def test_alone_a_context_starts_no_other_thread() -> None:
    model, new = loaded(1)
    before = threads()
    step(model)
    assert not new
    assert not threads() - before
    model.close()
