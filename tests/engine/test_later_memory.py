"""What is made after loading, for some requests only: it asks for room, and counts once it is there."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
import tiny_vision
from completion_kit import core_with, model_id
from real_models import smollm2

from engine.api.errors import UserError
from engine.api.sampling import Sampling
from engine.chosen_draft import ChosenDraft
from engine.core import Call
from engine.generation import MEDIA_MARK, Generation, Unheard
from engine.llama.load import LoadSettings
from engine.machine import hardware, room
from engine.resident import PLENTY, Resident, Serving, take_in
from engine.residents import Residents, Wanted
from engine.service import answer
from models.hardware import free_memory

SETTINGS = LoadSettings(context_size=512, threads=1, sequences=2)
GREEDY = Sampling(temperature=0, max_tokens=2)
SEEDED = Sampling(temperature=1, seed=5, max_tokens=2)
KV = 512 * 30 * 2 * 192 * 2


class Room:
    """So many bytes are free."""

    def __init__(self, free: int) -> None:
        self.free = free

    def __call__(self) -> int:
        return self.free


@contextmanager
def resident(free: Room, path: Path | None = None) -> Iterator[Resident]:
    made = take_in("model", path or smollm2(), SETTINGS, Serving(room=free), lambda done: True)
    try:
        yield made
    finally:
        made.stop()
        made.close()


def ask(made: Resident, prompt: str, sampling: Sampling, *media: bytes) -> Any:
    return made.generate(Generation(prompt, sampling, media=media), Unheard(), threading.Event())


def test_a_seeded_request_asks_for_room_and_is_refused_with_numbers() -> None:
    free = Room(KV)
    with resident(free) as made:
        with pytest.raises(UserError) as caught:
            ask(made, "Once upon a time", SEEDED)
        assert caught.value.code == "no_room_to_repeat"
        assert caught.value.values["have"] == "0.01"
        assert float(str(caught.value.values["need"])) > KV / 1e9
        assert ask(made, "Once upon a time", GREEDY)["tokens"] == 2, "others are answered"
        before = made.private()
        free.free = PLENTY
        assert ask(made, "Once upon a time", SEEDED)["tokens"] == 2
        assert made.memory()["repeating"] > KV
        assert made.private() - before >= KV
        free.free = 0
        assert ask(made, "Once upon a time", SEEDED)["tokens"] == 2, "it is there already"


def test_conversations_are_parked_only_where_there_is_room() -> None:
    long = ["The keeper counts ships. " * 20, "Two cats sat on a wall. " * 20, "It rains on the market. " * 20]
    with resident(Room(0)) as made:
        for prompt in long:
            ask(made, prompt, GREEDY)
        assert made.memory()["parked"] == 0
    with resident(Room(PLENTY)) as made:
        for prompt in long:
            ask(made, prompt, GREEDY)
        parked = made.memory()["parked"]
        assert 0 < parked <= KV
        assert made.private() == made.info.private + parked


def test_a_projector_counts_before_it_is_loaded_and_when_it_is(home: Path, tmp_path: Path) -> None:
    own = tmp_path / "eyes"
    own.mkdir()
    model = own / "smollm2.gguf"
    copyfile(smollm2(), model)
    with core_with(model) as core:
        fit = {"model": model_id("smollm2")}
        blind = answer(core, "models.fit", fit, Call(1, lambda message: None))["result"]
        projector = tiny_vision.projector(own / "mmproj-smollm2.gguf")
        seeing = answer(core, "models.fit", fit, Call(1, lambda message: None))["result"]
    assert blind["projector"] == 0
    assert 0.8 * projector.stat().st_size < seeing["projector"] <= projector.stat().st_size
    assert seeing["total"] == blind["total"] + seeing["projector"]
    with resident(Room(PLENTY), model) as made:
        assert made.memory()["projector"] == 0
        ask(made, f"{MEDIA_MARK} What is this?", GREEDY, tiny_vision.png())
        assert made.memory()["projector"] >= seeing["projector"]


def test_the_room_left_keeps_the_weights_in_memory(home: Path) -> None:
    with core_with(smollm2()) as core:
        empty = room(core)
        assert 0 < empty <= free_memory()
        with core.residents.use(model_id("smollm2"), lambda done: None, threading.Event()) as made:
            assert room(core) < empty + 2**28 - made.info.memory["weights"], "other programs may have ended meanwhile"
            assert hardware(core).available <= hardware(core).total


@pytest.mark.parametrize(("missing", "named"), [(0, "draft"), (1, "")])
def test_a_draft_comes_only_where_it_fits_beside_everything(missing: int, named: str) -> None:
    asked: list[tuple[str, int, int]] = []

    def check(model: str, freed: int, beside: int) -> int:
        asked.append((model, freed, beside))
        return missing if beside else 0

    draft = ChosenDraft("draft", smollm2(), 77)
    wanted = Wanted(smollm2(), replace(SETTINGS, context_size=256), Serving(), draft)
    residents = Residents(lambda model: wanted, check, lambda model, size: None)
    with residents.use("one", lambda done: None, threading.Event()) as first:
        assert first.info.draft == named
        assert asked == [("one", 0, 0), ("one", 0, 77)]
    with residents.use("one", lambda done: None, threading.Event()) as again:
        assert again is first, "a draft that found no room is not tried at every request"
    residents.release("draft")
    assert len(residents.loaded()) == missing
    residents.close()
