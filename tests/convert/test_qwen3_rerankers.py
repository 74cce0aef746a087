"""Qwen 3's rerankers score as transformers says they should."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import family_checkpoints
import gguf_reading
import numpy as np
import pytest
import reference_logits
from vector_kit import embedder_of, run

from convert.config import read_config
from convert.families import family_of
from convert.families.qwen3_reranker import TEMPLATE
from convert.jobs.convert import run as convert
from engine.api.errors import UserError
from engine.api.job import Job

TOKENS = [int(token) for token in np.random.default_rng(7).integers(10, 400, 20)]

CASES = {
    "qwen3-reranker": "Qwen3ForCausalLM",
    "qwen3-reranker-8b": "Qwen3ForCausalLM",
    "qwen3-score": "Qwen3ForSequenceClassification",
}


def converted(source: Path, folder: Path) -> Path:
    """Our F32 file of a checkpoint."""
    work = folder / "work"
    work.mkdir()
    params: dict[str, Any] = {"source": str(source), "out": str(folder / "made.gguf"), "type": "f32"}
    return Path(convert(params, Job(work, params))["path"])


def score_of(path: Path) -> float:
    """What llama.cpp's head gives for the tokens."""
    embedder = next(found := embedder_of(path))
    (score,) = run(embedder.rerank([TOKENS], raw=True))
    assert not list(found), "the model is let go"
    return float(score)


@pytest.fixture(scope="module")
def given() -> dict[str, tuple[Path, Any]]:
    """Checkpoint and logits of each case, all from one process with transformers."""
    places = family_checkpoints.make_all(list(CASES))
    wanted = [(places[case], TOKENS, "transformers", network) for case, network in CASES.items()]
    told = reference_logits.logits_all(wanted)
    return {case: (places[case], logits) for case, logits in zip(CASES, told, strict=True)}


@pytest.mark.parametrize("case", ["qwen3-reranker", "qwen3-reranker-8b"])
def test_the_published_form_scores_with_the_chance_of_yes(
    given: dict[str, tuple[Path, Any]], case: str, tmp_path: Path
) -> None:
    source, logits = given[case]
    assert logits is not None
    places = _places(source)
    yes, no = float(logits[-1, places["yes"]]), float(logits[-1, places["no"]])
    path = converted(source, tmp_path)
    assert score_of(path) == pytest.approx(1 / (1 + np.exp(no - yes)), abs=1e-3)
    entries = gguf_reading.read(path).entries
    assert entries["tokenizer.chat_template.rerank"] == ("str", TEMPLATE)
    assert entries["qwen3.classifier.output_labels"] == ("[str]", ["yes", "no"])


def test_a_single_score_becomes_its_sigmoid(given: dict[str, tuple[Path, Any]], tmp_path: Path) -> None:
    source, logits = given["qwen3-score"]
    assert logits is not None
    assert score_of(converted(source, tmp_path)) == pytest.approx(1 / (1 + np.exp(-float(logits[0]))), abs=1e-3)


def test_a_reranker_is_known_by_its_folders_name_and_its_card(tmp_path: Path) -> None:
    settings = {"architectures": ["Qwen3ForCausalLM"], "tie_word_embeddings": True}
    for name, card, wanted in (
        ("Qwen3-Reranker-4B", "", "qwen3_reranker/tied"),
        ("mine", "---\n---\n# Qwen3-Reranker-4B", "qwen3_reranker/tied"),
        ("Qwen3-4B", "# Qwen3-4B", "qwen3"),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        (folder / "README.md").write_text(card, encoding="utf-8")
        found = family_of(read_config(folder))
        assert found is not None
        assert found[0] == wanted


@pytest.mark.parametrize(
    "damage", ["{", "[]", '{"model": 3, "added_tokens": {}}', '{"model": {"vocab": {"yes": "1"}}}']
)
def test_a_reranker_without_its_words_is_refused(damage: str, tmp_path: Path) -> None:
    source = tmp_path / "Qwen3-Reranker"
    shutil.copytree(family_checkpoints.make_all(["qwen3-reranker"])["qwen3-reranker"], source)
    (source / "tokenizer.json").write_text(damage, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        converted(source, tmp_path)
    assert caught.value.code == "no_answers"


def _places(source: Path) -> dict[str, int]:
    added = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))["added_tokens"]
    return {row["content"]: row["id"] for row in added}
