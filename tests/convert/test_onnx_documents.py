"""An exported embedder is a model to choose in documents; a reranker is in test_onnx_export.py."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import real_models
from export_environment import in_environment, use_it

from convert.jobs import onnx as onnx_job
from engine.api.job import Job
from engine.documents import embedders

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


@pytest.fixture
def ready(home: Path) -> Path:
    use_it(home)
    return home


def test_minilm_searches_as_its_checkpoint_does(ready: Path, tmp_path: Path) -> None:
    """Checkpoint -> ONNX -> the application's own embedder: first the small file, and without it the whole one."""
    source, out = real_models.minilm(), tmp_path / "MiniLM"
    params = {"source": str(source), "out": str(out), "threads": 1, "int8": True}
    said = onnx_job.run(params, Job(tmp_path / "MiniLM.partial", params))
    truth = np.array(in_environment(MINILM, str(source), json.dumps(TEXTS)), np.float32)
    small = vectors(said["model"])
    (out / "onnx" / "model_quantized.onnx").unlink()
    whole = vectors(said["model"])
    assert np.abs(whole - truth).max() < 1e-3
    assert said["agreement"]["max_difference"] < 1e-3
    assert whole[0] @ whole[1] > whole[0] @ whole[2] + 0.2
    assert 0.97 < (small * truth).sum(1).min() < 0.99999
    assert said["int8"]["verdict"] == "good"


def vectors(model: str) -> npt.NDArray[np.float32]:
    embedder = embedders.open_embedder(model, threads=1)
    assert embedder is not None
    assert embedders.model_of(embedder.identity) == model
    found = embedder.passages(TEXTS)
    embedder.close()
    return found
