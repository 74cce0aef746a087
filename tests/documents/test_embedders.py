"""Embedders: their vectors are those of the network, in 8 bits; damaged files are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from encoder_kit import checkpoint, installed, tiny_installed
from minilm_gguf import Bert, minilm_gguf, tiny_bert
from minilm_gguf import write as write_gguf
from real_models import minilm

from engine.api.errors import UserError
from engine.api.folders import models_folder
from engine.documents.embedders import open_embedder, profile_of, recommended
from engine.documents.embedders.blame import reading_tokenizer, running_graph
from engine.documents.embedders.checkpoint import read
from engine.documents.embedders.onnx import languages_of, pooled
from engine.documents.embedders.session import Session, groups
from models.encoder import WEIGHTS
from models.registry import add_file

TEXTS = ["a cat.", "the dog runs far away.", "what is a model?", "z"]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESKSIDE_HOME", str(tmp_path / "home"))


def expected(model: Bert, texts: list[str], pooling: str = "mean") -> np.ndarray:
    states = [model.states(model.tokens(text)) for text in texts]
    vectors = np.stack([one[0] if pooling == "cls" else one.mean(0) for one in states])
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_vectors_are_those_of_the_network(pooling: str) -> None:
    model = tiny_bert()
    name = installed(model, "tiny")
    if pooling == "cls":
        place = models_folder() / name / "1_Pooling"
        place.mkdir()
        (place / "config.json").write_text('{"pooling_mode_cls_token": true}', encoding="utf-8")
    embedder = open_embedder(name, threads=1)
    assert embedder is not None
    made = embedder.passages(TEXTS)
    assert made.shape == (4, 32) and made.dtype == np.float32
    assert (made * expected(model, TEXTS, pooling)).sum(1).min() > 0.98
    np.testing.assert_allclose(embedder.passages(TEXTS[1:2])[0], made[1], atol=0.02)
    assert embedder.count("a cat.") == len(model.tokens("a cat.")) - 2
    embedder.close()


def test_the_graph_is_made_once() -> None:
    name = tiny_installed()
    first = open_embedder(name, threads=1)
    made = list((models_folder() / name).glob("prepared-*.onnx"))
    stamp = made[0].stat().st_mtime_ns
    second = open_embedder(name, threads=1)
    assert first and second and first.identity == second.identity
    assert len(made) == 1 and made[0].stat().st_mtime_ns == stamp
    assert not list((models_folder() / name).glob("*.part"))


def test_longer_texts_are_cut_and_nothing_is_too_much() -> None:
    embedder = open_embedder(tiny_installed(), threads=1)
    assert embedder is not None and embedder.limit == 64
    made = embedder.passages(["a " * 5000, "a " * 62, "", "\x00 \ud800".encode("utf-8", "replace").decode()])
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made[0], made[1], atol=1e-3)
    assert embedder.passages([]).shape == (0, 32)


def test_roberta_counts_places_from_its_padding(tmp_path: Path) -> None:
    folder = checkpoint(tiny_bert(), tmp_path / "r", kind="xlm-roberta")
    assert read(folder).first_place == 1 and read(folder).limit == 63


@pytest.mark.parametrize("harm", ["cut", "header", "no weights", "numbers", "config", "tokenizer", "offsets"])
def test_damaged_files_are_told(harm: str) -> None:
    name = tiny_installed()
    folder = models_folder() / name
    data = (folder / WEIGHTS).read_bytes()
    if harm == "cut":
        (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    elif harm == "header":
        (folder / WEIGHTS).write_bytes(b"\xff" * 200)
    elif harm == "no weights":
        (folder / WEIGHTS).write_bytes((2).to_bytes(8, "little") + b"{}")
    elif harm == "numbers":
        (folder / WEIGHTS).write_bytes(data[:-4000] + b"\xff" * 4000)
    elif harm == "config":
        (folder / "config.json").write_text(json.dumps({"model_type": "bert", "hidden_size": "x"}), encoding="utf-8")
    elif harm == "tokenizer":
        (folder / "tokenizer.json").write_text("{}", encoding="utf-8")
    else:
        (folder / WEIGHTS).write_bytes(data.replace(b'"data_offsets": [0, ', b'"data_offsets": [-9,', 1))
    with pytest.raises(UserError) as told:
        open_embedder(name, threads=1)
    assert told.value.code == "damaged_model"
    assert not list(folder.glob("*.part"))


MANGLED: dict[str, dict[str, Any]] = {
    "a table of characters that is none": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
    "a table that points outside": {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "BAAAAP////8="}},
    "a frame for a second text": {
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [{"Sequence": {"id": "B", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}],
            "special_tokens": {},
        }
    },
    "a number of too many bits": {
        "model": {
            "type": "WordPiece",
            "vocab": {"[UNK]": 4_000_000_000},
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        "post_processor": None,
    },
    "no number for what is unknown": {
        "model": {
            "type": "WordPiece",
            "vocab": {"a": 0},
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
        },
        "post_processor": None,
    },
}


@pytest.mark.parametrize("harm", MANGLED)
def test_tokenizers_that_end_their_reader_are_told(harm: str) -> None:
    file = models_folder() / tiny_installed() / "tokenizer.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | MANGLED[harm]), encoding="utf-8")
    with pytest.raises(UserError) as told:
        open_embedder("tiny-encoder", threads=1)
    assert (told.value.code, told.value.values["name"]) == ("damaged_model", "tokenizer.json")


@pytest.mark.parametrize("harm", ["bytes", "inputs", "numbers"])
def test_graphs_that_are_no_encoders_are_told(tmp_path: Path, harm: str) -> None:
    from onnx import TensorProto as Kind
    from onnx import helper, save_model

    file = models_folder() / tiny_installed() / "other.onnx"
    name, kind = ("pictures" if harm == "inputs" else "input_ids"), (Kind.INT64 if harm == "numbers" else Kind.FLOAT)
    given = helper.make_tensor_value_info(name, kind, [1, 2])
    graph = helper.make_graph(
        [helper.make_node("Neg", [name], ["out"])], "g", [given], [helper.make_tensor_value_info("out", kind, [1, 2])]
    )
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(file))
    if harm == "bytes":
        file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(UserError) as told:
        Session(file, file.with_name("tokenizer.json"), 64, threads=1)
    assert (told.value.code, told.value.values["name"]) == ("damaged_model", "other.onnx")


def test_a_bug_of_ours_is_not_blamed_on_the_file() -> None:
    for blaming in (reading_tokenizer, running_graph):
        with pytest.raises(ValueError, match="ours"), blaming(Path("x")):
            raise ValueError("ours")
        with pytest.raises(KeyboardInterrupt), blaming(Path("x")):
            raise KeyboardInterrupt


def test_other_networks_and_rerankers_are_refused() -> None:
    name = tiny_installed()
    config = models_folder() / name / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text("utf-8")) | {"model_type": "mamba"}), encoding="utf-8")
    with pytest.raises(UserError) as told:
        open_embedder(name, threads=1)
    assert told.value.code == "unsupported_embedder"
    with pytest.raises(UserError) as other:
        open_embedder(tiny_installed("ranker", head=True), threads=1)
    assert other.value.code == "not_an_embedder"


def test_the_recommended_one_knows_every_language() -> None:
    assert recommended() is None and open_embedder() is None
    tiny_installed("all-minilm-l6-v2")
    tiny_installed("multilingual-e5-small")
    tiny_installed("ranker", head=True)
    found = recommended()
    assert found is not None and found.id == "multilingual-e5-small"


def test_profiles_and_languages() -> None:
    assert profile_of("multilingual-e5-small").query == "query: "
    assert profile_of("bge-m3-q8_0", "BGE M3").pooling == "cls"
    assert profile_of("whatever").query == ""
    latin, han = (
        [f"word{chr(97 + n % 26)}" * (1 + n // 26 % 9) for n in range(3000)],
        [chr(0x4E00 + n) for n in range(3000)],
    )
    letters = ["".join(chr(97 + (n // 26**k) % 26) for k in range(4)) for n in range(3000)]
    assert languages_of(letters) == ("en",) and languages_of(han) == ("zh",)
    assert languages_of(letters + han) == ("en", "zh") and languages_of(latin * 40) == ("*",)


def test_identity_tells_prefixes_and_weights_apart() -> None:
    one = open_embedder(tiny_installed("tiny"), threads=1)
    two = open_embedder(installed(tiny_bert(seed=8), "tiny-b"), threads=1)
    prefixed = open_embedder(tiny_installed("multilingual-e5-tiny"), threads=1)
    assert one and two and prefixed
    assert one.identity.split(":")[1] != two.identity.split(":")[1]
    assert one.identity.split(":")[1] == prefixed.identity.split(":")[1]
    assert one.identity.split(":")[3] != prefixed.identity.split(":")[3]
    assert prefixed.languages == ("*",)
    assert not np.allclose(prefixed.queries(["cat"]), prefixed.passages(["cat"]), atol=1e-3)


def test_gguf_and_checkpoint_agree(tmp_path: Path) -> None:
    model = tiny_bert()
    by_onnx = open_embedder(installed(model, "tiny"), threads=1)
    added = add_file(write_gguf(model, tmp_path / "tiny-encoder.gguf"))[0]
    by_llama = open_embedder(added.id, threads=1)
    assert by_onnx and by_llama
    assert (by_onnx.passages(TEXTS) * by_llama.passages(TEXTS)).sum(1).min() > 0.97
    assert by_llama.passages(["a " * 3000]).shape == (1, 32)
    by_llama.close()


def test_the_real_minilm_knows_what_belongs_together() -> None:
    home = models_folder() / "all-minilm-l6-v2"
    home.mkdir(parents=True)
    for file in minilm().iterdir():
        (home / file.name).symlink_to(file)
    embedder = open_embedder("all-minilm-l6-v2", threads=1)
    assert embedder is not None and embedder.languages == ("en",) and embedder.limit == 256
    asked = embedder.queries(["Who wrote the play Hamlet?"])
    near, far = embedder.passages(["Hamlet is a tragedy by Shakespeare.", "Bread is baked of flour and water."])
    assert float(asked[0] @ near) > 0.5 > 0.2 > float(asked[0] @ far)
    added = add_file(minilm_gguf())[0]
    by_llama = open_embedder(added.id, threads=1)
    assert by_llama is not None
    assert float(by_llama.passages(["Hamlet is a tragedy by Shakespeare."])[0] @ near) > 0.97
    by_llama.close()


def test_groups_are_of_like_length() -> None:
    made = list(groups([5, 300, 6, 2000, 7]))
    assert made == [[0, 2, 4, 1], [3]]
    assert [len(group) for group in groups([1] * 40)] == [16, 16, 8]


def test_pooling_leaves_padding_out() -> None:
    states = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    sizes = np.array([2], np.int32)
    assert pooled(states, sizes, "mean").tolist() == [[1.5, 2.5, 3.5]]
    assert pooled(states, sizes, "last").tolist() == [[3, 4, 5]]
    assert pooled(states, sizes, "cls").tolist() == [[0, 1, 2]]
