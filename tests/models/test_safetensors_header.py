"""The one place where a safetensors header is read: what is there, where, and every lie about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import safetensors_header

GOOD = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
    "empty": {"dtype": "I64", "shape": [0, 7], "data_offsets": [32, 32]},
}


def written(path: Path, header: Any, data: int = 32) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(data))
    return path


def test_rows_and_the_place_of_the_data(tmp_path: Path) -> None:
    path = written(tmp_path / "a.safetensors", GOOD)
    rows, begin = safetensors_header.read(path)
    assert list(rows) == ["a", "b", "empty"]
    assert rows["b"]["data_offsets"] == [24, 32]
    assert begin == path.stat().st_size - 32


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 40]}, "cut off"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}, "not its shape"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}, "not its shape"),
        ({"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]}, "usable shape"),
        ({"dtype": "F32", "shape": [True], "data_offsets": [0, 4]}, "usable shape"),
        ({"dtype": "F32", "shape": [2.0], "data_offsets": [0, 8]}, "usable shape"),
        ({"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}, "usable shape"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [0]}, "usable shape"),
        ({"dtype": "F32", "shape": [2], "data_offsets": [-8, 0]}, "usable shape"),
        ({"dtype": "F3", "shape": [2], "data_offsets": [0, 8]}, "unknown type"),
        ({"dtype": ["F32"], "shape": [2], "data_offsets": [0, 8]}, "unknown type"),
        ({"dtype": "U8", "shape": [2**40, 2**40], "data_offsets": [0, 8]}, "not its shape"),
        ({"shape": [2], "data_offsets": [0, 8]}, "usable shape"),
        ([1], "usable shape"),
        (None, "usable shape"),
    ],
)
def test_a_row_that_lies(tmp_path: Path, row: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        safetensors_header.read(written(tmp_path / "a.safetensors", {"x": row}))


@pytest.mark.parametrize(
    "header", [b"", b"{", b"[1]", b"7", b'{"a": ' * 20_000, b"\xff\xfe{}", b'{"a": 1' + b"0" * 5000]
)
def test_a_header_that_is_none(tmp_path: Path, header: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        safetensors_header.read(written(tmp_path / "a.safetensors", header))


def test_tensors_over_each_other_are_refused(tmp_path: Path) -> None:
    one = {"dtype": "U8", "shape": [20], "data_offsets": [0, 20]}
    with pytest.raises(ValueError, match="over each other"):
        safetensors_header.read(written(tmp_path / "a", {"x": one, "y": one | {"data_offsets": [8, 28]}}))


@pytest.mark.parametrize("first", [b"", b"\2", (1).to_bytes(8, "little"), (93).to_bytes(8, "little"), b"\xff" * 8])
def test_a_length_that_cannot_be(first: bytes) -> None:
    with pytest.raises(ValueError, match="cut off"):
        safetensors_header.data_begin(first, 100)
    assert safetensors_header.data_begin((92).to_bytes(8, "little"), 100) == 100


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_no_bytes_do_harm(tmp_path_factory: pytest.TempPathFactory, raw: bytes, size: int) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(size.to_bytes(8, "little") + raw)
    try:
        rows, begin = safetensors_header.read(path)
    except ValueError:
        return
    assert begin <= path.stat().st_size
    assert rows == {}
