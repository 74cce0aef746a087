"""Layers on a graphics card: all of them where there is room, fewer where there is less, none where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from graphics_card import MIB, free, nearly_full
from real_models import smollm2

from engine.core import Core
from engine.doctor import report
from engine.installed_build import findings
from engine.llama.devices import system_info
from engine.llama.load import LoadSettings, load
from engine.llama.placement import first_layers
from engine.machine import hardware
from models import gguf_header
from models.fit import Loading, compute_buffer, estimate
from models.registry import add_file

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("card")]
ROOT = Path(__file__).parents[2]
LAYERS = 31  # of SmolLM2, the output counted
SCRIPT = Path(__file__).with_name("full_card.py")


def loaded(**settings: Any) -> Any:
    return load(smollm2(), LoadSettings(**{"context_size": 2048, "threads": 1, **settings}))


def on_a_full_card(left: int, layers: int = -1, cache: str = "f16", flash: str = "auto") -> dict[str, Any]:
    call = [sys.executable, str(SCRIPT), str(smollm2()), str(left), str(layers), cache, flash]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    shown = {name: told[name] for name in ("layers", "cards", "free")}
    print(f"{left} MiB left, {layers} layers asked, {cache}: {shown}")
    return told


@pytest.fixture(scope="module")
def on_processor() -> dict[str, Any]:
    return on_a_full_card(2000, 0)


def test_the_doctor_names_the_card(card: dict[str, Any], core: Core) -> None:
    llama = system_info()
    assert llama["gpu_offload"] and 0 < card["free"] <= card["total"]
    (found,) = [finding for finding in findings(llama) if finding["code"] == "gpu"]
    assert card["description"] in found["text"]
    told = report(core)
    assert [device["name"] for device in told["hardware"]["devices"]] == [card["description"]]
    assert found in told["abilities"]


def test_a_build_for_cards_that_finds_none_is_told_from_one_without() -> None:
    code = "import json; from engine.llama.devices import system_info; print(json.dumps(system_info()))"
    hidden = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=hidden, cwd=ROOT, capture_output=True, text=True, check=True
    )
    codes = [finding["code"] for finding in findings(json.loads(done.stdout.splitlines()[-1]))]
    assert "gpu_none_found" in codes


def test_all_layers_go_to_a_card_that_has_room(card: dict[str, Any]) -> None:
    before = free()
    model = loaded()
    taken, told = before - free(), sum(model.cards.values())
    assert (model.gpu_layers, model.needs_cores, list(model.cards)) == (LAYERS, False, [card["name"]])
    assert 0 <= taken - told < 16 * MIB
    assert told > model.memory["weights"] * 0.95 + model.memory["kv_cache"]
    assert model.private < 64 * MIB
    model.close()
    assert before - free() < 64 * MIB, "all but the driver's own comes back"


def test_as_many_layers_as_were_asked_for() -> None:
    for asked in (1, 10, 30):
        model = loaded(gpu_layers=asked)
        assert (model.gpu_layers, model.needs_cores) == (asked, True)
        model.close()
    none = loaded(gpu_layers=0)
    assert (none.gpu_layers, none.cards) == (0, {})
    assert none.private >= none.memory["kv_cache"]
    none.close()


def test_a_card_with_little_left_gets_some_of_the_layers() -> None:
    counts = []
    for left in (900, 650, 560):
        told = on_a_full_card(left)
        counts.append(told["layers"])
        assert all(told["texts"]) and told["seeded"]
    assert counts == sorted(counts, reverse=True) and LAYERS == counts[0] > counts[1] > counts[2] > 0


@pytest.mark.parametrize("left", [4, 64, 400])
def test_a_full_card_leaves_the_model_to_the_processor(left: int, on_processor: dict[str, Any]) -> None:
    told = on_a_full_card(left)
    assert told["layers"] == 0 and told["cards"] == {}
    assert (told["texts"][0], told["seeded"]) == (on_processor["texts"][0], on_processor["seeded"])
    assert all(told["texts"])


def test_more_layers_than_fit_become_as_many_as_fit() -> None:
    told = on_a_full_card(560, 999)
    assert 0 < told["layers"] < LAYERS and all(told["texts"])


@pytest.mark.parametrize("cache", ["q8_0", "q4_0"])
def test_a_smaller_cache_lets_more_layers_in(cache: str) -> None:
    assert on_a_full_card(600, cache=cache)["layers"] > on_a_full_card(600)["layers"]


def test_without_flash_attention_room_is_left_for_its_copies() -> None:
    told = on_a_full_card(800, flash="off")
    assert 0 < told["layers"] < LAYERS and all(told["texts"])


def test_the_first_try_is_not_far_from_what_fits() -> None:
    loading = Loading(8192, sequences=8)
    with nearly_full(650 * MIB):
        first = first_layers(-1, smollm2(), loading, free())
        model = loaded(context_size=8192, sequences=8)
        assert model.gpu_layers == first
        model.close()


WAYS = [Loading(context) for context in (256, 1024, 4096, 8192)]
WAYS += [Loading(2048, kv_type, sequences=many) for kv_type in ("f16", "q8_0", "q4_0") for many in (1, 8)]
WAYS += [Loading(context, flash=False, sequences=8) for context in (1024, 8192)]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.context}-{way.kv_type}-{way.flash}-{way.sequences}")
def test_the_estimate_is_not_less_than_llama_cpp_takes(way: Loading, core: Core) -> None:
    header = gguf_header.read(smollm2())
    told = estimate(header.shape, header.tensor_bytes, hardware(core), way)
    model = loaded(
        context_size=way.context,
        kv_type=way.kv_type,
        flash_attention="auto" if way.flash else "off",
        sequences=way.sequences,
    )
    taken, memory = sum(model.cards.values()), dict(model.memory)
    model.close()
    print(
        f"{way}: estimate {told['total'] / 1e6:.1f} MB, on the card {taken / 1e6:.1f} MB; compute and output "
        f"{told['compute'] / 1e6:.1f} for {(memory['compute'] + memory['output']) / 1e6:.1f}, "
        f"of that buffer {compute_buffer(header.shape, way) / 1e6:.1f}"
    )
    assert told["kv_cache"] == pytest.approx(memory["kv_cache"], rel=0.01)
    assert taken <= told["total"] * 1.02
    assert told["total"] == pytest.approx(memory["weights"] + memory["kv_cache"] + memory["compute"], rel=0.10)


def test_a_loaded_models_memory_counts_as_free_for_the_next(core: Core) -> None:
    (model,) = add_file(smollm2(), copy=False)
    before = hardware(core)
    with core.residents.use(model.id, lambda done: None, threading.Event()) as resident:
        assert sum(resident.info.cards.values()) > 90_000_000
        assert free() < before.devices[0].free - 90_000_000
        assert hardware(core).devices[0].free == pytest.approx(before.devices[0].free, abs=64 * MIB)
