"""Every recipe: legal, explained, honest about size and importances; and overrides from anywhere."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest
import quantize_all
import tiny_quantizable
from tiny_quantizable import Tiny

from convert.quantize_plan import plan, read_source
from convert.recipe import LAYERS, PARTS, WANTS, recipe, recipes
from engine.api.errors import UserError
from engine.llama.ggml_types import PLAIN, WRITABLE
from models.gguf_reader import read_raw
from models.gguf_types import FILE_TYPES

ALL = tuple(recipes())
TINY = Tiny(layers=2, rows=4, kv_heads=1)


@pytest.mark.parametrize("name", ALL)
def test_a_recipe_is_legal_and_explained(name: str) -> None:
    found = recipe(name)
    types = {found.type, *(rule.type for rule in found.rules), *(item.type for item in found.overrides)}
    assert types | ({found.head} if found.head else set()) <= WRITABLE
    assert found.plain or found.head
    assert found.file_type in FILE_TYPES
    assert found.imatrix in WANTS
    assert all(rule.parts <= PARTS and rule.parts and rule.layers in LAYERS for rule in found.rules)
    assert all(len(found.words[language]) > 5 for language in ("en", "zh"))
    assert set(found.quality) <= {"bits", "kld", "kld_imatrix", "ppl", "ppl_imatrix", "top1"}
    assert re.search(r"[\u4e00-\u9fff]", found.words["zh"])


def test_the_list_holds_all_of_llama_cpps_and_some_of_ours() -> None:
    numbers = {found.file_type for found in recipes().values()}
    assert set(FILE_TYPES) - numbers == {39}  # NVFP4: llama.cpp makes no such mix
    assert len([found for found in recipes().values() if found.base]) >= 2
    orders = [found.order for found in recipes().values()]
    assert orders == sorted(set(orders))


def test_smaller_recipes_are_said_to_be_worse() -> None:
    older = ("Q4_0", "Q4_1")  # the worst of their size
    known = [found.quality for found in recipes().values() if "bits" in found.quality and found.id not in older]
    last = 0.0
    for quality in sorted(known, key=lambda quality: -quality["bits"]):
        loss = quality.get("kld_imatrix", quality.get("kld"))
        assert loss is not None
        assert loss >= last * 0.6
        last = loss


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path]]:
    """For each recipe a tiny source and what llama.cpp made of it, importances given where they are required."""
    folder = tmp_path_factory.mktemp("recipes")
    tiny = {name: TINY if name != "MXFP4" else Tiny(layers=2, rows=4, experts=4) for name in ALL}
    requests, made = [], {}
    for name, size in tiny.items():
        source = tiny_quantizable.write(folder / f"{name}.source.gguf", size)
        known = tiny_quantizable.importance(size) if recipe(name).imatrix == "required" else {}
        numbers = folder / f"{name}.f32"
        numbers.write_bytes(b"".join(values.tobytes() for values in known.values()))
        made[name] = source, folder / f"{name}.gguf"
        requests.append(
            quantize_all.request(
                source,
                recipe(name).file_type,
                made[name][1],
                dry_run=False,
                overrides=[[item.pattern, item.type] for item in recipe(name).overrides],
                importance_file=str(numbers),
                importance=[[tensor, values.size] for tensor, values in known.items()],
            )
        )
    answers = quantize_all.ask(requests, folder)
    assert [answer["errors"] for answer in answers if answer["code"]] == []
    return made


@pytest.mark.parametrize("name", ALL)
def test_the_preview_is_what_gets_written(name: str, written: dict[str, tuple[Path, Path]]) -> None:
    source, made = written[name]
    planned = plan(read_source(source), name, imatrix=recipe(name).imatrix == "required")
    raw = read_raw(made)
    assert {tensor.name: tensor.type for tensor in raw.inventory} == planned.types
    assert raw.tensor_bytes == planned.tensor_bytes
    assert abs(planned.file_bytes - made.stat().st_size) <= max(0.02 * made.stat().st_size, 1024)
    assert bool(planned.wanting) == (recipe(name).imatrix == "required")


def test_the_size_of_a_real_file_is_known_within_two_percent(smollm2: Path) -> None:
    planned = plan(read_source(smollm2), "Q4_1")
    assert abs(planned.file_bytes - smollm2.stat().st_size) < 0.02 * smollm2.stat().st_size


def test_a_type_in_any_case_finds_its_recipe() -> None:
    assert recipe("q4_k_m").id == recipe(" Q4_K ").id == "Q4_K_M"
    assert recipe("mxfp4_moe").id == "MXFP4"
    assert recipe("q4_k_m-attention").base == "Q4_K_M"
    with pytest.raises(UserError) as caught:
        recipe("Q9_Z")
    assert caught.value.code == "unknown_recipe"
    assert "Q4_K_M" in str(caught.value.values["known"])


PATTERNS = [
    "(a+)+$",
    "(a|aa)*b",
    "(a|a)(a|a)(a|a)(a|a)(a|a)(a|a)",
    ".*.*.*.*.*x",
    "a*" * 30,
    "(?=b)a",
    r"(a)\1",
    "(((",
    "[z-a]",
    "",
    "b" * 500,
    "\n",
    "blk.\0",
    "{3}",
]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_that_could_take_forever_or_means_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe("Q4_K_M", [[pattern, "Q8_0"]])
    assert caught.value.code == "bad_override"
    json.dumps(caught.value.to_json())


def test_the_worst_pattern_that_is_taken_ends_soon() -> None:
    (override,) = recipe("Q8_0", [[".*a.*.*b", "Q4_K"]]).overrides
    before = time.process_time()
    assert not override.matches("a" * 63)
    assert time.process_time() - before < 5


@pytest.mark.parametrize("type", ["F64", "Q8_K", "I32", "", "Q4_K_M", "Q4_K; rm"])
def test_an_override_needs_a_type_that_weights_can_have(type: str) -> None:
    with pytest.raises(UserError) as caught:
        recipe("Q4_K_M", [["attn_v", type]])
    assert caught.value.code == "bad_override"


def test_overrides_of_a_plain_copy_and_of_no_shape_are_refused() -> None:
    for overrides in ([["attn_v", "Q8_0"]], [["attn_v"]], ["attn_v=Q8_0"]):
        with pytest.raises(UserError) as caught:
            recipe("F16" if len(overrides[0]) == 2 else "Q8_0", overrides)
        assert caught.value.code == "bad_override"
    assert set(PLAIN) < WRITABLE
