"""The importance matrix as llama.cpp's own tool defines it, recomputed by hand; and what may not change it."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tiny_measured
from tiny_measured import Small, normed, swiglu

from engine.llama.beside import Reader, Reading
from engine.llama.importance import Importance, squares

CHUNK = 64
TOKENS = [(7 * place * place + 11 * place) % 40_000 + 20 for place in range(8 * CHUNK)]
CHUNKS = [TOKENS[start : start + CHUNK] for start in range(0, len(TOKENS), CHUNK)]


@pytest.fixture(scope="module")
def dense(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    return tiny_measured.write(tmp_path_factory.mktemp("tiny") / "dense.gguf", smollm2)


@pytest.fixture(scope="module")
def experts(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Small:
    return tiny_measured.write(tmp_path_factory.mktemp("tiny") / "experts.gguf", smollm2, experts=6)


def collect(
    model: Small, sequences: int = 1, whole: bool = False, output: bool = False, direct: bool = True
) -> Importance:
    hook = Importance(output, whole)
    hook.direct = direct
    reader = Reader(model.path, Reading(CHUNK, sequences, 1, 0), hook)
    try:
        for start in range(0, len(CHUNKS), sequences):
            for wanted in reader.read(CHUNKS[start : start + sequences]):
                assert len(wanted) == CHUNK * sequences
    finally:
        reader.close()
    return hook


def embedded(model: Small) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return model.weights["token_embd.weight"][TOKENS]


def test_a_dense_block_by_hand(dense: Small) -> None:
    found, weights = collect(dense), dense.weights
    into_attention = normed(embedded(dense), weights["blk.0.attn_norm.weight"])
    into_feed = normed(embedded(dense), weights["blk.0.ffn_norm.weight"])
    into_down = swiglu(into_feed, weights["blk.0.ffn_gate.weight"], weights["blk.0.ffn_up.weight"])
    expected = {"attn_q": into_attention, "attn_k": into_attention, "attn_v": into_attention}
    expected |= {"ffn_gate": into_feed, "ffn_up": into_feed, "ffn_down": into_down}
    for name, rows in expected.items():
        entry = f"blk.0.{name}.weight"
        np.testing.assert_allclose(found.sums[entry][0], (rows.astype(np.float64) ** 2).sum(0), rtol=1e-3)
        assert found.counts[entry].tolist() == [len(TOKENS)]


def test_all_weights_of_all_blocks_and_all_tokens_of_the_last(dense: Small) -> None:
    """With one output a batch the last block would see one row only, and have no entry at all."""
    found = collect(dense)
    kinds = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    assert set(found.sums) == {f"blk.{layer}.{kind}.weight" for layer in range(2) for kind in kinds}
    assert {int(counts[0]) for counts in found.counts.values()} == {len(TOKENS)}


def test_experts_by_hand(experts: Small) -> None:
    found, weights = collect(experts), experts.weights
    rows = normed(embedded(experts), weights["blk.0.ffn_norm.weight"])
    chosen = np.argsort(-(rows @ weights["blk.0.ffn_gate_inp.weight"].T), axis=1)[:, :2]
    for expert in range(experts.experts):
        own = rows[(chosen == expert).any(1)]
        down = swiglu(own, weights["blk.0.ffn_gate_exps.weight"][expert], weights["blk.0.ffn_up_exps.weight"][expert])
        for name, inputs in (("ffn_gate_exps", own), ("ffn_up_exps", own), ("ffn_down_exps", down)):
            entry = f"blk.0.{name}.weight"
            np.testing.assert_allclose(found.sums[entry][expert], (inputs.astype(np.float64) ** 2).sum(0), rtol=1e-3)
            assert found.counts[entry][expert] == len(own)
    assert found.sums["blk.0.ffn_gate_exps.weight"].shape == (6, 64)


@pytest.mark.parametrize("kind", ["dense", "experts"])
def test_several_sequences_at_once_change_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    model: Small = request.getfixturevalue(kind)
    one, many = collect(model), collect(model, sequences=4)
    assert one.sums.keys() == many.sums.keys()
    for name, sums in one.sums.items():
        np.testing.assert_allclose(many.sums[name], sums, rtol=1e-3)
        np.testing.assert_array_equal(many.counts[name], one.counts[name])


def test_stopping_before_the_head_changes_nothing(dense: Small) -> None:
    early, whole = collect(dense), collect(dense, whole=True)
    assert early.sums.keys() == whole.sums.keys() != set()
    for name, sums in whole.sums.items():
        np.testing.assert_array_equal(early.sums[name], sums)


@pytest.mark.parametrize("kind", ["dense", "experts"])
def test_copied_as_from_a_card_it_is_the_same(kind: str, request: pytest.FixtureRequest) -> None:
    """The way of values that lie on a graphics card: ggml_backend_tensor_get."""
    model: Small = request.getfixturevalue(kind)
    seen, copied = collect(model), collect(model, direct=False)
    assert seen.sums.keys() == copied.sums.keys() != set()
    for name, sums in seen.sums.items():
        np.testing.assert_array_equal(copied.sums[name], sums)
        np.testing.assert_array_equal(copied.counts[name], seen.counts[name])


def test_the_head_on_request(smollm2: Path, dense: Small) -> None:
    assert "output.weight" not in collect(dense).sums  # tied: llama.cpp calls it token_embd.weight, and wants no entry
    assert set(collect(dense, output=True).sums) == set(collect(dense).sums)


def test_values_that_are_no_numbers_are_told(smollm2: Path, tmp_path: Path) -> None:
    model = tiny_measured.write(tmp_path / "broken.gguf", smollm2)
    data = bytearray(model.path.read_bytes())
    norm = model.weights["blk.1.ffn_norm.weight"].tobytes()
    place = data.index(norm)
    data[place : place + 4] = np.float32(np.inf).tobytes()
    model.path.write_bytes(bytes(data))
    hook = Importance()
    reader = Reader(model.path, Reading(CHUNK, 1, 1, 0), hook)
    for _ in reader.read([CHUNKS[0]]):
        pass
    reader.close()
    assert hook.broken[0] == "blk.1.ffn_gate.weight"
    assert "blk.1.ffn_gate.weight" not in hook.sums


def test_squares_of_odd_sizes() -> None:
    rows = np.random.default_rng(3).standard_normal((77, 13)).astype(np.float32)
    assert squares(rows).shape == (13,)
    np.testing.assert_allclose(squares(rows), (rows.astype(np.float64) ** 2).sum(0), rtol=1e-6)
    np.testing.assert_allclose(squares(rows[::2]), (rows[::2].astype(np.float64) ** 2).sum(0), rtol=1e-6)


def test_giving_up_stops_a_batch(dense: Small) -> None:
    from engine.api.job import Cancelled

    stop = threading.Event()
    stop.set()
    reader = Reader(dense.path, Reading(CHUNK, 1, 1, 0))
    with pytest.raises(Cancelled):
        list(reader.read([CHUNKS[0]], 0, stop.is_set))
    reader.close()
