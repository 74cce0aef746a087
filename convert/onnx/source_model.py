"""The source in torch: loaded without running anything of the checkpoint, asked before anything is traced.

Runs in the exporter's environment.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from convert.onnx.running import Array, Ids
from convert.onnx.task import ANSWERS, PAST, SCORES, TEXT
from convert.onnx.texts import PAIRS, TEXTS

LONGEST = 96  # tokens of a text that is asked
GENERATED, EVERY = 16, 2  # tokens that are written, after which of the texts
# Weights that no output of these tasks depends on.
SPARE = ("pooler.", "position_ids", "inv_freq", "masked_bias", "attn.bias", "token_type_ids")


class Refused(Exception):
    """The exporter cannot take this checkpoint; the code and values of a UserError."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code, self.values = code, values


def load(source: Path, task: str) -> Any:
    """The network in 32-bit floats. Raises Refused export_unsupported, export_missing_weights."""
    import torch
    from optimum.exporters.tasks import TasksManager

    config = _config(source, task)
    _check_task(config, task)
    plain = TasksManager.map_from_synonym(task.removesuffix(PAST))
    kind = TasksManager.get_model_class_for_task(plain, framework="pt", model_type=config.model_type)
    model, told = kind.from_pretrained(
        source,
        config=config,
        dtype=torch.float32,
        local_files_only=True,
        trust_remote_code=False,
        weights_only=True,
        output_loading_info=True,
    )
    _check_weights(told)
    model.config.use_cache = task.endswith(PAST)
    return model.eval()


def _config(source: Path, task: str) -> Any:
    """By the model_type, which old checkpoints lack: then by the architecture. transformers would look for a type's
    name in the folder's, and find "bit" in `my-8-bits`."""
    import transformers

    said = json.loads((source / "config.json").read_text(encoding="utf-8"))
    if said.pop("model_type", None):
        return transformers.AutoConfig.from_pretrained(source, local_files_only=True, trust_remote_code=False)
    name = str((said.get("architectures") or ["?"])[0])
    network = getattr(transformers, name, None) if name.isidentifier() else None
    kind = getattr(network, "config_class", None)
    if kind is None:
        raise Refused("export_unsupported", kind=name, task=task)
    return kind.from_dict(said)


def _check_task(config: Any, task: str) -> None:
    """Which networks can be traced is the exporter's to know."""
    import optimum.exporters.onnx.model_configs  # noqa: F401  fills the table
    from optimum.exporters.tasks import TasksManager

    kind = config.model_type
    if kind not in TasksManager._SUPPORTED_MODEL_TYPE:
        raise Refused("export_unsupported", kind=kind, task=task)
    if task not in TasksManager.get_supported_tasks_for_model_type(kind, "onnx", library_name="transformers"):
        raise Refused("export_unsupported", kind=kind, task=task)


def _check_weights(told: dict[str, Any]) -> None:
    """What is missing would be noise, and the export of noise agrees with itself."""
    lost = sorted(name for name in told["missing_keys"] if not any(word in name for word in SPARE))
    lost += sorted(str(name) for name in told["mismatched_keys"])
    if lost:
        raise Refused("export_missing_weights", count=len(lost), names=", ".join(lost[:3]))


class Asked:
    """What the source is asked, as numbers of its own tokenizer; seeded ones where it has none."""

    def __init__(self, source: Path, model: Any, task: str) -> None:
        self.task, self.config = task, model.config
        self.tokenizer = _tokenizer(source, model.config)
        self.texts: list[Any] = list(PAIRS if task == SCORES else TEXTS)
        self.longest = min(LONGEST, int(getattr(model.config, "max_position_embeddings", LONGEST) or LONGEST) - 4)

    def ids(self, text: Any) -> dict[str, list[int]]:
        """One text's inputs."""
        if self.tokenizer is None:
            return self._seeded(text)
        words = text if isinstance(text, tuple) else (text,)
        found = self.tokenizer(*words, truncation=True, max_length=self.longest)
        known = ("input_ids", "attention_mask", "token_type_ids")
        return {name: list(found[name]) for name in known if found.get(name)}

    def _seeded(self, text: Any) -> dict[str, list[int]]:
        draw = np.random.default_rng(len(str(text)))
        ids = draw.integers(3, self.config.vocab_size, 24).tolist()
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}

    def batch(self) -> dict[str, Ids]:
        """All texts padded to one length."""
        rows = [self.ids(text) for text in self.texts]
        longest = max(len(row["input_ids"]) for row in rows)
        pad = {"input_ids": int(getattr(self.config, "pad_token_id", 0) or 0)}
        return {
            name: np.array([row[name] + [pad.get(name, 0)] * (longest - len(row[name])) for row in rows], np.int64)
            for name in rows[0]
        }

    def begun(self, text: Any) -> list[int]:
        """A text as an answer: after the token that begins one."""
        start = getattr(self.config, "decoder_start_token_id", None)
        return [int(start if start is not None else 0), *self.ids(text)["input_ids"]][: self.longest]


def _tokenizer(source: Path, config: Any) -> Any:
    """The checkpoint's own, or None where there is none."""
    from transformers import AutoTokenizer

    names = ("tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json")
    if not any((source / name).is_file() for name in names):
        return None
    return AutoTokenizer.from_pretrained(source, config=config, local_files_only=True, trust_remote_code=False)


def said(model: Any, asked: Asked) -> list[Array]:
    """What the source puts out for each text, one at a time."""
    import torch

    with torch.no_grad():
        return [_one(model, asked, text) for text in asked.texts]


def _one(model: Any, asked: Asked, text: Any) -> Array:
    import torch

    given = {name: torch.tensor([row]) for name, row in asked.ids(text).items()}
    if asked.task.startswith(ANSWERS):
        given["decoder_input_ids"] = torch.tensor([asked.begun(text)])
    if asked.task.startswith((TEXT, ANSWERS)):
        given.pop("token_type_ids", None)
        given["use_cache"] = False
    out = model(**given)
    first = out.logits if "logits" in out else out.last_hidden_state
    return np.asarray(first[0].numpy(), np.float32)


def continuation(model: Any, asked: Asked) -> list[list[int]]:
    """The tokens that the source would write after every second text, the most likely ones."""
    import torch

    with torch.no_grad():
        return [_continued(model, asked.ids(text)["input_ids"]) for text in asked.texts[::EVERY]]


def _continued(model: Any, ids: list[int]) -> list[int]:
    import torch

    piece, past = torch.tensor([ids]), None
    found: list[int] = []
    while len(found) < GENERATED:
        out = model(input_ids=piece, past_key_values=past, use_cache=True)
        piece, past = out.logits[:, -1:].argmax(-1), out.past_key_values
        found.append(int(piece))
    return found
