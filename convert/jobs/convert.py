"""The job that makes a GGUF file of a checkpoint: planned from headers, then streamed, then checked, then renamed.

Small types are measured against the model in 16 bits, which is made beside them for that and then removed; without a
report, or with an importance matrix at hand, they come straight from the checkpoint and nothing lies between.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from convert import hub_source
from convert.conversion import Ready, prepare, shown
from convert.digests import Digests, remember
from convert.finish import compared, publish
from convert.note import told
from convert.plan import FILE_TYPES, Plan, check_room
from convert.projection import prepare_projector
from convert.quantized_stream import encoder
from convert.recipe import recipe
from convert.report import Facts, origin
from convert.split import write_split
from convert.stages import stage
from convert.stream import encode_slab, write
from convert.vocabulary.verify import Agreement, require, verify, write_alone
from convert.vocabulary.verify_apart import verified
from engine.api.errors import UserError
from engine.api.hub_names import hub_names
from engine.api.job import Job
from engine.api.report_files import report_file
from engine.llama.ggml_types import PLAIN


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: source (a checkpoint's folder, or its name on a hub: see convert.hub_source), out, type (a recipe),
    imatrix ("", "auto" or a file; overrides, text, imatrix_chunks, threads, report_text and report_chunks as for the
    job `quantize`), split_bytes (0: one file; several are not measured),
    report (measure a quantized result; true), override_vocabulary, dry_run, projector (its eyes instead of it).

    Gives path, bytes, sha256, bits, family, tensors, losses, warnings, vocabulary, report, comparison.
    """
    if hub_names(params):
        return hub_source.brought(run, params, job)
    out = Path(params["out"])
    imatrix = str(params.get("imatrix") or "")
    if params.get("projector"):
        return _eyes(params, job)
    ready = prepare(Path(params["source"]), params["type"], bool(imatrix), params.get("overrides") or ())
    if params.get("dry_run"):
        return shown(ready) | {"path": str(out), "sha256": ""}
    job.folder.mkdir(parents=True, exist_ok=True)
    if params.get("bare"):  # a stage of another conversion
        return _bare(_direct(ready, params, imatrix, job), params)
    with Digests(ready.checkpoint.files) as digests:  # begun first: the vocabulary takes one core and no disk
        agreement = _vocabulary(ready, params, job)
        if _staged(params, imatrix):
            found = _through_sixteen_bits(params, imatrix, ready, job)
        else:
            found = _measured(_direct(ready, params, imatrix, job), ready, params, job)
        return _published(found, ready, agreement, params, digests.found(job))


