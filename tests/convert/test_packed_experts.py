"""Experts of four bits: moved into ggml's blocks value by value, and back; a wrong shape is said."""

from __future__ import annotations

from typing import Any

import gguf
import numpy as np
import pytest

from convert.config import Config
from convert.families.gptoss import EverySecond
from convert.mxfp4 import Mxfp4, Repacked
from engine.api.errors import UserError

CONFIG = Config({})
TABLE = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


Numbers = np.ndarray[Any, Any]


def experts() -> tuple[Numbers, Numbers]:
    draw = np.random.default_rng(3)
    blocks = draw.integers(0, 256, (3, 8, 2, 16), np.uint8)
    return blocks, draw.integers(118, 126, (3, 8, 2), np.uint8)


def values(blocks: Numbers, scales: Numbers) -> Numbers:
    """As the format says: two neighbours a byte, the first one low."""
    pairs = np.stack([TABLE[blocks & 15], TABLE[blocks >> 4]], axis=-1).reshape(*blocks.shape[:3], 32)
    scaled = pairs * np.exp2(scales.astype(np.float32) - 127)[..., None]
    return scaled.reshape(*blocks.shape[:2], -1)


def test_every_value_arrives() -> None:
    blocks, scales = experts()
    (made,) = Mxfp4().forward([blocks, scales], CONFIG)
    raw = np.stack([np.asarray(block, np.uint8) for block in made.blocks])
    assert made.shape == (3, 8, 64)
    assert (gguf.dequantize(raw, gguf.GGMLQuantizationType.MXFP4) == values(blocks, scales)).all()


def test_gate_and_up_take_every_second_row_and_come_back() -> None:
    blocks, scales = experts()
    halves = Mxfp4(parts=2).forward([blocks, scales], CONFIG)
    raw = [np.stack([np.asarray(block, np.uint8) for block in half.blocks]) for half in halves]
    up = gguf.dequantize(raw[1], gguf.GGMLQuantizationType.MXFP4)
    assert (up == values(blocks, scales)[:, 1::2]).all()
    back = Mxfp4(parts=2).inverse(raw, CONFIG)
    assert (back[0].array() == blocks).all() and (back[1].array() == scales).all()


def test_an_expert_is_made_when_it_is_asked_for() -> None:
    blocks, scales = experts()
    lazy = Repacked(blocks, scales)
    assert len(lazy) == 3 and len(lazy[1:]) == 2
    assert (lazy[1:][0] == lazy[1]).all() and lazy[0].shape == (8, 34)


@pytest.mark.parametrize(
    ("blocks", "scales"), [((3, 8, 2, 15), (3, 8, 2)), ((3, 8, 2, 16), (3, 8, 1)), ((8, 16), (8,))]
)
def test_a_wrong_shape_is_said(blocks: tuple[int, ...], scales: tuple[int, ...]) -> None:
    with pytest.raises(UserError) as caught:
        Mxfp4().forward([np.zeros(blocks, np.uint8), np.zeros(scales, np.uint8)], CONFIG)
    assert caught.value.code == "odd_shape"


@pytest.mark.parametrize("shape", [(3, 8), (3, 8, 5)])
def test_every_second_comes_back(shape: tuple[int, ...]) -> None:
    whole = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    made = EverySecond().forward([whole], CONFIG)
    assert (made[1].array() == whole[:, 1::2]).all()
    assert (EverySecond().inverse([part.array() for part in made], CONFIG)[0].array() == whole).all()
