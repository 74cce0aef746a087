"""Encoders for search in documents: folders in Hugging Face layout, with safetensors or with an ONNX graph."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from models import safetensors_header
from models.damage import damaged
from models.shape import Shape

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
GRAPHS = ("onnx/model_qint8_avx512_vnni.onnx", "onnx/model_quantized.onnx", "onnx/model.onnx", "model.onnx")
BESIDE = ("1_Pooling/config.json", "sentence_bert_config.json", "modules.json")  # what else is read, where it is
CHECKPOINTS = ("bert", "xlm-roberta", "roberta", "camembert")  # networks whose weights are made a graph here
_OTHERS = ("distilbert", "mpnet", "electra", "albert", "deberta", "deberta-v2", "nomic_bert", "new", "modernbert")
NETWORKS = (*CHECKPOINTS, *_OTHERS)
TRAILS = ("_data", ".data")  # weights that did not fit into the graph's own file
_LARGEST_JSON = 100 * 2**20


@dataclass(frozen=True)
class Encoder:
    """What an encoder's folder says. Sizes in bytes, `context` in tokens; `ranks`: it scores pairs of texts.

    `files` are relative to the folder, the weights first.
    """

    folder: Path
    architecture: str
    parameters: int
    quantization: str
    bytes: int
    context: int
    ranks: bool
    shape: Shape
    files: tuple[str, ...]


def is_encoder(folder: Path) -> bool:
    """Whether a folder's config names an encoder, and there are weights that can be used."""
    config = _config(folder)
    return config is not None and _weights(folder, str(config.get("model_type"))) != ""


def read(folder: Path) -> Encoder:
    """Raises UserError not_an_encoder, missing_part, damaged_model."""
    config = _config(folder)
    kind = str((config or {}).get("model_type"))
    weights = _weights(folder, kind)
    if config is None or not weights:
        raise UserError(
            "not_an_encoder",
            f"{folder.name} is no encoder for search in documents.",
            "Choose a folder with config.json, tokenizer.json and model.safetensors or an ONNX file.",
            name=folder.name,
        )
    if not (folder / TOKENIZER).is_file():
        raise UserError(
            "missing_part", f"{TOKENIZER}, a part of this model, is missing.", "Put it back.", name=TOKENIZER
        )
    files = tuple(wanted(weights, [name for name in _names(folder) if (folder / name).is_file()]))
    parameters, quantization = _numbers(folder / weights) if weights == WEIGHTS else (0, "ONNX")
    return Encoder(
        folder=folder,
        architecture=kind,
        parameters=parameters,
        quantization=quantization,
        bytes=sum((folder / name).stat().st_size for name in files),
        context=_number(config, "max_position_embeddings"),
        ranks=any("SequenceClassification" in str(name) for name in _list(config.get("architectures"))),
        shape=_shape(config),
        files=files,
    )


def weights_of(model_type: str, names: list[str]) -> str:
    """Of a folder's files the one with the weights to use; "" if there is none, or the network is no encoder."""
    if model_type in CHECKPOINTS and WEIGHTS in names:
        return WEIGHTS
    return next((name for name in GRAPHS if name in names), "") if model_type in NETWORKS else ""


def wanted(weights: str, names: list[str]) -> list[str]:
    """Of a folder's files those that are the model, weights first; never a name that is not known here."""
    known = (weights, *(weights + trail for trail in TRAILS), CONFIG, TOKENIZER, *BESIDE)
    return [name for name in known if name in names]


def inside(path: Path) -> Path | None:
    """The encoder's folder that `path` is, or is the weights of; None if it is none."""
    for folder in (path,) if path.is_dir() else (path.parent, path.parent.parent):
        if path in (folder, folder / WEIGHTS, *(folder / name for name in GRAPHS)) and is_encoder(folder):
            return folder
    return None


def _names(folder: Path) -> list[str]:
    trails = [graph + trail for graph in GRAPHS for trail in TRAILS]
    return [WEIGHTS, *GRAPHS, *trails, CONFIG, TOKENIZER, *BESIDE]


def _weights(folder: Path, kind: str) -> str:
    return weights_of(kind, [name for name in (WEIGHTS, *GRAPHS) if (folder / name).is_file()])


def _config(folder: Path) -> dict[str, Any] | None:
    try:
        if (folder / CONFIG).stat().st_size > _LARGEST_JSON:
            return None
        said = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def _numbers(path: Path) -> tuple[int, str]:
    """Parameters of a safetensors file and the kind most of them are, its length checked."""
    try:
        rows, _ = safetensors_header.read(path)
    except (OSError, ValueError) as error:
        raise damaged(path, str(error)) from None
    kinds: dict[str, int] = {}
    for row in rows.values():
        kinds[row["dtype"]] = kinds.get(row["dtype"], 0) + math.prod(row["shape"])
    count = sum(count for kind, count in kinds.items() if "F" in kind)
    return count, max(kinds, key=lambda kind: kinds[kind], default="")


def _shape(config: dict[str, Any]) -> Shape:
    layers, heads = _number(config, "num_hidden_layers"), _number(config, "num_attention_heads")
    width = _number(config, "hidden_size")
    if not layers or not heads or layers > 1000:
        return Shape()
    return Shape(
        layers=layers,
        embedding=width,
        heads=heads,
        kv_heads=(heads,) * layers,
        key_length=width // heads,
        value_length=width // heads,
        feed_forward=_number(config, "intermediate_size"),
        vocabulary=_number(config, "vocab_size"),
        sliding=(False,) * layers,
    )


def _number(config: dict[str, Any], name: str) -> int:
    value = config.get(name)
    return value if isinstance(value, int) and 0 < value < 2**31 else 0


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
