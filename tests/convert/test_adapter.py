"""LoRA: the GGUF adapter on its base says what the merged checkpoint says, whatever the scales are."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from llama_logits import logits
from small_adapter import PREFIX, RANKS, make_adapter
from small_checkpoint import CONFIG, make_small, write_safetensors
from vocabulary_kit import make_tokenizer

from convert.jobs import adapter, convert, merge, to_hf
from convert.lora import open_adapter, scale_of
from engine.api.errors import UserError
from engine.api.job import Job

ROWS = 32000
TOKENS = [1, 15043, 3186, 29892, 920, 526, 366, 29973]
Run = Callable[[dict[str, Any], Job], dict[str, Any]]


def work(run: Run, out: Path, **params: Any) -> dict[str, Any]:
    """A job's result; its folder lies beside what it makes."""
    asked = {"out": str(out), **{name: str(v) if isinstance(v, Path) else v for name, v in params.items()}}
    folder = out.with_name(out.name + ".partial")
    folder.mkdir(parents=True, exist_ok=True)
    return run(asked, Job(folder, asked))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base") / "model"
    make_small(folder, "F32", vocab_size=ROWS)
    make_tokenizer(folder, "llama-spm")
    work(convert.run, folder.with_suffix(".gguf"), source=folder, type="f32")
    return folder


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "rslora": {"use_rslora": True},
    "patterns": {"rank_pattern": RANKS, "alpha_pattern": {"v_proj": 4, "layers.1.self_attn.q_proj": 64}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_adapter_on_its_base_is_the_merged_model(base: Path, tmp_path: Path, kind: str) -> None:
    make_adapter(tmp_path / "lora", CONFIG | {"vocab_size": ROWS}, **KINDS[kind])
    made = work(adapter.run, tmp_path / "lora.gguf", source=tmp_path / "lora", base=base, type="f32")
    models = [{"path": str(tmp_path / "lora")}]
    work(merge.run, tmp_path / "merged", method="adapter", models=models, base=base)
    work(convert.run, tmp_path / "merged.gguf", source=tmp_path / "merged", type="f32")
    alone = logits(base.with_suffix(".gguf"), TOKENS)
    wanted = logits(tmp_path / "merged.gguf", TOKENS)
    found = logits(base.with_suffix(".gguf"), TOKENS, tmp_path / "lora.gguf")
    assert made["tensors"] == 2 * 2 * len(RANKS)
    assert np.abs(wanted - alone).max() > 0.5
    assert np.abs(found - wanted).max() < 2e-3


def test_scales_are_pefts() -> None:
    assert scale_of("a.q_proj", 4, {"lora_alpha": 16}) == 4
    assert scale_of("a.q_proj", 4, {"lora_alpha": 16, "use_rslora": True}) == 16 / math.sqrt(4)
    assert scale_of("a.q_proj", 4, {"lora_alpha": 16, "alpha_pattern": {"q_proj": 2}}) == 0.5
    assert scale_of("a.no_q_proj", 4, {"lora_alpha": 16, "alpha_pattern": {"q_proj": 2}}) == 4


def test_dora_is_merged_as_its_paper_says(base: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "dora", CONFIG | {"vocab_size": ROWS}, dora=True, use_dora=True)
    with pytest.raises(UserError) as caught:
        work(adapter.run, tmp_path / "dora.gguf", source=tmp_path / "dora", base=base, type="f32")
    assert caught.value.code == "needs_merging"
    work(merge.run, tmp_path / "merged", method="adapter", models=[{"path": str(tmp_path / "dora")}], base=base)
    from convert.checkpoint import open_checkpoint

    name = "model.layers.1.mlp.down_proj"
    weight = open_checkpoint(base).tensors[f"{name}.weight"].array()
    sides = open_adapter(tmp_path / "dora").weights.tensors
    a, b = (sides[f"{PREFIX}{name}.lora_{side}.weight"].array() for side in "AB")
    changed = np.asarray(weight, np.float32) + 16 / 2 * (np.asarray(b, np.float32) @ np.asarray(a, np.float32))
    lengths = sides[f"{PREFIX}{name}.lora_magnitude_vector"].array()
    wanted = changed / np.linalg.norm(changed, axis=1, keepdims=True) * lengths[:, None]
    found = open_checkpoint(tmp_path / "merged").tensors[f"{name}.weight"].array()
    assert np.allclose(found, wanted, atol=1e-5)


def test_whole_tensors_of_an_adapter_replace_the_bases(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    head = np.random.default_rng(1).standard_normal((ROWS, CONFIG["hidden_size"])).astype(np.float32)
    write_safetensors(folder / "adapter_model.safetensors", {f"{PREFIX}lm_head.modules_to_save.weight": head}, "F32")
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "modules_to_save": ["lm_head"]}))
    work(merge.run, tmp_path / "merged", method="adapter", models=[{"path": str(folder)}], base=base)
    from convert.checkpoint import open_checkpoint

    assert np.array_equal(open_checkpoint(tmp_path / "merged").tensors["lm_head.weight"].array(), head)


def test_an_adapter_of_another_model_is_noticed(base: Path, tmp_path: Path) -> None:
    make_adapter(tmp_path / "lora", CONFIG | {"num_hidden_layers": 3})
    for run, more in ((adapter.run, {"source": tmp_path / "lora"}), (merge.run, {})):
        with pytest.raises(UserError) as caught:
            models = [{"path": str(tmp_path / "lora")}]
            work(run, tmp_path / "x", base=base, models=models, method="adapter", **more)
        assert caught.value.code in ("adapter_of_another", "odd_shape")
    assert not (tmp_path / "x").exists()


def test_what_is_no_lora(tmp_path: Path) -> None:
    make_adapter(tmp_path, CONFIG, peft_type="IA3")
    with pytest.raises(UserError, match="IA3"):
        open_adapter(tmp_path)
    (tmp_path / "adapter_config.json").unlink()
    with pytest.raises(UserError) as caught:
        open_adapter(tmp_path)
    assert caught.value.code == "no_adapter"


def test_a_model_and_its_way_back(base: Path, tmp_path: Path) -> None:
    from convert.checkpoint import open_checkpoint

    result = work(to_hf.run, tmp_path / "back", source=base.with_suffix(".gguf"), type="f32")
    ours, wanted = open_checkpoint(tmp_path / "back"), open_checkpoint(base)
    assert result["family"] == "llama"
    assert set(ours.tensors) == set(wanted.tensors)
    assert all(np.array_equal(ours.tensors[n].array(), wanted.tensors[n].array()) for n in wanted.tensors)
    assert {name: ours.config.get(name) for name in CONFIG if name not in ("vocab_size", "rms_norm_eps")} == {
        name: value for name, value in CONFIG.items() if name not in ("vocab_size", "rms_norm_eps")
    }
    work(convert.run, tmp_path / "again.gguf", source=tmp_path / "back", type="f32")
    assert np.array_equal(logits(tmp_path / "again.gguf", TOKENS), logits(base.with_suffix(".gguf"), TOKENS))
