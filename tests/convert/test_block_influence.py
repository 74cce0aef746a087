"""Block influence by hand: with attention silenced a block adds its feed-forward part, and nothing else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_measured
from tiny_measured import normed, swiglu

from convert.block_influence import scores
from engine.api.job import Job
from engine.llama.beside import Reader, Reading
from engine.llama.influence import Influence, cosines


def test_by_hand(smollm2: Path, tmp_path: Path) -> None:
    model = tiny_measured.write(tmp_path / "m.gguf", smollm2)
    tokens, hook = list(range(100, 164)), Influence()
    reader = Reader(model.path, Reading(64, 1, 1, 0), hook)
    for _ in reader.read([tokens]):
        pass
    reader.close()
    flow, weights = model.weights["token_embd.weight"][tokens], model.weights
    for block in range(2):
        at = f"blk.{block}."
        rows = normed(flow, weights[f"{at}ffn_norm.weight"])
        inner = swiglu(rows, weights[f"{at}ffn_gate.weight"], weights[f"{at}ffn_up.weight"])
        after = flow + inner @ weights[f"{at}ffn_down.weight"].T
        mean = ((flow * after).sum(1) / np.linalg.norm(flow, axis=1) / np.linalg.norm(after, axis=1)).mean()
        assert hook.cosines[block] / hook.tokens[block] == pytest.approx(mean, abs=1e-4)
        flow = after


def test_every_block_of_a_real_model(smollm2: Path, tmp_path: Path) -> None:
    params = {"chunks": 1, "context": 64, "threads": 1, "gpu_layers": 0}
    found = scores(smollm2, params, Job(tmp_path / "x.partial", params))
    assert list(found) == list(range(30))
    assert all(0 < value < 2 for value in found.values())
    assert found[0] == max(found.values())  # the first block changes most


def test_rows_of_zeros_have_no_direction() -> None:
    rows = np.ones((3, 4), np.float32)
    rows[1] = 0
    assert cosines(rows, rows) == pytest.approx(2.0)
