"""docs/families.md tells of every case and of every refusal, and of how each case is proven."""

from __future__ import annotations

import re
from pathlib import Path

import family_checkpoints
import pytest

from convert.families import all_families
from convert.refusals import entries

PAGE = (Path(__file__).parents[2] / "docs" / "families.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")]


def sign(name: str) -> str:
    """What the page has to say of a case's file."""
    case = family_checkpoints.case(name)
    return "–" if case.upstream else "≠" if case.differences else "="


@pytest.mark.parametrize("name", family_checkpoints.names())
def test_a_case_is_told_of_with_what_is_proven(name: str) -> None:
    told = [
        part for row in ROWS for part in row.split("|")[-2].split(";") if re.search(rf"(?<![\w-]){name}(?![\w-])", part)
    ]
    assert len(told) == 1, told
    after = told[0][re.search(rf"(?<![\w-]){name}(?![\w-])", told[0]).end() :]  # type: ignore[union-attr]
    assert re.findall("[=≠–]", after)[:1] == [sign(name)]


def test_every_record_and_every_refusal_is_told_of() -> None:
    records = {name.partition("/")[0] for name in all_families()}
    told = {name for row in ROWS for name in re.split(r"[,\s]+", row.split("|")[2])}
    assert records <= told
    below = PAGE.partition("## Known and not converted")[2]
    assert {name for name in entries() if not re.search(rf"\b{name}\b", below)} == set()
