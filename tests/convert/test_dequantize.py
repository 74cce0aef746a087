"""Packed checkpoints: packed here bit by bit as the formats' own papers and code say, unpacked by the house."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from convert.checkpoint import Checkpoint, Source
from convert.config import Config
from convert.dequantize import unpacked
from engine.api.errors import UserError

Arrays = dict[str, np.ndarray[Any, Any]]
DRAW = np.random.default_rng(11)
OUT, IN, GROUP = 32, 64, 16
STEM = "model.layers.0.mlp.up_proj"
KINDS = {"float32": "F32", "float16": "F16", "int32": "I32", "int8": "I8", "uint8": "U8", "int64": "I64"}


def checkpoint(arrays: Arrays, settings: dict[str, Any]) -> Checkpoint:
    """A checkpoint that holds these tensors; FP8 under ml_dtypes' names."""
    sources = {}
    for name, array in arrays.items():
        kind = {"float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2"}.get(str(array.dtype)) or KINDS[str(array.dtype)]
        bits = array.view(np.uint8) if kind.startswith("F8") else array
        sources[name] = Source(name, array.shape, kind, lambda bits=bits: bits)  # type: ignore[misc]
    return Checkpoint(Path("x"), Config({"quantization_config": settings}), sources)


def values(arrays: Arrays, settings: dict[str, Any], name: str = f"{STEM}.weight") -> np.ndarray[Any, Any]:
    plain, notes = unpacked(checkpoint(arrays, settings))
    assert set(plain.tensors) == {name}
    assert len(notes) == 1
    found = plain.tensors[name].array()
    assert found.shape == plain.tensors[name].shape
    assert found.dtype == np.float32
    return found


def words(numbers: np.ndarray[Any, Any], bits: int) -> np.ndarray[Any, Any]:
    """Numbers along the first axis as one long row of bits, cut in 32-bit words: slowly, number by number."""
    columns = []
    for column in numbers.reshape(numbers.shape[0], -1).T:
        row = sum(int(value) << (bits * place) for place, value in enumerate(column))
        count = len(column) * bits // 32
        columns.append([(row >> (32 * word)) & 0xFFFFFFFF for word in range(count)])
    return np.array(columns, np.uint32).T.view(np.int32).reshape(-1, *numbers.shape[1:])


