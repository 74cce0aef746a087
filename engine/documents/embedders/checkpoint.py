"""A checkpoint of an encoder in Hugging Face layout: what its config says, and its weights one by one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from models import safetensors_header
from models.damage import damaged
from models.encoder import CHECKPOINTS, CONFIG, WEIGHTS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

POOLING = Path("1_Pooling/config.json")
ROBERTA = CHECKPOINTS[1:]  # count places from the padding's number on
PREFIXES = ("", "bert.", "roberta.", "model.", "0.auto_model.")
HEADS = (("classifier.dense", "classifier.out_proj"), ("pooler.dense", "classifier"))


@dataclass(frozen=True)
class Encoder:
    """What the network is. `first_place`: rows of the position table that no token uses; `head`: dense layers of the
    ranking head in order, `classes` its outputs, 0 without one. `limit` in tokens."""

    folder: Path
    layers: int
    width: int
    heads: int
    epsilon: float
    activation: str
    limit: int
    first_place: int
    pooling: str
    head: tuple[str, ...]
    classes: int
    tensors: dict[str, dict[str, Any]] = field(repr=False)

    def weight(self, name: str) -> npt.NDArray[np.float32]:
        """A weight as 32-bit floats. Raises UserError damaged_model."""
        if name not in self.tensors:
            raise damaged(self.folder, f"{name} is missing")
        return _values(self.folder / WEIGHTS, self.tensors[name])


def read(folder: Path) -> Encoder:
    """Raises UserError damaged_model, unsupported_embedder."""
    config = _json(folder / CONFIG)
    kind = str(config.get("model_type", ""))
    if kind not in CHECKPOINTS or config.get("position_embedding_type", "absolute") != "absolute":
        raise _unsupported(folder, kind or "no model_type")
    tensors = _tensors(folder)
    head = next((head for head in HEADS if all(f"{name}.weight" in tensors for name in head)), ())
    first = int(config.get("pad_token_id") or 0) + 1 if kind in ROBERTA else 0
    try:
        return Encoder(
            folder=folder,
            layers=int(config["num_hidden_layers"]),
            width=int(config["hidden_size"]),
            heads=int(config["num_attention_heads"]),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            activation=str(config.get("hidden_act", "gelu")),
            limit=int(config["max_position_embeddings"]) - first,
            first_place=first,
            pooling=pooling_of(folder),
            head=head,
            classes=int(tensors[f"{head[-1]}.weight"]["shape"][0]) if head else 0,
            tensors=tensors,
        )
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise damaged(folder, f"config.json: {error}") from error


def is_encoder(folder: Path) -> bool:
    """Whether a folder holds a checkpoint that `read` takes."""
    try:
        return (folder / WEIGHTS).is_file() and _json(folder / CONFIG).get("model_type") in CHECKPOINTS
    except UserError:
        return False


def ranks(folder: Path) -> bool:
    """Whether a folder's config says that the model scores pairs instead of making vectors."""
    try:
        names = _json(folder / CONFIG).get("architectures")
    except UserError:
        return False
    return isinstance(names, list) and any("SequenceClassification" in str(name) for name in names)


def pooling_of(folder: Path) -> str:
    """What sentence-transformers' file says; mean where there is none."""
    if not (folder / POOLING).is_file():
        return "mean"
    said = _json(folder / POOLING)
    return "cls" if said.get("pooling_mode_cls_token") else "mean"


def _tensors(folder: Path) -> dict[str, dict[str, Any]]:
    """Name -> {dtype, shape, start, end} in bytes of the file, names without the prefix of the whole model."""
    try:
        rows, begin = safetensors_header.read(folder / WEIGHTS)
    except (OSError, ValueError) as error:
        raise damaged(folder, f"{WEIGHTS}: {error}") from error
    return {_bare(name): _placed(row, begin) for name, row in rows.items()}


def _bare(name: str) -> str:
    prefix = next((p for p in PREFIXES[1:] if name.startswith(p)), "")
    return name[len(prefix) :]


def _placed(row: dict[str, Any], begin: int) -> dict[str, Any]:
    start, end = row["data_offsets"]
    return {"dtype": row["dtype"], "shape": row["shape"], "start": begin + start, "end": begin + end}


def _values(path: Path, said: dict[str, Any]) -> npt.NDArray[np.float32]:
    import numpy as np

    if said["dtype"] not in ("F32", "F16", "BF16"):
        raise _unsupported(path.parent, said["dtype"])
    with path.open("rb") as file:
        file.seek(said["start"])
        data = file.read(said["end"] - said["start"])
    if said["dtype"] == "BF16":
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, "<f4" if said["dtype"] == "F32" else "<f2").astype(np.float32)
    if not np.isfinite(values).all():
        raise damaged(path.parent, "its weights are not numbers")
    return values.reshape(said["shape"])


def _json(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise damaged(path.parent, f"{path.name}: {error}") from error
    if not isinstance(said, dict):
        raise damaged(path.parent, path.name)
    return said


def _unsupported(folder: Path, what: str) -> UserError:
    return UserError(
        "unsupported_embedder",
        f"{folder.name} cannot be used for search in documents: {what} is not known here.",
        "Choose a BERT or XLM-RoBERTa encoder, a GGUF file, or an ONNX file.",
        name=folder.name,
        what=what,
    )
