"""What llama.cpp says to our files against what the checkpoint's own network says, in float32."""

from __future__ import annotations

import family_checkpoints
import llama_logits
import numpy as np
import pytest
import reference_logits
from conversion_kit import Conversions

MOST = 2e-2
CASES = family_checkpoints.names()
KNOWN = [name for name in CASES if family_checkpoints.case(name).reference]


@pytest.mark.parametrize("case", KNOWN)
def test_the_logits_are_the_networks(conversions: Conversions, case: str) -> None:
    path, _ = conversions.ours(case, "f32")
    wanted = conversions.reference(case) * family_checkpoints.case(case).times
    found = llama_logits.logits(path, reference_logits.tokens_for(family_checkpoints.case(case)))
    rows = min(found.shape[1], wanted.shape[1])
    assert np.abs(found[:, :rows] - wanted[:, :rows]).max() < MOST
    assert (found.argmax(axis=1) == wanted.argmax(axis=1)).all()
    assert wanted.std() > 0.05, "logits so small that any would do"


def test_a_case_without_a_reference_says_why() -> None:
    assert {name for name in CASES if not family_checkpoints.case(name).why_no_logits} == set(KNOWN)