def draws(bits: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Weights (inputs, outputs), zeros and scales (groups, outputs)."""
    codes = DRAW.integers(0, 2**bits, (IN, OUT))
    zeros = DRAW.integers(1, 2**bits, (IN // GROUP, OUT))
    return codes, zeros, DRAW.uniform(0.01, 0.1, (IN // GROUP, OUT)).astype(np.float16)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("form", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_gptq(bits: int, form: str, shuffled: bool) -> None:
    codes, zeros, scales = draws(bits)
    order = np.repeat(np.arange(IN // GROUP), GROUP).astype(np.int32)
    if shuffled:
        DRAW.shuffle(order)
    wanted = ((codes - zeros[order]) * scales[order].astype(np.float32)).T
    stored = zeros - 1 if form == "gptq" else zeros
    arrays = {f"{STEM}.qweight": words(codes, bits), f"{STEM}.qzeros": words(stored.T, bits).T.copy()}
    arrays |= {f"{STEM}.scales": scales, f"{STEM}.g_idx": order}
    found = values(arrays, {"quant_method": "gptq", "bits": bits, "checkpoint_format": form})
    assert np.allclose(found, wanted, atol=1e-6)


def test_awq() -> None:
    codes, zeros, scales = draws(4)
    places = [0, 2, 4, 6, 1, 3, 5, 7]  # which output the n-th nibble of a word holds

    def packed(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        mixed = numbers.reshape(numbers.shape[0], -1, 8)[:, :, places].reshape(numbers.shape)
        return words(mixed.T, 4).T.copy()

    arrays = {f"{STEM}.qweight": packed(codes), f"{STEM}.qzeros": packed(zeros), f"{STEM}.scales": scales}
    wanted = ((codes - np.repeat(zeros, GROUP, 0)) * np.repeat(scales, GROUP, 0).astype(np.float32)).T
    assert np.allclose(values(arrays, {"quant_method": "awq", "bits": 4}), wanted, atol=1e-6)


@pytest.mark.parametrize("nested", [False, True])
def test_bitsandbytes_of_four_bits(nested: bool) -> None:
    levels, codes = np.linspace(-1, 1, 16, dtype=np.float32), DRAW.integers(0, 16, OUT * IN)
    largest = DRAW.uniform(0.5, 2, OUT * IN // 64).astype(np.float32)
    name = f"{STEM}.weight"
    said: dict[str, Any] = {"quant_type": "nf4", "blocksize": 64, "shape": [OUT, IN], "dtype": "float16"}
    arrays: Arrays = {name: (codes[::2] << 4 | codes[1::2]).astype(np.uint8)[:, None], f"{name}.quant_map": levels}
    if nested:
        inner = np.linspace(0, 1, 256, dtype=np.float32)
        each = DRAW.integers(0, 256, largest.size).astype(np.uint8)
        outer = np.array([1.5, 2.5], np.float32)
        largest = inner[each] * np.repeat(outer, 16) + 0.25
        said |= {"nested_blocksize": 16, "nested_offset": 0.25}
        arrays |= {f"{name}.absmax": each, f"{name}.nested_absmax": outer, f"{name}.nested_quant_map": inner}
    else:
        arrays[f"{name}.absmax"] = largest
    arrays[f"{name}.quant_state.bitsandbytes__nf4"] = np.frombuffer(json.dumps(said).encode(), np.uint8)
    wanted = (levels[codes] * np.repeat(largest, 64)).reshape(OUT, IN)
    assert np.allclose(values(arrays, {"quant_method": "bitsandbytes"}), wanted, atol=1e-6)


def test_bitsandbytes_of_eight_bits() -> None:
    codes = DRAW.integers(-127, 128, (OUT, IN)).astype(np.int8)
    largest = DRAW.uniform(0.5, 2, OUT).astype(np.float32)
    arrays: Arrays = {f"{STEM}.weight": codes, f"{STEM}.SCB": largest, f"{STEM}.weight_format": np.zeros((), np.uint8)}
    found = values(arrays, {"quant_method": "bitsandbytes", "load_in_8bit": True})
    assert np.allclose(found, codes * largest[:, None] / 127, atol=1e-6)


@pytest.mark.parametrize("kind", [ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2])
def test_fp8_in_blocks_that_do_not_fill_the_matrix(kind: Any) -> None:
    weights, scale = DRAW.standard_normal((30, 50)).astype(kind), DRAW.uniform(0.5, 2, (2, 4)).astype(np.float32)
    arrays = {f"{STEM}.weight": weights, f"{STEM}.weight_scale_inv": scale}
    wanted = weights.astype(np.float32) * np.repeat(np.repeat(scale, 16, 0), 16, 1)[:30, :50]
    assert np.array_equal(values(arrays, {"quant_method": "fp8", "weight_block_size": [16, 16]}), wanted)


def test_every_fp8_value() -> None:
    from convert.dequantize._scaled import floats_of

    codes = np.arange(256, dtype=np.uint8)
    for kind, name in ((ml_dtypes.float8_e4m3fn, "F8_E4M3"), (ml_dtypes.float8_e5m2, "F8_E5M2")):
        assert np.array_equal(floats_of(codes, name), codes.view(kind).astype(np.float32), equal_nan=True)


def compressed(weights: dict[str, Any]) -> dict[str, Any]:
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    return {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("middle", [False, True])
def test_compressed_tensors_in_words(bits: int, middle: bool) -> None:
    codes, zeros, scales = draws(bits)
    name = f"{STEM}.weight"
    arrays = {f"{name}_packed": words(codes, bits).T.copy(), f"{name}_scale": scales.T.copy()}
    arrays[f"{name}_shape"] = np.array([OUT, IN], np.int64)
    if middle:
        arrays[f"{name}_zero_point"] = words(zeros.T, bits)
    else:
        zeros = np.full_like(zeros, 1 << (bits - 1))
    wanted = ((codes - np.repeat(zeros, GROUP, 0)) * np.repeat(scales, GROUP, 0).astype(np.float32)).T
    assert np.allclose(values(arrays, compressed({"num_bits": bits, "type": "int"})), wanted, atol=1e-5)


def test_compressed_tensors_by_rows() -> None:
    codes = DRAW.integers(-127, 128, (OUT, IN)).astype(np.int8)
    scale = DRAW.uniform(0.5, 2, (OUT, 1)).astype(np.float32)
    arrays: Arrays = {f"{STEM}.weight": codes, f"{STEM}.weight_scale": scale}
    settings = compressed({"num_bits": 8, "type": "int", "strategy": "channel"})
    assert np.allclose(values(arrays, settings), codes * scale)


def cut(name: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        arrays[name] = arrays[name][:-1]

    return change


def lost(name: str) -> Callable[[Arrays], None]:
    def change(arrays: Arrays) -> None:
        del arrays[name]

    return change


@pytest.mark.parametrize("change", [cut(f"{STEM}.scales"), cut(f"{STEM}.g_idx"), lost(f"{STEM}.qzeros")])
def test_packed_tensors_that_contradict_each_other(change: Callable[[Arrays], None]) -> None:
    codes, zeros, scales = draws(4)
    arrays: Arrays = {f"{STEM}.qweight": words(codes, 4), f"{STEM}.qzeros": words(zeros.T, 4).T.copy()}
    arrays |= {f"{STEM}.scales": scales, f"{STEM}.g_idx": np.zeros(IN, np.int32)}
    change(arrays)
    with pytest.raises(UserError) as caught:
        unpacked(checkpoint(arrays, {"quant_method": "gptq", "bits": 4}))
    assert caught.value.code == "odd_packing"


@pytest.mark.parametrize("settings", [{"quant_method": "aqlm"}, {"quant_method": "gptq", "bits": 5}, {}])
def test_a_packing_nobody_knows(settings: dict[str, Any]) -> None:
    arrays: Arrays = {f"{STEM}.qweight": np.zeros((8, 8), np.int32)}
    with pytest.raises(UserError) as caught:
        unpacked(checkpoint(arrays, settings))
    assert caught.value.code == "packed_otherwise"
