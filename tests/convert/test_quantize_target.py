"""The best mix under a number of bytes: never larger, never worse than the standard mixes by the same measure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_quantizable
from tiny_quantizable import Tiny

from convert.jobs.quantize import run
from convert.quantize_plan import Source, plan, read_source
from convert.recipe import recipe
from convert.target import Errors, expected, forced, measure, search
from engine.api.errors import UserError
from engine.api.job import Cancelled, Job

USUAL = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")
TINY = Tiny(layers=4, rows=32, kv_heads=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return read_source(tiny_quantizable.write(tmp_path_factory.mktemp("target") / "tiny.gguf", TINY))


@pytest.fixture(scope="module")
def errors(source: Source, tmp_path_factory: pytest.TempPathFactory) -> Errors:
    return measure(source, {}, tmp_path_factory.mktemp("measured") / "measured.jsonl", threads=1)


@pytest.mark.parametrize("usual", USUAL)
def test_it_is_no_worse_than_the_usual_mix_of_the_same_size(usual: str, source: Source, errors: Errors) -> None:
    planned = plan(source, usual)
    room = planned.file_bytes + 64 * len(source.shapes) + 1024
    found = plan(source, search(source, room, errors))
    assert found.file_bytes <= room
    assert expected(errors, found.types) <= expected(errors, planned.types) * 1.01
    assert not found.wanting  # no importances were given


def test_more_room_is_never_worse(source: Source, errors: Errors) -> None:
    least, most = plan(source, "Q2_K").file_bytes + 5000, plan(source, "F16").file_bytes
    rooms = range(least, most, (most - least) // 12)
    lost = [expected(errors, plan(source, search(source, room, errors)).types) for room in rooms]
    assert lost == sorted(lost, reverse=True)
    assert lost[0] > 20 * lost[-1]


def test_too_little_room_is_said_with_the_least(source: Source, errors: Errors) -> None:
    with pytest.raises(UserError) as caught:
        search(source, 10_000, errors)
    assert caught.value.code == "budget_too_small"
    assert float(str(caught.value.values["least"])) >= 0


def test_importances_allow_smaller_types_and_change_the_errors(source: Source, errors: Errors, tmp_path: Path) -> None:
    from dataclasses import replace

    few = replace(source, shapes={name: shape for name, shape in source.shapes.items() if "blk.0.attn" in name})
    known = tiny_quantizable.importance(TINY)
    weighed = measure(few, known, tmp_path / "m.jsonl", threads=1, candidates=("IQ2_XXS", "Q4_K"))
    assert "IQ2_XXS" in weighed["blk.0.attn_q.weight"]
    assert "IQ2_XXS" not in errors["blk.0.attn_q.weight"]
    assert weighed["blk.0.attn_q.weight"]["Q4_K"] != errors["blk.0.attn_q.weight"]["Q4_K"]


def test_overrides_are_kept(source: Source, errors: Errors) -> None:
    asked = recipe("Q4_K_M", [["attn_v", "Q8_0"], ["ffn_up", "Q2_K"]])
    room = plan(source, "Q4_K_M").file_bytes + 8000
    types = plan(source, search(source, room, forced(errors, asked))).types
    assert {type for name, type in types.items() if "attn_v.w" in name} == {"Q8_0"}
    assert {type for name, type in types.items() if "ffn_up" in name} == {"Q2_K"}


def test_an_interrupted_measuring_goes_on(source: Source, errors: Errors, tmp_path: Path) -> None:
    file, begun = tmp_path / "measured.jsonl", []

    def stop(done: int, total: int, name: str) -> None:
        begun.append(name)
        if done == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        measure(source, {}, file, stop, threads=1)
    with file.open("a") as half:
        half.write('["blk.1.attn_q.weight", {"Q4_K": 0.0')  # cut off in the middle of a line
    before = file.read_text().splitlines()[:6]
    again = measure(source, {}, file, threads=1)
    assert file.read_text().splitlines()[:6] == before
    assert again == errors
    assert all(json.loads(line) for line in file.read_text().splitlines())


def test_what_was_measured_of_another_model_does_not_count(source: Source, errors: Errors, tmp_path: Path) -> None:
    for text in ('"other"\n["blk.0.attn_q.weight", {"Q4_K": 9}]\n', "\x00\xff"):
        file = tmp_path / "measured.jsonl"
        file.write_text(text, encoding="latin-1")
        assert measure(source, {}, file, threads=1) == errors


def test_the_job_writes_it(source: Source, tmp_path: Path) -> None:
    budget = plan(source, "Q4_K_M").file_bytes + 6000
    params = {
        "source": str(source.path),
        "out": str(tmp_path / "out.gguf"),
        "budget_bytes": budget,
        "threads": 1,
        "report": False,
    }
    done = run(params, Job(tmp_path / "out.partial", params))
    assert 0.9 * budget < done["bytes"] <= budget
    assert len({line["to"] for line in done["tensors"]}) > 2
