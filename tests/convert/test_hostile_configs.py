"""A config.json that says nonsense is refused in words, whatever the family; nothing else is ever raised."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import family_checkpoints
import numpy as np
import pytest

from convert.checkpoint import Checkpoint, Source
from convert.config import Config
from convert.families import family_of
from convert.keys import entries_of
from convert.plan import tensors_of
from engine.api.errors import UserError

NONSENSE: list[Any] = [None, -1, 0, "x", [None], {"a": 1}, 1e30, 2**40]
CASES = [name for name in family_checkpoints.names() if family_checkpoints.case(name).tensors]


def planned(case: str, settings: dict[str, Any]) -> int:
    """How many entries and tensors the plan has, from headers alone."""
    sources = {
        name: Source(name, tuple(int(side) if str(side).isdecimal() else 96 for side in shape), "BF16", _nothing)
        for pattern, shape in family_checkpoints.case(case).tensors.items()
        for name in family_checkpoints.expanded(pattern)
    }
    config = Config(settings, None, frozenset(sources))
    found = family_of(config)
    if found is None:
        return 0
    checkpoint = Checkpoint(Path(), found[1].adjust(config), sources)
    entries = entries_of(found[1].arch, found[1].keys, checkpoint.config)
    return len(entries) + len(tensors_of(found[1], checkpoint, "F16"))


def _nothing() -> Any:
    return np.zeros(())


def usual(case: str) -> dict[str, Any]:
    """The case's config with numbers for what only its tokenizer would say."""
    return dict(_filled(copy.deepcopy(family_checkpoints.case(case).config)))


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner) for inner in value]
    named = isinstance(value, str) and (value in ("VOCAB", "WORDS", "NULL") or value.startswith("LAST"))
    return 96 if named and value != "NULL" else None if named else value


def damaged(settings: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Each key of it and of its parts, with each nonsense in its place."""
    made = []
    parts = [(), *((key,) for key, value in settings.items() if isinstance(value, dict))]
    for part in parts:
        for key in settings[part[0]] if part else settings:
            for nonsense in NONSENSE:
                changed = copy.deepcopy(settings)
                (changed[part[0]] if part else changed)[key] = nonsense
                made.append((f"{'.'.join(part)}.{key} = {nonsense!r}", changed))
    return made


@pytest.mark.parametrize("case", CASES)
def test_nonsense_is_refused_in_words(case: str) -> None:
    settings = usual(case)
    assert planned(case, settings) > 10
    raised = []
    for what, changed in damaged(settings):
        if "architectures" in what:
            continue
        try:
            planned(case, changed)
        except UserError as error:
            assert error.text
        except Exception as error:  # noqa: BLE001  every other error is what this test is after
            raised.append(f"{what}: {type(error).__name__} {error}")
    assert raised == []
