"""The job `quantize`: a GGUF model in smaller numbers, by a recipe or under a number of bytes.

Everything grows in the job's folder; what llama.cpp wrote is checked against the preview and then renamed, once.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.digests import Digests
from convert.finish import compared, publish, settle
from convert.mix import odd_tensor
from convert.note import note, told
from convert.quantize_plan import Plan, Source, plan, read_source, with_types
from convert.recipe import Recipe, recipe
from convert.report import Facts, origin
from convert.stages import stage
from engine.api.errors import UserError
from engine.api.job import Job
from engine.api.report_files import report_file
from engine.llama.ggml_types import PLAIN, needs_importance
from engine.llama.quantize import Request, dry_run, quantize, verify, written
from models.hardware import allowed_cores, free_disk
from models.registry import disk_full

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Importance = Mapping[str, NDArray[np.float32]]

SPARE = 32 << 20  # bytes of disk that stay free
LOW_BITS = 6.0  # below this a source has lost something that shows when it is quantized again
AUTO_CHUNKS = 32  # of 512 tokens; published comparisons find no steady gain from more


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: source, out, type (a recipe), imatrix ("", "auto" or a path), overrides [[pattern, type], …],
    budget_bytes (0 = by type), dry_run, keep_split, threads (0 = all), report (compare with the source; true),
    report_text, report_chunks, text and imatrix_chunks (for imatrix "auto").

    Result: {path, files, bytes, sha256, bits, type, tensors: [{name, shape, from, to, bytes, fallback}], fallbacks,
    warnings, report, comparison}. Raises Cancelled and UserError unknown_recipe, bad_override, needs_importance,
    wrong_importance, budget_too_small, same_file, disk_full, and those of quantizing and of reading the source.
    """
    source, out = read_source(Path(params["source"])), Path(params["out"])
    _check_place(source, out)
    asked = recipe(params.get("type") or "Q4_K_M", params.get("overrides") or ())
    importance, entries = _importance(params, source, job)
    chosen = _chosen(params, source, asked, importance, job)
    split = bool(params.get("keep_split")) and len(source.files) > 1
    planned = plan(source, chosen, imatrix=bool(importance), keep_split=split)
    _check_importance(planned, importance)
    request = _request(params, job, planned, importance, entries)
    if params.get("dry_run"):
        said = {name: after for name, (_, after) in dry_run(request).items()}
        return _result(_confirmed(planned, said, job), [], out, "")
    _check_room(planned, job.folder, out)
    with Digests(source.files) as digests:
        planned, files = _quantized(planned, request, job)
        quality = compared(source.path, files[0], params, job) if _measures(planned, params, split) else None
        return _deliver(planned, files, out, params, quality, digests.found(job), job)


def _quantized(planned: Plan, request: Request, job: Job) -> tuple[Plan, list[Path]]:
    """Run llama.cpp, or take what an earlier try of this job has made already, and check it. The plan as it came."""
    if not job.state.get("quantized") or not written(request):  # it may have its name already
        quantize(request, lambda done, _, __, name: job.step(done, planned.file_bytes, "bytes", name))
    files = written(request)
    planned = _confirmed(planned, {tensor.name: tensor.type for tensor in verify(files)}, job)
    job.save({"quantized": True})
    return planned, files


def _measures(planned: Plan, params: dict[str, Any], split: bool) -> bool:
    """Whether the result is to be compared with its source: not where no value becomes less than 16 bits."""
    smaller = any(line.after not in PLAIN and line.after != line.before for line in planned.lines)
    return bool(params.get("report", True)) and not split and smaller


def _check_place(source: Source, out: Path) -> None:
    """The result must not take the place of what it is made from."""
    same = any(out.exists() and file.samefile(out) for file in source.files)
    if same or out.absolute() in [file.absolute() for file in source.files]:
        raise UserError(
            "same_file",
            f"{out.name} is the model itself; it would be lost.",
            "Choose another name for the result.",
            name=out.name,
        )


def _importance(params: dict[str, Any], source: Source, job: Job) -> tuple[Importance, dict[str, str | int]]:
    """Importances by tensor, those of the model only, and what the result's header says of them."""
    from convert.imatrix import read, weights

    named = str(params.get("imatrix") or "")
    if not named or recipe(str(params.get("type") or "Q4_K_M")).plain:
        return {}, {}
    file = computed(params, source.path, job) if named == "auto" else Path(named)
    found = read(file)
    every = weights(found)
    usable = {name: every[name] for name, shape in source.shapes.items() if name in every}
    wrong = [name for name, values in usable.items() if values.size != _columns(source, name)]
    if wrong or not usable:
        name = next(iter(wrong or every))
        raise UserError(
            "wrong_importance",
            f"{file.name} was made with another model: it does not fit {name}.",
            "Choose the importance matrix of this model, or have one computed.",
            name=file.name,
            tensor=name,
        )
    said: dict[str, str | int] = {"quantize.imatrix.file": file.name, "quantize.imatrix.entries_count": len(usable)}
    said |= {"quantize.imatrix.chunks_count": found.chunks}
    return usable, said | ({"quantize.imatrix.dataset": found.datasets[0]} if found.datasets else {})


def _columns(source: Source, name: str) -> int:
    shape = source.shapes[name]
    return shape[0] * (shape[2] if len(shape) > 2 else 1)


