"""How much of a question a passage foretells, by a real model."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from real_models import smollm2

from engine.core import Core
from engine.documents.writers import ModelWriter
from models.registry import add_file

BRIDGE = "The old bridge over the Tarn was built in 1911 by Ada Lindqvist. It is 412 metres long."
BREAD = "Bakers in Lund keep the dough at 24 degrees for three hours."
QUESTION = "Who built the old bridge over the Tarn?"


@pytest.fixture
def writer(home: Path) -> Iterator[ModelWriter]:
    core = Core()
    core.settings = replace(core.settings, context_size=512, threads=1)
    (added,) = add_file(smollm2(), copy=False)
    yield ModelWriter(core, added.id, threading.Event())
    core.close()


def test_a_passage_that_answers_foretells_most_of_it(writer: ModelWriter) -> None:
    right, wrong = writer.foretold(BRIDGE, QUESTION), writer.foretold(BREAD, QUESTION)
    assert right is not None and wrong is not None
    assert wrong + 0.2 < right < 1
    assert writer.foretold("", QUESTION) == pytest.approx(0, abs=0.1)


def test_what_cannot_be_read_at_once_is_not_judged(writer: ModelWriter) -> None:
    assert writer.foretold(BRIDGE * 40, QUESTION) is None
    assert ModelWriter(writer._core, "remote:nobody", threading.Event()).foretold(BRIDGE, QUESTION) is None
