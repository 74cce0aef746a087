"""Embedders and rerankers become GGUF whose vectors and scores are those that transformers computes."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import family_checkpoints
import gguf_reading
import numpy as np
import pytest
import real_models
import reference_logits
from vector_kit import embedder_of, run

from convert.checkpoint import open_checkpoint
from convert.config import Config, read_config
from convert.families import family_of
from convert.jobs.convert import run as convert
from convert.keys import entries_of
from convert.plan import tensors_of
from convert.pooling import CLS, LAST, MEAN, pooling
from engine.api.errors import UserError
from engine.api.job import Job

TEXTS = [
    "A kitten sleeps on the warm roof.",
    "The car needs new tyres before winter, and the garage is closed.",
    "Where is the harbour? 港口在哪里？ Où est le port ?",
]
RERANKERS = {
    "bert-reranker": "BertForSequenceClassification",
    "roberta-reranker": "RobertaForSequenceClassification",
    "xlmr-reranker": "XLMRobertaForSequenceClassification",
}
TOKENS = [int(token) for token in np.random.default_rng(5).integers(10, 400, 20)]


def converted(source: Path, folder: Path) -> Path:
    """Our F32 file of a checkpoint."""
    work = folder / "work"
    work.mkdir()
    params: dict[str, Any] = {"source": str(source), "out": str(folder / "made.gguf"), "type": "f32"}
    return Path(convert(params, Job(work, params))["path"])


@dataclass
class Given:
    """What transformers makes of the texts' tokens and of `TOKENS`; all from one process of its own."""

    ids: list[list[int]]
    states: list[Any]
    places: dict[str, Path]
    scores: dict[str, Any]


@pytest.fixture(scope="module")
def given() -> Given:
    from tokenizers import Tokenizer

    source = real_models.minilm()
    words = Tokenizer.from_file(str(source / "tokenizer.json"))
    words.no_padding()
    ids = [words.encode(text).ids for text in TEXTS]
    places = family_checkpoints.make_all(RERANKERS)
    asked = [(source, each, "transformers", "BertModel") for each in ids]
    asked += [(places[name], TOKENS, "transformers", known) for name, known in RERANKERS.items()]
    told = reference_logits.logits_all(asked)
    return Given(ids, told[: len(ids)], places, dict(zip(RERANKERS, told[len(ids) :], strict=True)))


def test_the_vectors_of_a_real_embedder_are_those_of_transformers(given: Given, tmp_path: Path) -> None:
    source, ids, states = real_models.minilm(), given.ids, given.states
    embedder = next(found := embedder_of(converted(source, tmp_path)))
    assert embedder.pooling == "mean"
    assert [embedder.tokens(text) for text in TEXTS] == ids
    for vector, state in zip(run(embedder.embed(ids)), states, strict=True):
        assert state is not None
        wanted = state.mean(0) / np.linalg.norm(state.mean(0))
        assert np.abs(np.array(vector) - wanted).max() < 1e-3
    assert not list(found), "the model is let go"


def test_scores_of_rerankers_are_those_of_transformers(given: Given, tmp_path: Path) -> None:
    """One text for all: what the head makes of it, pooler and all."""
    for name, wanted in given.scores.items():
        assert wanted is not None
        assert wanted.shape == (1,)
        (tmp_path / name).mkdir()
        embedder = next(found := embedder_of(converted(given.places[name], tmp_path / name)))
        assert run(embedder.rerank([TOKENS], raw=True)) == [pytest.approx(float(wanted[0]), abs=5e-3)]
        assert not list(found)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False}, MEAN),
        ({"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, CLS),
        ({"pooling_mode_lasttoken": True}, LAST),
        ({"pooling_mode": "cls"}, CLS),
    ],
)
def test_how_vectors_are_pooled_stands_beside_the_weights(tmp_path: Path, said: dict[str, Any], wanted: int) -> None:
    _written(tmp_path, said)
    assert pooling(read_config(tmp_path)) == wanted


def test_another_way_of_pooling_is_said_to_be_unknown(tmp_path: Path) -> None:
    _written(tmp_path, {"pooling_mode_max_tokens": True})
    with pytest.raises(UserError) as caught:
        pooling(read_config(tmp_path))
    assert caught.value.code == "unknown_pooling"


@pytest.mark.parametrize("path", ["../elsewhere", "/etc", 7, None, ""])
def test_a_list_of_modules_cannot_lead_out_of_the_folder(tmp_path: Path, path: Any) -> None:
    inside = tmp_path / "model"
    inside.mkdir()
    _written(tmp_path / "elsewhere", {"pooling_mode": "cls"})
    (inside / "config.json").write_text("{}", encoding="utf-8")
    row = {"type": "sentence_transformers.models.Pooling", "path": path}
    (inside / "modules.json").write_text(json.dumps([row, 5]), encoding="utf-8")
    assert path == "" or pooling(read_config(inside)) is None


def test_a_model_without_a_folder_has_no_pooling() -> None:
    assert pooling(Config({"architectures": ["BertModel"]})) is None


def test_classes_without_names_are_two(tmp_path: Path) -> None:
    """config.json leaves out what transformers would fill in; upstream's file of such a model does not load."""
    config = read_config(_changed("bert-reranker", tmp_path / "two", id2label=None))
    found = family_of(config)
    assert found is not None
    assert found[0] == "bert/bert-reranker"
    entries = entries_of("bert", found[1].keys, config)
    assert entries["bert.classifier.output_labels"] == ("[str]", ["LABEL_0", "LABEL_1"])
    assert math.isclose(entries["bert.attention.layer_norm_epsilon"][1], 1e-12)


def test_a_bert_with_the_vocabulary_of_xlm_r_keeps_all_its_positions(tmp_path: Path) -> None:
    """The multilingual MiniLM of sentence-transformers."""
    source = _changed("xlmr", tmp_path / "mini", architectures=["BertModel"], model_type="bert")
    read = gguf_reading.read(converted(source, tmp_path))
    assert read.entries["tokenizer.ggml.model"] == ("str", "t5")
    assert read.tensors["position_embd.weight"].shape == (64, 514)
    assert read.entries["bert.context_length"] == ("u32", 514)


def test_copies_of_t5s_word_table_are_left_out(tmp_path: Path) -> None:
    source = _changed("t5", tmp_path / "copies")
    first = open_checkpoint(source)
    tables = {"shared.weight": "encoder.embed_tokens.weight", "encoder.embed_tokens.weight": "shared.weight"}
    own, copy = next((own, copy) for own, copy in tables.items() if own in first.tensors)
    first.tensors[copy] = first.tensors[own]
    first.config.names = frozenset(first.tensors)
    found = family_of(first.config)
    assert found is not None
    made = [tensor.name for tensor in tensors_of(found[1], first, "F32")]
    assert made.count("token_embd.weight") == 1


def _changed(case: str, folder: Path, **values: Any) -> Path:
    """A copy of a case's checkpoint with other words in its config; None takes one out."""
    shutil.copytree(family_checkpoints.make_all([case])[case], folder)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8")) | values
    kept = {key: value for key, value in settings.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def _written(folder: Path, said: dict[str, Any]) -> None:
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(said), encoding="utf-8")
