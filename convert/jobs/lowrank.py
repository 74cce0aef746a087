"""The job `lowrank`: matrices of a lower rank, in two uses.

A checkpoint whose matrices are rounded to a rank: llama.cpp cannot run factors, so they are multiplied again and the
result is as large as before; it shows what a rank costs. Or, with `of`, an adapter that gives a quantized model back
some of what it lost; whether that helps is measured.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convert import hub_source
from convert.adapter import Placed, planned
from convert.checkpoint import FLOATS, Checkpoint, Source, open_checkpoint
from convert.config import Config
from convert.digests import hashed
from convert.finish import chunks_for, filling, fresh_folder, publish, publish_checkpoint
from convert.gguf_source import GGUF, open_gguf
from convert.jobs.merge import copy_rest, plain
from convert.lowrank import Rank, factors, product, rank_of
from convert.note import note, told
from convert.operations import Laid, laid
from convert.plan import FILE_TYPES, Plan
from convert.report import Facts, origin
from convert.residual import Thin, Whole, chosen, compiled, entries_of, left_out, nothing, thin, whole_of
from convert.safetensors_file import Wanted, write_checkpoint
from convert.stages import stage
from convert.stream import write
from convert.values import as_float32
from engine.api.errors import UserError
from engine.api.hub_names import hub_names
from engine.api.job import Job
from engine.api.report_files import report_file

IN_BLOCKS = r".*\.\d+\..*weight"
SAVES_NOTHING = note(
    "rank_saves_nothing",
    "This saves no bytes by itself: llama.cpp cannot run the factors, so they are multiplied again. "
    "Convert the folder and compare it with the original to see what the rank costs.",
)


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: source, out, rank (a whole number, or a share of the squares to keep), pattern (a regular expression over
    tensors' names; the matrices in the blocks by default). With `of` (the quantized GGUF): source is what it was made
    of (a checkpoint or a GGUF), out a GGUF adapter, imatrix weighs what is lost, type is the adapter's (f16), report
    compares with and without it (true), report_text, report_chunks, threads.

    Result without `of`: {path, bytes, files, tensors: [{name, rank, kept}], report, warnings, notes}; with it {path,
    bytes, sha256, alpha, tensors, kept, before, comparison, report, warnings, notes}. Raises UserError bad_rank,
    nothing_to_factor, not_made_of, packed_base, unknown_type, wrong_importance, disk_full, disk_full_anew and those
    of opening.
    """
    if hub_names(params):
        return hub_source.brought(run, params, job)
    rank = rank_of(params.get("rank"))
    return _adapter(params, rank, job) if params.get("of") else _rounded(params, rank, job)


# A checkpoint of a lower rank ---------------------------------------------------------------------------------------


def _rounded(params: dict[str, Any], rank: Rank, job: Job) -> dict[str, Any]:
    checkpoint, out = plain(Path(params["source"])), Path(params["out"])
    fits = compiled(str(params.get("pattern") or IN_BLOCKS), checkpoint.folder.name)
    made: list[dict[str, Any]] = []
    tensors = [_wanted(source, fits, rank, checkpoint, made) for source in checkpoint.tensors.values()]
    if not any(_is_matrix(source, fits) for source in checkpoint.tensors.values()):
        raise nothing(checkpoint.folder.name, fits.pattern)
    with fresh_folder(job, out.name) as folder:
        files = write_checkpoint(folder, tensors, job, [checkpoint])
        copy_rest(checkpoint.folder, folder)
        said = {"rank": params["rank"], "source": checkpoint.folder.name, "tensors": made, "note": SAVES_NOTHING}
        (folder / "lowrank.json").write_text(json.dumps(said, indent=1, ensure_ascii=False), encoding="utf-8")
        open_checkpoint(folder)
        facts = _facts(checkpoint, params, job)
        size = publish_checkpoint(folder, files, out, facts, checkpoint.folder, job)
    found = {"path": str(out), "bytes": size, "files": [file.name for file in files], "tensors": made}
    found["report"] = str(report_file(out))
    return found | {"warnings": [SAVES_NOTHING], "notes": told([SAVES_NOTHING])}