def computed(params: dict[str, Any], model: Path, job: Job) -> Path:
    """An importance matrix of `text` (the built-in one), made within this job; an earlier try's is used again."""
    from convert.jobs import imatrix

    file = job.folder / "imatrix.gguf"
    text = params.get("text") or "builtin"
    asked = {"model": str(model), "out": str(file), "text": text, "threads": params.get("threads") or 0}
    stage(job, "imatrix", imatrix.run, asked | {"chunks": int(params.get("imatrix_chunks") or AUTO_CHUNKS)})
    return file


def _chosen(params: dict[str, Any], source: Source, asked: Recipe, importance: Importance, job: Job) -> Recipe:
    """The recipe asked for, or the best one under the budget."""
    budget = int(params.get("budget_bytes") or 0)
    if not budget:
        return asked
    from convert.target import forced, measure, search

    errors = measure(
        source,
        importance,
        job.folder / "measured.jsonl",
        lambda done, total, name: job.step(done, total, "tensors", name),
        also=[item.type for item in asked.overrides],
        threads=int(params.get("threads") or 0),
    )
    return search(source, budget, forced(errors, asked))


def _check_importance(planned: Plan, importance: Importance) -> None:
    for name in planned.wanting:
        if name not in importance:
            raise needs_importance(planned.types[name], name)


def _request(
    params: dict[str, Any], job: Job, planned: Plan, importance: Importance, entries: dict[str, str | int]
) -> Request:
    split = bool(params.get("keep_split")) and len(planned.source.files) > 1
    return Request(
        source=planned.source.files[0],
        out=job.folder / ("model" if split else "model.gguf"),
        folder=job.folder,
        file_type=planned.recipe.file_type,
        overrides=tuple((item.pattern, item.type) for item in planned.recipe.overrides),
        importance=importance,
        entries=entries,
        allow_requantize=True,
        keep_split=split,
        threads=int(params.get("threads") or allowed_cores(os.cpu_count() or 1)),
    )


def _confirmed(planned: Plan, said: dict[str, str], job: Job) -> Plan:
    """The preview as llama.cpp itself sees it; should the two ever differ, its word counts."""
    if set(said) != set(planned.types):
        reason = note("read_otherwise", "is read by llama.cpp in another way")
        raise odd_tensor(min(set(said) ^ set(planned.types)), reason)
    if said == planned.types:
        return planned
    job.note("llama.cpp mixes this model in another way than the preview said", "warning")
    return with_types(planned, said)


def _check_room(planned: Plan, *folders: Path) -> None:
    need = planned.file_bytes + SPARE
    for folder in folders:
        free = free_disk(folder)
        if need > free:
            raise disk_full(need, free)


def _deliver(
    planned: Plan,
    files: list[Path],
    out: Path,
    params: dict[str, Any],
    quality: dict[str, Any] | None,
    sources: list[dict[str, Any]],
    job: Job,
) -> dict[str, Any]:
    """Hash what was written, make it safe on the disk, give it its name, put the report beside it."""
    with Digests(files) as digests:
        for file in files:
            settle(file)
        hashed = digests.found(job)
    result = _result(planned, files, out, hashed[0]["sha256"])
    facts = Facts(
        source=origin(planned.source.path, sources, planned.source.licence) | {"bits": planned.source.bits},
        result={name: result[name] for name in ("type", "bits", "bytes", "sha256")} | {"name": out.name},
        settings={name: params[name] for name in ("type", "imatrix", "overrides", "budget_bytes") if params.get(name)},
        tensors=dict(Counter(planned.types.values())),
        quality=quality,
        warnings=result["warnings"],
    )
    names = publish(files, out, facts, planned.source.path)
    told = {"path": str(names[0]), "files": [str(name) for name in names], "report": str(report_file(names[0]))}
    return result | told | ({"comparison": quality} if quality else {})


def _result(planned: Plan, files: list[Path], out: Path, sha256: str) -> dict[str, Any]:
    shown = planned.to_json()
    size = sum(file.stat().st_size for file in files) or planned.file_bytes
    return {
        **{name: shown[name] for name in ("type", "bits", "tensors", "fallbacks", "fallback_tensors")},
        "path": str(out),
        "files": [str(file) for file in files],
        "bytes": size,
        "sha256": sha256,
        "warnings": warnings(planned),
        "notes": told(warnings(planned)),
        "report": "",
    }


def warnings(planned: Plan) -> list[str]:
    """What a person should know of this plan beforehand, in English."""
    source = planned.source
    found: list[str] = []
    if planned.requantized and source.bits < LOW_BITS:
        text = (
            "The source is quantized already ({type}, {bits} bits): doing it again loses more than going from the "
            "original in 16 bits."
        )
        found.append(note("requantized", text, type=source.quantized, bits=f"{source.bits:.2f}"))
    elif planned.requantized:
        text = "The source is quantized already ({type}); the loss of that stays."
        found.append(note("quantized_source", text, type=source.quantized))
    if source.quantized and planned.bits >= source.bits:
        found.append(note("no_smaller", "The result is no smaller than the source, and no better."))
    if planned.fallbacks:
        found.append(_fallback_words(planned))
    return found


def _fallback_words(planned: Plan) -> str:
    into = ", ".join(dict.fromkeys(given for _, given in planned.fallbacks))
    return note(
        "fell_back",
        "{type} is {bits} bits here: {count} of {all} tensors become {into} instead, because their rows do not fill "
        "its blocks.",
        type=planned.recipe.id,
        bits=f"{planned.bits:.2f}",
        count=planned.fallbacks.total(),
        all=len(planned.lines),
        into=into,
    )
