"""An exported embedder and an exported reranker are models to choose in documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import real_models
from export_environment import in_environment, tiny_checkpoints, use_it

from convert.jobs import onnx as onnx_job
from engine.api.job import Job
from engine.documents import embedders
from engine.documents.rerank import open_reranker
from models import registry

TEXTS = [
    "The cat sleeps on the warm windowsill.",
    "A kitten naps in the sun.",
    "Quarterly revenue fell by nine percent.",
]
MINILM = """
import json, sys, torch
from transformers import AutoModel, AutoTokenizer
tokenizer, model = AutoTokenizer.from_pretrained(sys.argv[1]), AutoModel.from_pretrained(sys.argv[1]).eval()
given = tokenizer(json.loads(sys.argv[2]), padding=True, return_tensors="pt")
with torch.no_grad():
    states, mask = model(**given).last_hidden_state, given["attention_mask"][..., None]
mean = (states * mask).sum(1) / mask.sum(1)
print(json.dumps(torch.nn.functional.normalize(mean).tolist()))
"""
SCORES = """
import json, sys, torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForSequenceClassification.from_pretrained(sys.argv[1]).eval()
with torch.no_grad():
    each = [model(**tokenizer(*pair, return_tensors="pt")).logits[0, 0].sigmoid() for pair in json.loads(sys.argv[2])]
print(json.dumps([float(one) for one in each]))
"""


@pytest.fixture
def ready(home: Path) -> Path:
    use_it(home)
    return home


def exported(source: Path, out: Path, int8: bool = False) -> dict[str, Any]:
    params = {"source": str(source), "out": str(out), "threads": 1, "int8": int8}
    return onnx_job.run(params, Job(out.with_name(out.name + ".partial"), params))


def test_minilm_searches_as_its_checkpoint_does(ready: Path, tmp_path: Path) -> None:
    import json

    source = real_models.minilm()
    said = exported(source, tmp_path / "MiniLM")
    truth = np.array(in_environment(MINILM, str(source), json.dumps(TEXTS)), np.float32)
    embedder = embedders.open_embedder(said["model"], threads=1)
    assert embedder is not None
    ours = embedder.passages(TEXTS)
    embedder.close()
    assert np.abs(ours - truth).max() < 1e-3
    assert said["agreement"]["max_difference"] < 1e-3
    assert ours[0] @ ours[1] > ours[0] @ ours[2] + 0.2
    assert embedders.model_of(embedder.identity) == registry.find(said["model"]).id


def test_minilm_with_8_bits_is_what_documents_then_use(ready: Path, tmp_path: Path) -> None:
    import json

    said = exported(real_models.minilm(), tmp_path / "MiniLM-int8", int8=True)
    assert said["int8"]["verdict"] == "good"
    assert said["int8"]["cosine"] > 0.98
    truth = np.array(in_environment(MINILM, str(real_models.minilm()), json.dumps(TEXTS)), np.float32)
    embedder = embedders.open_embedder(said["model"], threads=1)
    assert embedder is not None
    cosines = (embedder.passages(TEXTS) * truth).sum(1)
    embedder.close()
    assert 0.97 < cosines.min() < 0.99999  # not the 32-bit file, and close to it


def test_a_reranker_ranks_as_its_checkpoint_does(ready: Path, tmp_path: Path) -> None:
    import json

    source = tiny_checkpoints(tmp_path / "from", "reranker") / "reranker"
    said = exported(source, tmp_path / "tiny-rerank")
    question, passages = "Who pays the deposit back?", ["The landlord returns it.", "早上的港口很安静。", "Boats."]
    truth = in_environment(SCORES, str(source), json.dumps([[question, passage] for passage in passages]))
    reranker = open_reranker(said["model"], threads=1)
    assert reranker is not None
    scores = reranker.scores(question, passages)
    reranker.close()
    assert np.abs(np.array(scores) - truth).max() < 1e-4
    assert max(scores) - min(scores) > 1e-3
