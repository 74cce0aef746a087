"""Which blocks may go, as llama.cpp's networks want it, and what the header says afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from convert.family import Entries
from convert.gguf_source import GGUF
from convert.prune import Blocks, blocks_of, checked, chosen, lists_of, numbers_after
from engine.api.errors import UserError

SCORES = {0: 0.9, 1: 0.3, 2: 0.1, 3: 0.2, 4: 0.05, 5: 0.6, 6: 0.4, 7: 0.8, 8: 0.1, 9: 0.9}


def model(arch: str, count: int = 10, **values: Any) -> GGUF:
    kinds = {int: "u32", list: "[i32]", str: "str"}
    entries: Entries = {"general.architecture": ("str", arch), f"{arch}.block_count": ("u32", count)}
    entries |= {f"{arch}.{name.replace('__', '.')}": (kinds[type(value)], value) for name, value in values.items()}
    return GGUF(Path("m.gguf"), entries, {}, {}, [])


def refused(code: str, call: Any) -> str:
    with pytest.raises(UserError) as caught:
        call()
    assert caught.value.code == code
    return str(caught.value.values["reason"])


def test_the_least_of_equal_blocks_go_but_never_first_and_last() -> None:
    blocks = blocks_of(model("llama"))
    assert blocks == Blocks("llama", 10, 10, 1)
    assert chosen(blocks, SCORES, 3) == [2, 4, 8]
    everything = dict.fromkeys(SCORES, 1.0) | {0: 0.0, 9: 0.0}
    assert chosen(blocks, everything, 8) == list(range(1, 9))


def test_blocks_that_guess_ahead_stay() -> None:
    blocks = blocks_of(model("glm4moe", nextn_predict_layers=1))
    assert (blocks.all, blocks.trunk) == (10, 9)
    refused("bad_layers", lambda: checked(blocks, [8]))
    assert checked(blocks, [7]) == [7]
    assert 8 not in chosen(blocks, SCORES, 7)


@pytest.mark.parametrize(
    ("arch", "values", "period"),
    [
        ("gemma2", {"attention__sliding_window": 64}, 2),
        ("gemma3", {"attention__sliding_window": 64}, 6),
        ("gemma3", {}, 1),
        ("olmo2", {}, 1),
        ("olmo2", {"attention__sliding_window": 64}, 4),
        ("olmo2", {"attention__sliding_window": 64, "attention__sliding_window_pattern": [1, 1, 1, 0] * 3}, 1),
        ("smollm3", {"attention__sliding_window_pattern": [1] * 12}, 4),
        ("llama4", {"interleave_moe_layer_step": 3}, 12),
        ("qwen3next", {"full_attention_interval": 2}, 4),
        ("ernie4_5-moe", {"interleave_moe_layer_step": 2}, 2),
    ],
)
def test_patterns_that_go_by_the_blocks_number(arch: str, values: dict[str, Any], period: int) -> None:
    assert blocks_of(model(arch, 12, **values)).period == period


def test_of_a_pattern_whole_groups_go_and_every_block_keeps_its_place() -> None:
    blocks = Blocks("gemma2", 10, 10, 2)
    found = chosen(blocks, SCORES, 4)
    assert found == [1, 2, 3, 4]
    stay = [block for block in range(10) if block not in found]
    assert all(old % 2 == new % 2 for new, old in enumerate(stay))
    assert "groups of 2" in refused("bad_layers", lambda: chosen(blocks, SCORES, 3))
    assert checked(blocks, [5, 4]) == [4, 5]
    assert "pattern of 2" in refused("bad_layers", lambda: checked(blocks, [4, 6, 7]))
    assert "only 4" in refused("bad_layers", lambda: chosen(Blocks("smollm3", 10, 10, 4), SCORES | {1: 0.9, 8: 0.9}, 8))


@pytest.mark.parametrize("layers", [[], [0], [9], [10], [-1], [True], ["3"], [2.0], [3, 99]])
def test_blocks_that_cannot_be_named(layers: list[Any]) -> None:
    refused("bad_layers", lambda: checked(blocks_of(model("llama")), layers))


@pytest.mark.parametrize("count", [0, -1, 9, 10**9])
def test_counts_that_cannot_be(count: int) -> None:
    assert refused("bad_layers", lambda: chosen(blocks_of(model("llama")), SCORES, count))


@pytest.mark.parametrize(
    ("arch", "count", "values"),
    [
        ("t5", 10, {}),
        ("gemma3n", 10, {}),
        ("baichuan", 32, {}),
        ("jamba", 10, {}),
        ("", 10, {}),
        ("llama", 2, {}),
        ("llama", 10, {"attention__shared_kv_layers": 4}),
    ],
)
def test_networks_whose_blocks_depend_on_each_other(arch: str, count: int, values: dict[str, Any]) -> None:
    assert refused("no_prune", lambda: blocks_of(model(arch, count, **values)))


def test_what_llama_cpp_would_take_for_another_model() -> None:
    blocks = blocks_of(model("deepseek2", 28))
    assert "apart" in refused("bad_layers", lambda: checked(blocks, [5]))
    assert checked(blocks_of(model("deepseek2", 20)), [5]) == [5]


def test_the_header_after_the_cut() -> None:
    deep = model("deepseek2", 10, leading_dense_block_count=3, rope__dimension_sections=[0] * 10)
    assert numbers_after(deep, [1, 2, 7]) == {"deepseek2.leading_dense_block_count": 1}
    assert numbers_after(model("llama"), [1]) == {}
    listed = model("granite", 10, attention__head_count_kv=[4] * 10, other=[1, 2])
    assert lists_of(listed, blocks_of(listed)) == ["granite.attention.head_count_kv"]
    assert lists_of(deep, blocks_of(deep)) == []
