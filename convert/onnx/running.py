"""An exported network run by onnxruntime alone. Runs in the exporter's environment; needs numpy and onnxruntime."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
ENCODER, DECODER, SINGLE = "encoder_model", "decoder_model_merged", "model"
STEPS = 3  # tokens at the end that are given one by one


class Graph:
    """One ONNX file. `past`: names of the inputs that carry what was read before.

    `sides`: how long sides are that only have a name in the file, where they are not the length of a text.
    """

    def __init__(self, path: Path, threads: int = 0, sides: Mapping[str, int] | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.inputs = {one.name: one for one in self.session.get_inputs()}
        self.outputs = [one.name for one in self.session.get_outputs()]
        self.past = [name for name in self.inputs if name.startswith("past_key_values")]
        self._sides = sides or {}

    def run(self, given: dict[str, Any]) -> dict[str, Any]:
        """Outputs by name; what it does not ask for is left out."""
        wanted = {name: given[name] for name in self.inputs if name in given}
        return dict(zip(self.outputs, self.session.run(None, wanted), strict=True))

    def nothing_read(self) -> dict[str, Any]:
        """The past before the first token."""
        return {name: self._empty(name) for name in self.past}

    def _empty(self, name: str) -> Array:
        """One text, no tokens: the first side is the batch, every other named side is a length."""
        first, *rest = self.inputs[name].shape
        lengths = [side if isinstance(side, int) else self._sides.get(side, 0) for side in rest]
        return np.zeros([first if isinstance(first, int) else 1, *lengths], np.float32)


def encoded(graph: Graph, batch: dict[str, Ids]) -> list[Array]:
    """Of a padded batch the first output, a text each, without the padding."""
    out = next(iter(graph.run(batch).values()))
    if out.ndim == 2:
        return list(out)
    return [row[mask.astype(bool)] for row, mask in zip(out, batch["attention_mask"], strict=True)]


def written(graph: Graph, ids: list[int]) -> Array:
    """Logits (tokens, vocabulary) of a text, read in pieces so that what is kept of the past counts."""
    past, read = graph.nothing_read(), 0
    found: list[Array] = []
    for piece in pieces(ids):
        out = graph.run(_step(piece, read) | past)
        past, read = _kept(graph, out, past), read + len(piece)
        found.append(out["logits"][0])
    return np.concatenate(found)


def answered(encoder: Graph, decoder: Graph, batch: dict[str, Ids], ids: list[int]) -> Array:
    """Logits of a text that answers another one."""
    states = encoder.run(batch)["last_hidden_state"]
    given: dict[str, Any] = {"encoder_hidden_states": states, "encoder_attention_mask": batch["attention_mask"]}
    past, read = decoder.nothing_read(), 0
    found: list[Array] = []
    for piece in pieces(ids):
        branch = {"use_cache_branch": np.array([read > 0])}
        out = decoder.run(given | branch | _step(piece, read) | past)
        past, read = _kept(decoder, out, past), read + len(piece)
        found.append(out["logits"][0])
    return np.concatenate(found)


def continued(graph: Graph, ids: list[int], count: int) -> list[int]:
    """The most likely next tokens, one after the other."""
    past, read, piece = graph.nothing_read(), 0, ids
    found: list[int] = []
    while len(found) < count:
        out = graph.run(_step(piece, read) | past)
        past, read = _kept(graph, out, past), read + len(piece)
        piece = [int(out["logits"][0, -1].argmax())]
        found += piece
    return found


def pieces(ids: list[int]) -> list[list[int]]:
    """Half of a text at once, then the rest, the last tokens one by one."""
    half, last = max(1, len(ids) // 2), max(1, len(ids) // 2, len(ids) - STEPS)
    middle = [ids[half:last]] if last > half else []
    return [ids[:half], *middle, *([one] for one in ids[last:])]


def _step(piece: list[int], read: int) -> dict[str, Ids]:
    return {
        "input_ids": np.array([piece], np.int64),
        "attention_mask": np.ones((1, read + len(piece)), np.int64),
        "position_ids": np.arange(read, read + len(piece), dtype=np.int64)[None],
    }


def _kept(graph: Graph, out: dict[str, Any], past: dict[str, Any]) -> dict[str, Any]:
    """What was read so far. A merged decoder gives the encoder's part only once: later ones are empty."""
    found = {}
    for name in graph.past:
        present = out.get(name.replace("past_key_values", "present"))
        again = present is None or (".encoder." in name and past[name].shape[2] > 0)
        found[name] = past[name] if again else present
    return found
