"""Our statement of llama.cpp's mixes against llama.cpp: its own records of large models, and dry runs of tiny ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import quantize_all
import tiny_quantizable
import upstream_converter
from tiny_quantizable import Tiny

from convert.mix import Facts, Shape, types_for, wanting_importance
from convert.quantize_plan import plan, preview, read_source
from convert.recipe import recipe, recipes
from engine.api.errors import UserError

# What the records do not say: the architectures' names.
ARCHITECTURES = {
    "deepseek-v3.1": "deepseek2",
    "gemma-3-4b-it": "gemma3",
    "glm-4.6v": "glm4moe",
    "gpt-oss-120b": "gpt-oss",
    "meta-llama-3.1-70b-instruct": "llama",
    "nvidia-nemotron-3-nano-30b-a3b": "nemotron_h_moe",
    "qwen3-0.6b": "qwen3",
    "qwen3-14b": "qwen3",
    "qwen3-coder-next": "qwen3next",
    "qwen3.5-397b-a17b": "qwen3.5",
    "qwen3.6-27b": "qwen3.5",
    "step-3.5-flash": "step35",
}
Sections = dict[str, tuple[str, dict[str, str]]]


def record(name: str) -> tuple[Facts, Sections]:
    """Facts, and for each mix the type of most tensors and those of the others."""
    text = (upstream_converter.snapshots() / f"{name}.schema").read_text(encoding="utf-8")
    counts = {key: int(value) for key, value in re.findall(r"(n_\w+)=(\d+)", text.split("\n[")[0])}
    facts = Facts(
        ARCHITECTURES[name], counts["n_layer"], counts["n_head"], counts["n_head_kv"], counts.get("n_expert", 0)
    )
    sections: Sections = {}
    for block in text.split("\n[")[1:]:
        title, *lines = block.strip().splitlines()
        mix, _, usual = title.partition("] ")
        sections[mix] = (usual.upper(), {line.split()[0]: line.split()[1].upper() for line in lines if line.strip()})
    return facts, sections


def shapes_of(sections: Sections) -> dict[str, Shape]:
    """All tensors that any mix mentions, with shapes that explain what became of them in Q6_K and MXFP4."""
    names = {name for _, others in sections.values() for name in others}
    odd, flat = sections["Q6_K"][1], sections["MXFP4_MOE"][1]
    columns = {"Q8_0": 4096 + 32, "F16": 4096 + 1}
    return {
        name: (columns.get(odd.get(name, ""), 4096), 64)
        if name in flat
        else (columns.get(odd.get(name, ""), 4096), 64, 8)
        for name in names
    }


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_mixes_equal_the_records_of_llama_cpp(name: str) -> None:
    facts, sections = record(name)
    shapes = shapes_of(sections)
    wrong, compared = [], 0
    for mix, (usual, others) in sections.items():
        types = types_for(mix, shapes, facts)
        assert recipe(mix).type == usual
        for tensor, type in types.items():
            compared += 1
            if type != others.get(tensor, usual):
                wrong.append((mix, tensor, type, others.get(tensor, usual)))
    assert len(sections) > 25
    assert compared > 3000
    assert wrong == []


MODELS = {
    "plain": Tiny(layers=9),
    "grouped": Tiny(layers=17, kv_heads=1, tied=True),
    "odd": Tiny(layers=9, columns=288, wide=256 + 33, kv_heads=2),
    "eight": Tiny(layers=9, experts=8, kv_heads=1),
    "many": Tiny(layers=9, experts=4, kv_heads=2, dtype="F16"),
    "falcon": Tiny("falcon", layers=17, fused=True),
    "giant": Tiny(layers=80, heads=8, kv_heads=1, rows=1),
    "giant qwen": Tiny("qwen2", layers=80, heads=8, rows=1),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_recipe_equals_the_dry_run(name: str, tmp_path: Path) -> None:
    file = tiny_quantizable.write(tmp_path / "tiny.gguf", MODELS[name])
    source = read_source(file)
    known = tiny_quantizable.importance(MODELS[name])
    numbers = tmp_path / "importance"
    numbers.write_bytes(b"".join(values.tobytes() for values in known.values()))
    sizes = [[tensor, values.size] for tensor, values in known.items()]
    plans = [*preview(source), *preview(source, imatrix=True)]
    half = len(plans) // 2
    requests = [
        quantize_all.request(
            file,
            planned.recipe.file_type,
            tmp_path / "none",
            overrides=[[item.pattern, item.type] for item in planned.recipe.overrides],
            **({"importance_file": str(numbers), "importance": sizes} if number >= half else {}),
        )
        for number, planned in enumerate(plans)
    ]
    said = quantize_all.ask(requests, tmp_path)
    assert len(plans) >= 2 * (len(recipes()) - 1)
    for number, (planned, answer) in enumerate(zip(plans, said, strict=True)):
        assert answer["code"] == 0, (planned.recipe.id, answer)
        wrong = {
            tensor: (type, answer["types"][tensor][1])
            for tensor, type in planned.types.items()
            if type != answer["types"][tensor][1]
        }
        assert wrong == {}, (planned.recipe.id, number >= half)


def test_overridden_tensors_are_not_counted_where_the_place_in_the_model_matters(tmp_path: Path) -> None:
    tiny = Tiny(layers=9)
    file = tiny_quantizable.write(tmp_path / "tiny.gguf", tiny)
    overrides = [[r"blk\.0\.ffn_down", "Q8_0"], [r"blk\.[12]\.attn_v", "Q3_K"], ["output", "Q4_K"]]
    planned = plan(read_source(file), "Q4_K_M", overrides)
    asked = quantize_all.request(file, 15, tmp_path / "none", overrides=overrides)
    (answer,) = quantize_all.ask([asked], tmp_path)
    assert {name: after for name, (_, after) in answer["types"].items()} == planned.types
    assert planned.types["blk.0.ffn_down.weight"] == "Q8_0"
    assert planned.types["blk.2.attn_v.weight"] == "Q3_K"
    plain = plan(read_source(file), "Q4_K_M").types
    assert {name for name in plain if plain[name] != planned.types[name] and "output" not in name} > {
        "blk.0.ffn_down.weight"
    }


def test_a_layer_that_is_not_there_is_said() -> None:
    shapes = {"blk.7.ffn_down_exps.weight": (256, 8, 4), "output.weight": (256, 8)}
    with pytest.raises(UserError) as caught:
        types_for("Q4_K_M", shapes, Facts("llama", 3, 4, 4, 4))
    assert caught.value.code == "odd_tensor"


def test_rows_that_no_type_fits_are_said_or_become_f16() -> None:
    facts = Facts("llama", 1, 4, 4)
    assert types_for("Q4_K_M", {"blk.0.attn_q.weight": (33, 8)}, facts) == {"blk.0.attn_q.weight": "F16"}
    with pytest.raises(UserError) as caught:
        types_for("Q1_0", {"blk.0.attn_q.weight": (96, 8)}, facts)
    assert caught.value.code == "odd_tensor"


def test_which_tensors_need_importances() -> None:
    types = {"blk.0.attn_q.weight": "IQ2_XXS", "token_embd.weight": "Q2_K", "output.weight": "IQ2_XS", "b": "Q2_K"}
    assert wanting_importance(types, recipe("IQ2_XXS")) == ("blk.0.attn_q.weight", "output.weight")
    assert wanting_importance(types, recipe("Q2_K_S")) == ("blk.0.attn_q.weight", "output.weight", "b")
