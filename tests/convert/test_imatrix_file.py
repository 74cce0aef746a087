"""Importance matrices as files: llama.cpp reads ours, we read its formats, and damage is told."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tiny_measured

from convert.imatrix import Imatrix, merged, missing, read, unrouted, weights, write
from engine.api.errors import UserError
from engine.llama.quantize import Request, quantize
from models.gguf_reader import read_raw

IQ2_XXS, IQ3_XXS = 19, 23
DRAW = np.random.default_rng(5)


def some() -> Imatrix:
    sums = {"blk.1.ffn_up_exps.weight": DRAW.random((3, 8)) * 100, "blk.0.attn_q.weight": DRAW.random((1, 5)) * 9}
    counts = {"blk.1.ffn_up_exps.weight": np.array([4, 0, 6]), "blk.0.attn_q.weight": np.array([10])}
    sums["blk.1.ffn_up_exps.weight"][1] = 0
    return Imatrix(sums, counts, ("a text", "另一个"), 2, 5)


def write_some(path: Path) -> Path:
    write(path, some())
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    given = some()
    write(tmp_path / "m.gguf", given)
    found = read(tmp_path / "m.gguf")
    assert (found.datasets, found.chunks, found.chunk_size) == (("a text", "另一个"), 2, 5)
    assert list(found.sums) == sorted(given.sums)
    for name, sums in given.sums.items():
        np.testing.assert_allclose(found.sums[name], sums, rtol=1e-6)
        np.testing.assert_array_equal(found.counts[name], given.counts[name])
    assert [path.name for path in tmp_path.iterdir()] == ["m.gguf"]


def test_the_header_is_that_of_llama_cpp(tmp_path: Path) -> None:
    raw = read_raw(write_some(tmp_path / "m.gguf"))
    assert list(raw.values) == ["general.type", "imatrix.datasets", "imatrix.chunk_count", "imatrix.chunk_size"]
    shapes = {tensor.name: (tensor.shape, tensor.type) for tensor in raw.inventory}
    assert list(shapes) == [
        "blk.0.attn_q.weight.in_sum2",
        "blk.0.attn_q.weight.counts",
        "blk.1.ffn_up_exps.weight.in_sum2",
        "blk.1.ffn_up_exps.weight.counts",
    ]
    assert shapes["blk.1.ffn_up_exps.weight.in_sum2"] == ((8, 3), "F32")
    assert shapes["blk.1.ffn_up_exps.weight.counts"] == ((1, 3), "F32")


def test_means_and_experts_that_were_never_asked(tmp_path: Path) -> None:
    given = some()
    found = weights(given)["blk.1.ffn_up_exps.weight"].reshape(3, 8)
    np.testing.assert_allclose(found[0], given.sums["blk.1.ffn_up_exps.weight"][0] / 4, rtol=1e-6)
    np.testing.assert_array_equal(found[1], np.ones(8))
    assert unrouted(given) == [{"tensor": "blk.1.ffn_up_exps.weight", "experts": [1], "of": 3}]


def test_merging_is_reading_both_texts() -> None:
    a, b = some(), some()
    both = merged([a, b])
    for name in a.sums:
        np.testing.assert_allclose(both.sums[name], a.sums[name] + b.sums[name])
        np.testing.assert_array_equal(both.counts[name], a.counts[name] + b.counts[name])
    assert (both.chunks, both.datasets) == (4, ("a text", "另一个"))


def test_matrices_of_two_models_are_not_merged() -> None:
    a, b = some(), some()
    b.sums["blk.0.attn_q.weight"] = np.ones((1, 6))
    with pytest.raises(UserError) as caught:
        merged([a, b])
    assert caught.value.code == "imatrix_of_another"


def test_llama_cpp_quantizes_with_it_and_not_without(smollm2: Path, tmp_path: Path) -> None:
    """IQ2_XXS needs an entry for every weight of a block; llama.cpp itself says whether there is one."""
    model = tiny_measured.write(tmp_path / "model.gguf", smollm2, columns=256, wide=256, layers=1)
    sums = {
        tensor.name: DRAW.random((1, tensor.shape[0])) + 0.1
        for tensor in read_raw(model.path).inventory
        if tensor.name.startswith("blk.") and len(tensor.shape) == 2
    }
    given = Imatrix(sums, {name: np.array([7]) for name in sums}, ("x",), 1, 512)
    write(tmp_path / "m.gguf", given)
    assert missing(read(tmp_path / "m.gguf"), model.path) == []

    def ask(importance: Imatrix) -> None:
        request = Request(
            model.path, tmp_path / "out.gguf", tmp_path / "work", IQ2_XXS, importance=weights(importance), threads=1
        )
        quantize(request)

    (tmp_path / "work").mkdir()
    ask(read(tmp_path / "m.gguf"))
    made = {tensor.name: tensor.type for tensor in read_raw(tmp_path / "out.gguf").inventory}
    assert made["blk.0.ffn_up.weight"] == "IQ2_XXS"
    del given.sums["blk.0.ffn_up.weight"]
    assert missing(given, model.path) == ["blk.0.ffn_up.weight"]
    with pytest.raises(UserError):
        ask(given)


def test_an_entry_of_another_size_counts_as_missing(smollm2: Path, tmp_path: Path) -> None:
    model = tiny_measured.write(tmp_path / "model.gguf", smollm2, experts=4)
    names = {tensor.name for tensor in read_raw(model.path).inventory}
    lacking = set(missing(Imatrix({}, {}), model.path))
    assert "blk.0.ffn_gate_exps.weight" in lacking
    assert lacking < names
    assert not any("norm" in name or "gate_inp" in name or "token" in name for name in lacking)
    wrong = {"blk.0.ffn_gate_exps.weight": np.ones((1, 64))}
    assert "blk.0.ffn_gate_exps.weight" in missing(Imatrix(wrong, {"x": np.array([1])}), model.path)


def old_format(entries: dict[str, tuple[int, list[float]]]) -> bytes:
    data = struct.pack("<i", len(entries))
    for name, (calls, values) in entries.items():
        data += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, len(values))
        data += np.array(values, "<f4").tobytes()
    return data + struct.pack("<ii", 3, 4) + b"text"


def test_the_older_format(tmp_path: Path) -> None:
    (tmp_path / "old.dat").write_bytes(old_format({"blk.0.attn_q.weight": (3, [3.0, 6.0])}))
    found = read(tmp_path / "old.dat")
    np.testing.assert_allclose(weights(found)["blk.0.attn_q.weight"], [1.0, 2.0])
    assert found.chunks == 3


def code_of(path: Path) -> str:
    """What reading says, "" where it succeeds. Anything but UserError is a failed test."""
    try:
        read(path)
    except UserError as error:
        return error.code
    return ""


def test_cut_off_anywhere(tmp_path: Path) -> None:
    data = write_some(tmp_path / "m.gguf").read_bytes()
    last = len(data) - 20  # the last entry is 12 bytes, and then nothing but filling up to 32
    for length in [*range(0, 400, 7), *range(400, last, 31)]:
        (tmp_path / "cut.gguf").write_bytes(data[:length])
        assert code_of(tmp_path / "cut.gguf"), length
    old = old_format({"blk.0.attn_q.weight": (3, [3.0, 6.0])})
    for length in range(len(old) - 12):
        (tmp_path / "cut.dat").write_bytes(old[:length])
        assert code_of(tmp_path / "cut.dat") == "bad_imatrix", length


def test_bytes_turned_over_do_no_harm(tmp_path: Path) -> None:
    data, draw = write_some(tmp_path / "m.gguf").read_bytes(), random.Random(2)
    said = set()
    for _ in range(150):
        hurt = bytearray(data)
        for _ in range(draw.randrange(1, 4)):
            hurt[draw.randrange(len(hurt))] = draw.randrange(256)
        (tmp_path / "hurt.gguf").write_bytes(bytes(hurt))
        said.add(code_of(tmp_path / "hurt.gguf"))
    assert "bad_imatrix" in said or "damaged_model" in said


def not_numbers(imatrix: Imatrix) -> None:
    imatrix.sums["blk.0.attn_q.weight"][0, 2] = np.nan


def negative(imatrix: Imatrix) -> None:
    imatrix.sums["blk.0.attn_q.weight"][0, 2] = -1


def nothing(imatrix: Imatrix) -> None:
    imatrix.sums.clear()


@pytest.mark.parametrize("hurt", [not_numbers, negative, nothing])
def test_impossible_contents(hurt: Callable[[Imatrix], None], tmp_path: Path) -> None:
    given = some()
    hurt(given)
    write(tmp_path / "m.gguf", given)
    assert code_of(tmp_path / "m.gguf") == "bad_imatrix"


def test_other_files(smollm2: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("Not at all.", encoding="utf-8")
    assert code_of(tmp_path / "text.txt") == "bad_imatrix"
    assert code_of(tmp_path / "nowhere.gguf") == "bad_imatrix"
    assert code_of(smollm2) == "bad_imatrix"
