"""The preview: exact figures of real models, quickly, and hostile files."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import pytest
import tiny_quantizable
from tiny_quantizable import Tiny

from convert.quantize_plan import plan, preview, read_source
from convert.recipe import recipes
from engine.api.errors import UserError


def test_what_q4_k_m_would_be_on_rows_that_fill_no_blocks(qwen_coder: Path) -> None:
    planned = plan(read_source(qwen_coder), "Q4_K_M")
    shown = planned.to_json()
    assert round(planned.bits, 2) == 6.16
    assert (shown["fallback_tensors"], shown["tensor_count"]) == (145, 291)
    assert {(wanted, given) for wanted, given, _ in shown["fallbacks"]} == {("Q4_K", "Q5_0"), ("Q6_K", "Q8_0")}
    line = next(line for line in shown["tensors"] if line["name"] == "blk.3.attn_q.weight")
    assert line == {
        "name": "blk.3.attn_q.weight",
        "shape": [896, 896],
        "from": "Q5_0",
        "to": "Q5_0",
        "bytes": 896 * 896 // 32 * 22,
        "fallback": "Q4_K",
    }


def test_a_file_made_by_others_is_foreseen_tensor_by_tensor(smollm2: Path) -> None:
    source = read_source(smollm2)
    assert plan(source, "Q4_1").types == source.types


def test_all_types_at_once_take_no_time(smollm2: Path) -> None:
    source = read_source(smollm2)
    before = time.process_time()
    plans = preview(source)
    assert time.process_time() - before < 2
    assert len(plans) >= len(recipes()) - 1
    sizes = {planned.recipe.id: planned.file_bytes for planned in plans}
    assert sizes["F16"] > sizes["Q8_0"] > sizes["Q5_K_M"] > sizes["Q4_K_M"] > sizes["Q4_0"]


def test_lying_and_other_files_are_said(tmp_path: Path) -> None:
    good = tiny_quantizable.write(tmp_path / "good.gguf", Tiny()).read_bytes()
    cases = {
        "cut.gguf": (good[:-1000], "damaged_model"),
        "short.gguf": (good[:200], "damaged_model"),
        "empty.gguf": (b"", "empty_file"),
        "zeros.gguf": (bytes(5000), "not_gguf"),
        "many.gguf": (good[:8] + struct.pack("<Q", 1 << 50) + good[16:], "damaged_model"),
    }
    for name, (data, code) in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(UserError) as caught:
            read_source(tmp_path / name)
        assert (name, caught.value.code) == (name, code)


def test_an_adapter_is_no_model(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "a.gguf", "llama")
    writer.add_type("adapter")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    with pytest.raises(UserError) as caught:
        read_source(tmp_path / "a.gguf")
    assert caught.value.code == "not_quantizable"