def _eyes(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """The projector of a model that sees, a file of its own: without a vocabulary, small enough to stay whole."""
    ready = prepare_projector(Path(params["source"]), params["type"])
    if params.get("dry_run"):
        return shown(ready) | {"path": params["out"], "sha256": ""}
    job.folder.mkdir(parents=True, exist_ok=True)
    with Digests(ready.checkpoint.files) as digests:
        found = _direct(ready, {**params, "split_bytes": 0}, "", job)
        return _published(found, ready, Agreement(0, 0), params, digests.found(job))


def _staged(params: dict[str, Any], imatrix: str) -> bool:
    """Whether the model in 16 bits is needed on the way."""
    quantized = recipe(params["type"]).type not in FILE_TYPES
    return imatrix == "auto" or (quantized and params.get("report", True) and not params.get("split_bytes"))


def _vocabulary(ready: Ready, params: dict[str, Any], job: Job) -> Agreement:
    """Our tokens against llama.cpp's, before anything large is written. Raises UserError vocabulary_disagrees."""
    path = job.folder / "vocabulary.gguf"
    write_alone(ready.vocabulary, path)
    try:
        folder = ready.checkpoint.folder
        if params.get("verify_apart", True):
            agreement = verified(folder, path, ready.vocabulary.size)
        else:
            agreement = verify(ready.vocabulary, folder, path, ready.checkpoint.config)
    finally:
        path.unlink(missing_ok=True)
    require(agreement, bool(params.get("override_vocabulary")))
    return agreement


def _direct(ready: Ready, params: dict[str, Any], imatrix: str, job: Job) -> dict[str, Any]:
    """Stream the file into the job's folder and read its header again."""
    check_room(ready.plan, Path(params["out"]))
    path = job.folder / "model.gguf"
    encode = encoder(_importance(imatrix)) if imatrix else encode_slab
    if params.get("split_bytes"):
        files, written = write_split(ready.plan, ready.checkpoint, path, job, encode, int(params["split_bytes"]))
    else:
        written = write(ready.plan, ready.checkpoint, path, job, encode)
        files = [path]
        _check(path, ready.plan)
    return shown(ready, written) | {"files": [str(file) for file in files], "sha256": written.sha256}


def _measured(found: dict[str, Any], ready: Ready, params: dict[str, Any], job: Job) -> dict[str, Any]:
    """8 bits come straight from the checkpoint; for their report the model in 16 bits is made beside them."""
    plain = recipe(params["type"]).type in PLAIN
    if plain or params.get("split_bytes") or not params.get("report", True):
        return found
    _, whole = _sixteen_bits(params, ready, job)
    return _with_comparison(found, whole, Path(found["files"][0]), params, job)


def _sixteen_bits(params: dict[str, Any], ready: Ready, job: Job) -> tuple[dict[str, Any], Path]:
    """The model in 16 bits, for what is measured with it; it goes with the job's folder."""
    kind = "bf16" if ready.checkpoint.dtype() == "BF16" else "f16"
    whole = job.folder / "whole.gguf"
    asked = {**params, "out": str(whole), "type": kind, "imatrix": "", "report": False, "split_bytes": 0, "bare": True}
    return stage(job, "convert", run, asked | {"overrides": []}), whole


def _through_sixteen_bits(params: dict[str, Any], imatrix: str, ready: Ready, job: Job) -> dict[str, Any]:
    """The model in 16 bits, quantized, compared with it."""
    from convert.jobs import quantize

    first, whole = _sixteen_bits(params, ready, job)
    if params.get("split_bytes"):
        return _direct(ready, params, str(quantize.computed(params, whole, job)), job)
    small = job.folder / "model.gguf"
    wanted = {"source": str(whole), "out": str(small), "type": params["type"], "imatrix": imatrix, "report": False}
    wanted |= {name: params[name] for name in ("overrides", "text", "imatrix_chunks", "threads") if params.get(name)}
    made = stage(job, "quantize", quantize.run, wanted)
    found = made | {"files": made["files"], "family": first["family"], "losses": first["losses"]}
    for name in ("warnings", "notes"):
        found[name] = [*first[name], *made[name]]
    return _with_comparison(found, whole, small, params, job) if params.get("report", True) else found


def _with_comparison(
    found: dict[str, Any], whole: Path, small: Path, params: dict[str, Any], job: Job
) -> dict[str, Any]:
    quality = compared(whole, small, params, job)
    return found | ({"comparison": quality} if quality else {})


def _bare(found: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
    made = Path(found["files"][0]).replace(params["out"])
    remember(made, found["sha256"])  # so that the next stage need not read it for that
    return found | {"path": params["out"]}


def _published(
    found: dict[str, Any], ready: Ready, agreement: Agreement, params: dict[str, Any], sources: list[dict[str, Any]]
) -> dict[str, Any]:
    """Give the file its name, and put report and card beside it."""
    found = found | {"vocabulary": agreement.to_json(), "warnings": [*found["warnings"], *agreement.notes]}
    found["notes"] = [*found["notes"], *told(agreement.notes)]
    folder = ready.checkpoint.folder
    facts = Facts(
        source=_source(ready, sources),
        result={name: found[name] for name in ("bytes", "sha256", "bits")}
        | {"name": Path(params["out"]).name, "type": recipe(params["type"]).id},
        settings={name: params[name] for name in ("type", "imatrix", "overrides", "split_bytes") if params.get(name)},
        quality=found.get("comparison"),
        warnings=list(found["warnings"]),
    )
    names = publish([Path(file) for file in found["files"]], Path(params["out"]), facts, folder)
    return found | {"path": str(names[0]), "files": [str(name) for name in names], "report": str(report_file(names[0]))}


def _source(ready: Ready, files: list[dict[str, Any]]) -> dict[str, Any]:
    """What the report says of it."""
    checkpoint = ready.checkpoint
    said = {"family": ready.plan.family, "architecture": checkpoint.config.architecture}
    return origin(checkpoint.folder, files) | said


def _importance(path: str) -> dict[str, Any]:
    from convert.imatrix import read, weights

    return weights(read(Path(path)))


def _check(path: Path, plan: Plan) -> None:
    """What stands in the file is read again before it gets its name."""
    from models.gguf_header import read

    header = read(path)
    if header.file_bytes != plan.file_bytes or header.parameters != sum(tensor.elements for tensor in plan.tensors):
        raise UserError(
            "not_as_planned",
            f"{path.name} did not become what was planned.",
            "Start the conversion anew; the disk may be faulty.",
            name=path.name,
        )
