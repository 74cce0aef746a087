"""The real window on the real engine, driven as a person would: by keys, clicks and what is to be seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from person import Person
from pytestqt.qtbot import QtBot

from desktop.text import set_language


@pytest.fixture
def open_window(qtbot: QtBot, home: Path) -> Iterator[Callable[[], Person]]:
    """Opens windows, one after another, on this test's home."""
    opened: list[Person] = []

    def start() -> Person:
        opened.append(Person(qtbot))
        return opened[-1]

    yield start
    for person in opened:
        person.close()
    set_language("en")


@pytest.fixture
def person(open_window: Callable[[], Person]) -> Person:
    """Someone in front of a freshly opened window."""
    return open_window()