def _facts(checkpoint: Checkpoint, params: dict[str, Any], job: Job) -> Facts:
    source = origin(checkpoint.folder, hashed(checkpoint.files, job))
    settings = {name: params[name] for name in ("rank", "pattern") if params.get(name)}
    return Facts(source, {"type": checkpoint.dtype()}, settings, warnings=[SAVES_NOTHING])


def _is_matrix(source: Source, fits: re.Pattern[str]) -> bool:
    return len(source.shape) == 2 and source.dtype in FLOATS and bool(fits.fullmatch(source.name))


def _wanted(
    source: Source, fits: re.Pattern[str], rank: Rank, checkpoint: Checkpoint, made: list[dict[str, Any]]
) -> Wanted:
    pieces = partial(_reduced, source, rank, checkpoint, made) if _is_matrix(source, fits) else partial(_same, source)
    return Wanted(source.name, source.shape, source.dtype, pieces)


def _same(source: Source) -> Iterator[tuple[Laid, str]]:
    yield laid(source.array()), source.dtype


def _reduced(
    source: Source, rank: Rank, checkpoint: Checkpoint, made: list[dict[str, Any]]
) -> Iterator[tuple[Laid, str]]:
    found = factors(as_float32(source.array(), source.dtype), rank)
    made.append({"name": source.name, "rank": found.a.shape[0], "kept": found.kept})
    yield laid(product(found)), "F32"
    checkpoint.forget()


# What quantizing lost, as an adapter --------------------------------------------------------------------------------


def _adapter(params: dict[str, Any], rank: Rank, job: Job) -> dict[str, Any]:
    kind = str(params.get("type") or "f16").upper()
    if kind not in FILE_TYPES:
        raise UserError(
            "unknown_type", f"There is no type {kind}.", f"Choose one of {', '.join(FILE_TYPES)}.", name=kind
        )
    quantized, whole = open_gguf(Path(params["of"])), whole_of(Path(params["source"]))
    names = chosen(whole, quantized, str(params.get("pattern") or ""))
    with filling(Path(params["out"]).name):
        found = _thins(names, whole, quantized, rank, _importance(params, quantized, names), job)
    tensors = planned([Placed(one.name, one.a, one.b) for one in found], kind)
    entries = entries_of(quantized, {one.a.shape[0] for one in found}, FILE_TYPES[kind])
    file, out = job.folder / "adapter.gguf", Path(params["out"])
    written = write(Plan("", entries, tensors), Checkpoint(job.folder, Config({}), {}), file, job)
    measured = _measured(params, file, job) if params.get("report", True) else {}
    result: dict[str, Any] = {"bytes": written.bytes, "sha256": written.sha256, "tensors": len(found)}
    result |= {
        "alpha": entries["adapter.lora.alpha"][1],
        "kept": float(np.mean([one.kept for one in found])),
        "type": kind,
    }
    said = words(result, quantized, measured) + left_out(quantized, str(params.get("pattern") or ""))
    facts = Facts(
        source=_sources(whole, quantized, job),
        result={name: result[name] for name in ("type", "bytes", "sha256")} | {"name": out.name},
        settings={name: params[name] for name in ("rank", "of", "imatrix", "pattern") if params.get(name)},
        quality=measured.get("comparison"),
        warnings=said,
    )
    publish([file], out, facts, whole.path)
    result |= measured | {"path": str(out), "report": str(report_file(out))}
    return result | {"warnings": said, "notes": told(said)}


def _sources(whole: Whole, quantized: GGUF, job: Job) -> dict[str, Any]:
    rows = hashed([*whole.files, *quantized.files], job)
    return origin(whole.path, rows, str(quantized.value("general.license", "")))


def _importance(params: dict[str, Any], quantized: GGUF, names: list[str]) -> dict[str, NDArray[np.float32]]:
    """Mean squares of what goes into each matrix, where a file of them is given. Raises UserError wrong_importance."""
    if not params.get("imatrix"):
        return {}
    from convert.imatrix import read, weights

    file = Path(params["imatrix"])
    found = weights(read(file))
    for name in names:
        if name in found and found[name].size != quantized.tensors[name].shape[-1]:
            raise UserError(
                "wrong_importance",
                f"{file.name} was made with another model: it does not fit {name}.",
                "Choose the importance matrix of this model, or have one computed.",
                name=file.name,
                tensor=name,
            )
    return found


