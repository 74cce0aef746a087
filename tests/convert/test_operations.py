"""Every operation, and its inverse: inverse(forward(x)) is x."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convert.config import Config
from convert.operations import (
    SAME,
    Add,
    Array,
    Chain,
    Cut,
    Groups,
    Join,
    NegativeExp,
    Operation,
    Permute,
    Split,
    Squeeze,
    Stack,
    Transpose,
)
from convert.operations_apart import Apart, RootScale, Times
from convert.values import as_bfloat16, as_float32, encode, slabs
from engine.api.errors import UserError

CONFIG = Config({"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32, "pad": 2})
DRAW = np.random.default_rng(3)


def some(*shape: int) -> Array:
    return DRAW.standard_normal(shape).astype(np.float32)


CASES: list[tuple[Operation, list[Array]]] = [
    (SAME, [some(6, 5)]),
    (Permute("heads"), [some(32, 5)]),
    (Permute("kv_heads"), [some(16)]),
    (Split(("kv_heads", "heads")), [some(6, 3)]),
    (Split(parts=2, axis=1), [some(4, 6, 3)]),
    (Join((32, 16, 16)), [some(32, 5), some(16, 5), some(16, 5)]),
    (Groups("kv_heads"), [some(64, 5)]),
    (Groups("kv_heads", permute=True), [some(64, 5)]),
    (Groups("kv_heads", fused=True), [some(64, 5)]),
    (Groups("kv_heads", fused=True, permute=True), [some(64)]),
    (Stack(), [some(3, 4), some(3, 4)]),
    (Transpose(), [some(2, 3, 4)]),
    (Squeeze(1), [some(6, 1, 4)]),
    (Chain((Split(parts=2, axis=1), Transpose())), [some(3, 4, 5)]),
    (Chain((Split(parts=3), Apart((Permute("heads"), Permute("kv_heads"), SAME)))), [some(96, 5)]),
    (RootScale("heads"), [some(6)]),
    (Times(2.0, Stack()), [some(3, 4), some(3, 4)]),
]


def values(made: object) -> Array:
    """A laid tensor's values as the stream would write them."""
    blocks = [slab for block in made.blocks for slab in slabs(block, 7)]  # type: ignore[attr-defined]
    flat = np.concatenate([np.ascontiguousarray(slab).reshape(-1) for slab in blocks])
    changed = made.change(flat) if made.change else flat  # type: ignore[attr-defined]
    return changed.reshape(made.shape)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("operation", "arrays"), CASES, ids=lambda value: type(value).__name__)
def test_the_way_back_gives_the_tensors_again(operation: Operation, arrays: list[Array]) -> None:
    there = [values(made) for made in operation.forward(arrays, CONFIG)]
    back = [values(made) for made in operation.inverse(there, CONFIG)]
    assert [array.shape for array in back] == [array.shape for array in arrays]
    assert all(np.array_equal(one, other) for one, other in zip(back, arrays, strict=True))


@pytest.mark.parametrize(("operation", "arrays"), CASES, ids=lambda value: type(value).__name__)
def test_shapes_are_known_without_values(operation: Operation, arrays: list[Array]) -> None:
    empty = [np.broadcast_to(np.float32(0), array.shape) for array in arrays]
    assert [made.shape for made in operation.forward(empty, CONFIG)] == [
        values(made).shape for made in operation.forward(arrays, CONFIG)
    ]


def test_arithmetic_comes_back_within_rounding() -> None:
    for operation in (Add(1.0), NegativeExp()):
        one = some(4, 5)
        there = values(operation.forward([one], CONFIG)[0])
        assert not np.allclose(there, one)
        assert np.allclose(values(operation.inverse([there], CONFIG)[0]), one, atol=1e-6)


def test_permute_puts_the_halves_of_a_head_beside_each_other() -> None:
    rows = np.arange(16, dtype=np.float32).reshape(16, 1)
    (made,) = Permute(2).forward([rows], CONFIG)
    assert values(made)[:8, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]


def test_what_was_cut_comes_back_as_zeros() -> None:
    table = some(6, 2)
    (made,) = Cut("pad").forward([table], CONFIG)
    (back,) = Cut("pad").inverse([values(made)], CONFIG)
    assert made.shape == (4, 2)
    assert np.array_equal(values(back)[2:], table[2:])
    assert not values(back)[:2].any()


def test_a_shape_that_contradicts_the_config_is_said() -> None:
    for operation, array in (
        (Permute("heads"), some(30, 2)),
        (Groups("kv_heads"), some(60, 2)),
        (Split((3, 4)), some(6)),
    ):
        with pytest.raises(UserError) as caught:
            operation.forward([array], CONFIG)
        assert caught.value.code == "odd_shape"


@given(st.integers(0, 2**32 - 1))
def test_bfloat16_rounds_to_the_nearest(bits: int) -> None:
    import ml_dtypes

    one = np.array([bits], np.uint32).view(np.float32)
    with np.errstate(all="ignore"):
        wanted = one.astype(ml_dtypes.bfloat16).astype(np.float32)
    found = as_float32(as_bfloat16(one), "BF16")
    assert np.array_equal(found, wanted, equal_nan=True)


def test_a_half_that_overflows_is_counted_and_a_nan_too() -> None:
    floats = np.array([[1.0, 70000.0, np.nan, np.inf]], np.float32)
    data, loss = encode(floats, "F32", "F16", None)
    assert (loss.not_finite, loss.too_large) == (2, 1)
    assert np.frombuffer(data, np.float16)[0] == 1.0
    assert encode(floats, "F32", "F32", None)[1].not_finite == 2


def test_every_bfloat16_as_a_half() -> None:
    bits = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16)
    floats = as_float32(bits, "BF16")
    with np.errstate(all="ignore"):
        wanted = floats.astype(np.float16)
    data, loss = encode(bits, "BF16", "F16", None)
    assert np.array_equal(np.frombuffer(data, np.float16), wanted, equal_nan=True)
    assert loss.not_finite == int(np.count_nonzero(~np.isfinite(floats)))
    assert loss.too_large == int(np.count_nonzero(np.isinf(wanted))) - 2
