"""Rows quantized from memory: the bytes that llama_model_quantize writes, and no way to end the process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import quantize_all
import tiny_quantizable
from gguf import GGUFReader
from tiny_quantizable import Tiny

from convert.recipe import recipe, recipes
from engine.api.errors import UserError
from engine.llama.ggml_types import NEEDS_IMPORTANCE, WRITABLE, dequantize_rows, row_bytes
from engine.llama.quantize import quantize_rows
from models.gguf_types import TENSOR_TYPES

# ggml makes its tables for these at the first use, for 2 to 9 s; test_recipes.py has files of them written.
SLOW = {"IQ1_S", "IQ1_M", "IQ2_S", "IQ2_XS"}
# Q1_0 and Q2_0 are not known to the reader of the gguf package.
TYPES = sorted(WRITABLE - SLOW - {"NVFP4", "F32", "Q1_0", "Q2_0"})
QUICK = [type for type in TYPES if type not in NEEDS_IMPORTANCE]
COPIES = ("F16", "BF16")
TINY = Tiny(layers=1, rows=2, experts=2)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], tuple[Path, Path]]:
    """By dtype of the source and type: a tiny source, and a file in which every matrix has that type."""
    folder = tmp_path_factory.mktemp("rows")
    known = tiny_quantizable.importance(TINY)
    numbers = folder / "numbers.f32"
    numbers.write_bytes(b"".join(values.tobytes() for values in known.values()))
    given = {"importance_file": str(numbers), "importance": [[name, values.size] for name, values in known.items()]}
    found, requests = {}, []
    for dtype, types in (("F32", QUICK), ("F16", TYPES), ("BF16", QUICK)):
        source = tiny_quantizable.write(folder / f"{dtype}.gguf", replace(TINY, dtype=dtype))
        for type in types:
            found[dtype, type] = source, folder / f"{dtype}-{type}.gguf"
            more = {"overrides": [] if type in COPIES else [["weight", type]], **(given if dtype == "F16" else {})}
            number = recipe(type if type in COPIES else "Q8_0").file_type
            requests.append(quantize_all.request(source, number, found[dtype, type][1], dry_run=False, **more))
    answers = quantize_all.ask(requests, folder)
    assert [answer["errors"] for answer in answers if answer["code"]] == []
    return found


@pytest.mark.parametrize("dtype", ["F32", "F16", "BF16"])
def test_rows_are_the_bytes_that_llama_cpp_writes(
    dtype: str, written: dict[tuple[str, str], tuple[Path, Path]]
) -> None:
    """From F16 with importances, from the others without."""
    known = tiny_quantizable.importance(TINY)
    compared = set()
    for (source_type, type), (source, file) in written.items():
        if source_type != dtype or type == dtype:
            continue
        originals = {tensor.name: tensor for tensor in GGUFReader(source).tensors}
        for tensor in GGUFReader(file).tensors:
            if tensor.tensor_type.name != type:
                continue
            wide, weights = int(tensor.shape[0]), known[tensor.name].reshape(-1, int(tensor.shape[0]))
            floats = dequantize_rows(originals[tensor.name].data.tobytes(), dtype, wide)
            ours = b"".join(
                quantize_rows(matrix, type, weights[number] if dtype == "F16" else None)
                for number, matrix in enumerate(floats.reshape(-1, int(tensor.shape[1]), wide))
            )
            assert ours == tensor.data.tobytes(), (type, tensor.name)
            compared.add((type, tensor.name))
    assert {type for type, _ in compared} == set(TYPES if dtype == "F16" else QUICK) - {dtype}
    assert len(compared) > 7 * len(QUICK)


def test_slabs_and_threads_change_nothing() -> None:
    rows = np.random.default_rng(3).standard_normal((64, 512)).astype(np.float32)
    for type in ("Q4_K", "Q8_0", "IQ4_XS"):
        whole = quantize_rows(rows, type)
        with ThreadPoolExecutor(3) as pool:
            parts = list(
                pool.map(lambda start, type=type: quantize_rows(rows[start : start + 5], type), range(0, 64, 5))
            )
        assert b"".join(parts) == whole
        assert len(whole) == 64 * row_bytes(512, type)


@pytest.mark.parametrize("type", sorted(WRITABLE - SLOW))
def test_what_comes_back_is_near(type: str) -> None:
    rows = np.random.default_rng(5).standard_normal((8, 256)).astype(np.float32)
    importance = np.ones(256, np.float32)
    back = dequantize_rows(quantize_rows(rows, type, importance), type, 256)
    lost = float(np.square(rows - back).sum() / np.square(rows).sum())
    assert lost < (0.9 if BITS[type] < 2.3 else 0.12)
    assert BITS[type] < 16 or lost < 1e-4


BITS = {name: 8 * size / block for name, block, size in TENSOR_TYPES.values()}


@pytest.mark.parametrize("type", ["IQ1_S", "IQ2_XS", "IQ2_XXS"])
def test_types_that_would_end_the_process_are_refused_without_importances(type: str) -> None:
    with pytest.raises(UserError) as caught:
        quantize_rows(np.ones((2, 256), np.float32), type)
    assert caught.value.code == "needs_importance"


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_said(bad: float) -> None:
    rows = np.ones((2, 256), np.float32)
    rows[1, 7] = bad
    for type in ("Q4_K", "IQ4_XS", "F16", "Q8_0"):
        with pytest.raises(UserError) as caught:
            quantize_rows(rows, type)
        assert caught.value.code == "not_finite_weights"
    with pytest.raises(UserError):
        quantize_rows(np.ones((2, 256), np.float32), "IQ4_XS", rows[1])


def test_impossible_shapes_are_refused_before_any_pointer_is_used() -> None:
    for array, type in ((np.ones((2, 100)), "Q4_K"), (np.ones(256), "Q4_K"), (np.ones((2, 256)), "Q8_K")):
        with pytest.raises(ValueError, match="no rows"):
            quantize_rows(array.astype(np.float32), type)
    with pytest.raises(ValueError, match="importances"):
        quantize_rows(np.ones((2, 256), np.float32), "Q4_K", np.ones(128, np.float32))
    with pytest.raises(ValueError, match="no rows"):
        dequantize_rows(b"12345", "Q4_K", 256)
    assert quantize_rows(np.ones((0, 256), np.float32), "Q4_K") == b""


def test_every_recipe_s_types_can_be_made_from_rows() -> None:
    assert {found.type for found in recipes().values()} <= WRITABLE