def _thins(
    names: list[str],
    whole: Whole,
    quantized: GGUF,
    rank: Rank,
    importance: dict[str, NDArray[np.float32]],
    job: Job,
) -> list[Thin]:
    """One matrix after the other; what an earlier try of this job has computed is read again."""
    folder = job.folder / "pairs"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, name in enumerate(names):
        job.step(number, len(names), "tensors", name)
        file = folder / f"{number}.npy"
        if not file.exists():
            _keep(file, *thin(name, whole, quantized, rank, importance.get(name)))
            whole.forget()
            quantized.forget()
        found.append(_kept(file, name, quantized.tensors[name].shape))
    return found


def _keep(file: Path, a: NDArray[np.float32], b: NDArray[np.float32], kept: float) -> None:
    """One file a matrix: a, then b, then the share; it gets its name when it is whole."""
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as stream:
        np.save(stream, np.concatenate([a.ravel(), b.ravel(), np.array([kept], np.float32)]))
    unfinished.replace(file)


def _kept(file: Path, name: str, shape: tuple[int, ...]) -> Thin:
    values = np.load(file, mmap_mode="r")
    outputs, inputs = shape
    rank = (values.size - 1) // (outputs + inputs)
    a, b = values[: rank * inputs], values[rank * inputs : -1]
    return Thin(name, a.reshape(rank, inputs), b.reshape(outputs, rank), float(values[-1]))


def _measured(params: dict[str, Any], adapter: Path, job: Job) -> dict[str, Any]:
    """The quantized model beside the whole one, without the adapter and with it: {"before", "comparison"}."""
    from convert.jobs import compare, convert

    source = Path(params["source"])
    whole = source if source.is_file() else job.folder / "whole.gguf"
    if source.is_dir():
        asked = {"source": str(source), "out": str(whole), "type": "f16", "bare": True, "report": False}
        stage(job, "convert", convert.run, asked)
    chunks = int(params.get("report_chunks") or 0) or chunks_for(whole)
    asked = {"a": str(whole), "b": str(params["of"]), "text": params.get("report_text") or "builtin", "chunks": chunks}
    asked["threads"] = params.get("threads") or 0
    before = stage(job, "without", compare.run, asked)
    after = stage(job, "with", compare.run, asked | {"adapter": str(adapter)})
    if source.is_dir():
        whole.unlink(missing_ok=True)
    return {"before": before, "comparison": after}


def words(result: dict[str, Any], quantized: GGUF, measured: dict[str, Any]) -> list[str]:
    """What the adapter costs and what it brings, in plain lines."""
    size = note(
        "residual_size",
        "An adapter for {name}, {part} % of its bytes, for {count} matrices.",
        name=quantized.path.name,
        part=f"{100 * result['bytes'] / max(1, quantized.path.stat().st_size):.0f}",
        count=result["tensors"],
    )
    if not measured:
        return [size, note("residual_unmeasured", "What the adapter brings was not measured.")]
    before, after = measured["before"], measured["comparison"]
    brings = note(
        "residual_brings",
        "With it the distance from the source (KL divergence) is {kl} instead of {kl_before}, the same first choice of "
        "word {same} % instead of {same_before} %.",
        kl=f"{after['kl_mean']:.4f}",
        kl_before=f"{before['kl_mean']:.4f}",
        same=f"{100 * after['top1']:.1f}",
        same_before=f"{100 * before['top1']:.1f}",
    )
    if after["kl_mean"] >= before["kl_mean"]:
        return [size, brings, note("residual_no_help", "The adapter does not help: do without it.")]
    larger = note(
        "residual_or_larger",
        "It also takes time at every word. Where the file may be another, compare with a larger type of as many bytes.",
    )
    return [size, brings, larger]
