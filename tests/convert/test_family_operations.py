"""What single families do to their tensors: the values in their new places, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convert.config import Config
from convert.families.deepseek2 import Decompression
from convert.families.qwen3_reranker import NO, YES, Answers, BesideNothing
from convert.linear_attention import Heads, ValueColumns, ValueRows
from convert.operations import Operation
from engine.api.errors import UserError

SIZES = Config(
    {
        "num_attention_heads": 3,
        "qk_nope_head_dim": 2,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 6,
        "linear_key_head_dim": 4,
        "linear_value_head_dim": 5,
        YES: 8,
        NO: 3,
    }
)
CASES: list[tuple[Operation, tuple[int, ...]]] = [
    (Decompression(), (3 * (2 + 5), 4)),
    (Heads(), (2 * (4 + 4 + 15 + 15), 7)),
    (ValueRows(), (30, 7)),
    (ValueRows(behind=True), (16 + 30, 7)),
    (ValueRows(1), (6,)),
    (ValueColumns(), (7, 30)),
    (Answers(keep=True), (9, 4)),
    (BesideNothing(), (1, 4)),
    (BesideNothing(), (3, 4)),
]


def made(operation: Operation, *arrays: Any) -> list[Any]:
    """The results as arrays."""
    return [each.array() for each in operation.forward(arrays, SIZES)]


def counted(*shape: int) -> Any:
    """Every value another one."""
    return np.arange(1, np.prod(shape) + 1, dtype=np.float32).reshape(shape)


@pytest.mark.parametrize(("operation", "shape"), CASES, ids=lambda each: str(each).replace(" ", ""))
def test_the_way_back_gives_the_same(operation: Operation, shape: tuple[int, ...]) -> None:
    given = counted(*shape)
    (back,) = operation.inverse(made(operation, given), SIZES)
    assert np.array_equal(back.array(), given)


@pytest.mark.parametrize(("operation", "shape"), CASES, ids=lambda each: str(each).replace(" ", ""))
def test_shapes_are_known_without_values(operation: Operation, shape: tuple[int, ...]) -> None:
    empty = np.broadcast_to(np.zeros((), np.float32), shape)
    shapes = [each.shape for each in operation.forward([empty], SIZES)]
    assert shapes == [each.shape for each in made(operation, counted(*shape))]


def test_decompression_turns_the_keys_part_round() -> None:
    given = counted(3 * 7, 4)
    keys, values = made(Decompression(), given)
    assert keys.shape == (3, 4, 2)
    assert values.shape == (3, 5, 4)
    assert np.array_equal(keys[1], given[7:9].T)
    assert np.array_equal(values[2], given[16:21])


def test_values_of_one_key_come_apart() -> None:
    """Two keys with three values each: first values of both keys, then the second ones, then the third."""
    (rows,) = made(ValueRows(1), np.array([10, 11, 12, 20, 21, 22], np.float32))
    assert rows.tolist() == [10, 20, 11, 21, 12, 22]
    (columns,) = made(ValueColumns(), np.array([[10, 11, 12, 20, 21, 22]], np.float32))
    assert columns.tolist() == [[10, 20, 11, 21, 12, 22]]


def test_fused_heads_become_queries_keys_values_and_gates() -> None:
    given = counted(2 * 38, 1)
    joined, gates = (each[:, 0].tolist() for each in made(Heads(), given))
    first, second = given[:38, 0].tolist(), given[38:, 0].tolist()
    assert joined[:8] == first[:4] + second[:4]
    assert joined[8:16] == first[4:8] + second[4:8]
    assert joined[16:] == first[8:23] + second[8:23]
    assert gates == first[23:] + second[23:]


def test_answers_are_the_rows_of_their_words() -> None:
    table = counted(9, 4)
    kept, two = made(Answers(keep=True), table)
    assert np.array_equal(kept, table)
    assert np.array_equal(two, table[[7, 2]])
    assert [each.tolist() for each in made(Answers(keep=False), table)] == [table[[7, 2]].tolist()]


def test_a_single_score_gets_a_row_of_zeros() -> None:
    assert made(BesideNothing(), counted(1, 3))[0].tolist() == [[1, 2, 3], [0, 0, 0]]


@pytest.mark.parametrize(
    ("operation", "shape"),
    [
        (Decompression(), (20, 4)),
        (Heads(), (75, 7)),
        (Heads(), (74, 7)),
        (ValueRows(), (29, 7)),
        (ValueRows(1), (0,)),
        (ValueRows(1), ()),
        (ValueColumns(), (7, 29)),
        (ValueColumns(), (30,)),
        (Answers(keep=True), (7, 4)),
    ],
    ids=str,
)
def test_a_shape_that_contradicts_the_config_is_said(operation: Operation, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError) as caught:
        operation.forward([np.zeros(shape, np.float32)], SIZES)
    assert caught.value.code == "odd_shape"
