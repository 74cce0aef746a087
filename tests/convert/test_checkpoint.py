"""Hugging Face folders, good and bad: what is wrong with them is said before anything is written."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from small_checkpoint import CONFIG, make_small, write_safetensors

from convert.checkpoint import open_checkpoint
from convert.families import family_of
from convert.plan import tensors_of
from engine.api.errors import UserError


def code_of(folder: Path) -> str:
    """Which error opening and planning ends with."""
    with pytest.raises(UserError) as caught:
        checkpoint = open_checkpoint(folder)
        found = family_of(checkpoint.config)
        assert found
        tensors_of(found[1], checkpoint, "F16")
    return caught.value.code


@pytest.mark.parametrize("shards", [1, 3])
def test_tensors_are_found_in_one_file_and_in_several(tmp_path: Path, shards: int) -> None:
    arrays = make_small(tmp_path, "BF16", shards)
    checkpoint = open_checkpoint(tmp_path)
    assert set(checkpoint.tensors) == set(arrays)
    assert checkpoint.dtype() == "BF16"
    assert all(np.array_equal(source.array(), arrays[name]) for name, source in checkpoint.tensors.items())


def test_a_missing_part_is_named(tmp_path: Path) -> None:
    make_small(tmp_path, shards=3)
    (tmp_path / "model-00002-of-00003.safetensors").unlink()
    with pytest.raises(UserError, match="model-00002-of-00003") as caught:
        open_checkpoint(tmp_path)
    assert caught.value.code == "missing_shards"


def test_a_tensor_that_the_index_promises_is_missed(tmp_path: Path) -> None:
    make_small(tmp_path, shards=2)
    path = tmp_path / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.layers.9.mlp.up_proj.weight"] = "model-00001-of-00002.safetensors"
    path.write_text(json.dumps(index))
    assert code_of(tmp_path) == "missing_shards"


def test_an_index_cannot_reach_outside_the_folder(tmp_path: Path) -> None:
    make_small(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret"}}))
    assert code_of(tmp_path / "model") == "damaged_weights"


@pytest.mark.parametrize("cut", [4, 9, 200, -1])
def test_a_file_that_was_cut_off(tmp_path: Path, cut: int) -> None:
    make_small(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:cut])
    assert code_of(tmp_path) == "damaged_weights"


LIES = [
    {"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}},
    {"a": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}},
    {"a": {"dtype": "Q7", "shape": [4], "data_offsets": [0, 16]}},
    {"a": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]}},
    {
        "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
    },
    {"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 16]}},
    {"a": {"dtype": "F32", "shape": "four", "data_offsets": [0, 16]}},
    {"a": 3},
    [1, 2],
]


@pytest.mark.parametrize("header", LIES)
def test_a_header_that_lies(tmp_path: Path, header: object) -> None:
    make_small(tmp_path)
    raw = json.dumps(header).encode()
    (tmp_path / "model.safetensors").write_bytes(len(raw).to_bytes(8, "little") + raw + bytes(16))
    assert code_of(tmp_path) == "damaged_weights"


def test_config_files_that_are_none(tmp_path: Path) -> None:
    make_small(tmp_path)
    for text, code in (("{", "bad_config"), ("[]", "bad_config"), ("[" * 100_000, "bad_config")):
        (tmp_path / "config.json").write_text(text)
        assert code_of(tmp_path) == code
    (tmp_path / "config.json").unlink()
    assert code_of(tmp_path) == "no_config"


def test_a_config_of_another_model_is_noticed_by_shapes(tmp_path: Path) -> None:
    make_small(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"num_attention_heads": 7}))
    assert code_of(tmp_path) == "odd_shape"
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"num_attention_heads": "many"}))
    assert code_of(tmp_path) == "config_lacks"


def test_a_tensor_that_belongs_nowhere_is_named(tmp_path: Path) -> None:
    arrays = make_small(tmp_path)
    arrays["model.layers.0.surprise.weight"] = np.zeros((2, 2), np.float32)
    write_safetensors(tmp_path / "model.safetensors", arrays, "F32")
    assert code_of(tmp_path) == "unknown_tensors"


def test_no_weights_at_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert code_of(tmp_path) == "no_weights"


def test_a_pickle_that_wants_to_run_something_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as archive:
        archive.writestr("model/data.pkl", b"cposix\nsystem\n(S'touch pwned'\ntR.")
    assert code_of(tmp_path) == "unsafe_pickle"
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x02not a zip")
    assert code_of(tmp_path) == "old_pickle"


def test_a_file_of_the_folder_stands_for_it(tmp_path: Path) -> None:
    make_small(tmp_path)
    for name in ("config.json", "model.safetensors"):
        assert open_checkpoint(tmp_path / name).folder == tmp_path


def test_a_gguf_file_is_no_folder(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(UserError) as error:
        open_checkpoint(file)
    assert (error.value.code, error.value.values) == ("gguf_not_folder", {"name": "m.gguf"})
