"""Checkpoint -> ONNX files that say the same as their source, in the exporter's environment."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from convert.onnx import agreement, four_bits, int8, running
from convert.onnx.running import DECODER, ENCODER, SINGLE, Array, Graph
from convert.onnx.source_model import EVERY, GENERATED, Asked, continuation, load, said
from convert.onnx.task import ANSWERS, SCORES, TEXT

KINDS = {TEXT: "text", ANSWERS: "text", SCORES: "scores"}
MEASURES = {"text": agreement.text, "scores": agreement.scores, "vectors": agreement.vectors}
LIBRARIES = ("torch", "transformers", "optimum", "optimum-onnx", "onnx", "onnxruntime")
STAGES = ("start", "int4", "load", "ask", "trace", "compare", "int8", "compare int8", "compare int4")


def export(request: dict[str, Any], stage: Callable[[str], None]) -> dict[str, Any]:
    """Write the files into the folder "out". The result: "graphs", "agreement", "int8", "int4", "versions", "seeded".

    4 bits come first: what their builder cannot take is known before anything is traced, and its memory is free again.
    """
    source, out, task = Path(request["source"]), Path(request["out"]), str(request["task"])
    threads = int(request["threads"])
    _threads(threads)
    if request["int4"]:
        stage("int4")
        four_bits.build(source, out, threads)
    stage("load")
    model = load(source, task)
    stage("ask")
    asked = Asked(source, model, task)
    truth = Truth(model, asked)
    stage("trace")
    _trace(model, source, out, task)
    del model
    gc.collect()
    stage("compare")
    judged = agreement.judged(truth.kind, truth.figures(out, "", threads))
    result: dict[str, Any] = {"agreement": judged, "versions": versions(), "seeded": asked.tokenizer is None}
    _tokenizer_file(asked, source, out)
    graphs = [name for name in (SINGLE, ENCODER, DECODER) if (out / f"{name}.onnx").is_file()]
    if request["int8"] and judged["holds"]:
        result["int8"] = _small(truth, out, graphs, request, stage)
    if request["int4"] and judged["holds"]:
        stage("compare int4")
        result["int4"] = _four(truth, out, threads)
        result["versions"] |= versions((four_bits.PACKAGE,))
    return result | {"graphs": graphs}


class Truth:
    """What the source says, to hold exports against."""

    def __init__(self, model: Any, asked: Asked) -> None:
        self.asked = asked
        self.kind = next((kind for task, kind in KINDS.items() if asked.task.startswith(task)), "vectors")
        self.said = said(model, asked)
        self.continued = continuation(model, asked) if asked.task.startswith(TEXT) else []

    def figures(self, out: Path, trail: str, threads: int) -> dict[str, Any]:
        """Those of the files in `out` whose names end in `trail`."""
        if self.asked.task.startswith(ANSWERS):
            both = [Graph(out / f"{name}{trail}.onnx", threads) for name in (ENCODER, DECODER)]
            return agreement.text(self.said, self._answers(*both))
        graph = Graph(out / f"{SINGLE}{trail}.onnx", threads)
        if self.continued:
            return self.written(graph)
        return MEASURES[self.kind](self.said, running.encoded(graph, self.asked.batch()))

    def written(self, graph: Graph) -> dict[str, Any]:
        """The figures of a network that writes."""
        ids = [self.asked.ids(text)["input_ids"] for text in self.asked.texts]
        figures = agreement.text(self.said, [running.written(graph, one) for one in ids])
        return figures | {"same_writing": self._same(graph, ids[::EVERY])}

    def _answers(self, encoder: Graph, decoder: Graph) -> list[Array]:
        import numpy as np

        found = []
        for text in self.asked.texts:
            batch = {name: np.array([row], np.int64) for name, row in self.asked.ids(text).items()}
            found.append(running.answered(encoder, decoder, batch, self.asked.begun(text)))
        return found

    def _same(self, graph: Graph, ids: list[list[int]]) -> float:
        """The part of texts that both go on with in the same words."""
        pairs = zip(ids, self.continued, strict=True)
        return sum(running.continued(graph, one, GENERATED) == source for one, source in pairs) / len(ids)


def versions(names: tuple[str, ...] = LIBRARIES) -> dict[str, str]:
    """Of the libraries that made the files."""
    from importlib.metadata import version

    return {name: version(name) for name in names}


def _trace(model: Any, source: Path, out: Path, task: str) -> None:
    from optimum.exporters.onnx import onnx_export_from_model

    # Its own check runs on random numbers only and forgives what it finds; ours follows.
    onnx_export_from_model(model=model, output=out, task=task, do_validation=False)


def _small(
    truth: Truth, out: Path, graphs: list[str], request: dict[str, Any], stage: Callable[[str], None]
) -> dict[str, Any]:
    """All products in 8 bits; where that is not good, the delicate ones are left in 32, which costs size."""
    said: dict[str, Any] = {}
    for keep in ((), int8.DELICATE) if truth.kind == "text" else ((),):
        stage("int8")
        for name in graphs:
            int8.quantize(out / f"{name}.onnx", bool(request["reduced"]), keep)
        stage("compare int8")
        figures = truth.figures(out, int8.TRAIL, int(request["threads"]))
        said = agreement.loss(truth.kind, figures) | {"reduced": request["reduced"], "kept_in_32": list(keep)}
        if said["verdict"] == "good":
            break
    return said


def _four(truth: Truth, out: Path, threads: int) -> dict[str, Any]:
    figures = truth.written(four_bits.graph(out, threads))
    return agreement.loss(truth.kind, figures) | four_bits.told(out)


def _tokenizer_file(asked: Asked, source: Path, out: Path) -> None:
    """The one file that the application's own tokenizer reads, made of the older kinds where it is lacking."""
    if asked.tokenizer is not None and not (source / "tokenizer.json").is_file():
        asked.tokenizer.save_pretrained(out)


def _threads(threads: int) -> None:
    import torch

    if threads:
        torch.set_num_threads(threads)
