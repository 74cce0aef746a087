"""The job `prune`: a GGUF model without the blocks that matter least, and what that cost.

Nothing heals what is cut: the report decides whether it was worth it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from convert import block_influence
from convert.digests import Digests
from convert.finish import compared, filling, publish
from convert.gguf_source import GGUF, open_gguf
from convert.jobs import quantize as quantizing
from convert.note import note, told
from convert.prune import Blocks, blocks_of, checked, chosen, lists_of, numbers_after, shorten_lists
from convert.report import Facts, origin
from convert.stages import stage
from engine.api.errors import UserError
from engine.api.job import Job
from engine.api.report_files import report_file
from engine.llama.quantize import Request, quantize, verify
from models.gguf_header import parts
from models.gguf_reader import read_raw
from models.hardware import free_disk
from models.registry import disk_full

_BLOCK = re.compile(r"blk\.(\d+)\.(.+)")


@dataclass(frozen=True)
class Cut:
    """What is left out of which model, and the scores that said so ({} where a person did)."""

    model: GGUF
    blocks: Blocks
    layers: list[int]
    scores: dict[int, float]

    def types(self) -> dict[str, str]:
        """Every tensor that stays, under its new name, and its type."""
        place = {old: new for new, old in enumerate(n for n in range(self.blocks.all) if n not in self.layers)}
        found = {}
        for name, kind in self.model.types.items():
            match = _BLOCK.fullmatch(name)
            if match is None:
                found[name] = kind
            elif int(match[1]) in place:
                found[f"blk.{place[int(match[1])]}.{match[2]}"] = kind
        return found


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: model, out, layers ([numbers], or how many), text (for the scores; "builtin"), chunks, context, type ("":
    the model's own, else quantized to it afterwards), report (true), report_text, report_chunks, threads, gpu_layers.

    Result: {path, bytes, sha256, bits, type, layers, blocks, influence: {block: score}, warnings, notes, report,
    comparison}.
    Raises Cancelled and UserError no_prune, bad_layers, no_influence, same_file, disk_full, and those of quantizing.
    """
    model = open_gguf(Path(params["model"]))
    _check_place(model, Path(params["out"]))
    cut = _decided(model, params, job)
    file = _without(cut, params, job)
    kind = str(params.get("type") or "")
    if kind:
        small = job.folder / "small.gguf"
        asked = {"source": str(file), "out": str(small), "type": kind, "report": False}
        stage(job, "quantize", quantizing.run, asked | {"threads": params.get("threads") or 0})
        file.unlink(missing_ok=True)
        file = small
    with Digests([file, *parts(model.path)]) as digests:
        quality = compared(model.path, file, params, job) if params.get("report", True) else None
        return _published(cut, file, params, quality, digests.found(job))


def _check_place(model: GGUF, out: Path) -> None:
    files = parts(model.path)
    if out.absolute() in [file.absolute() for file in files] or (
        out.exists() and any(file.samefile(out) for file in files)
    ):
        raise UserError(
            "same_file",
            f"{out.name} is the model itself; it would be lost.",
            "Choose another name for the result.",
            name=out.name,
        )
    size, free = sum(file.stat().st_size for file in files), free_disk(out)
    if size > free:
        raise disk_full(size, free)


def _decided(model: GGUF, params: dict[str, Any], job: Job) -> Cut:
    """The blocks a person names, or those with the least influence over a text."""
    blocks, wanted = blocks_of(model), params["layers"]
    if isinstance(wanted, list):
        return Cut(model, blocks, checked(blocks, wanted), {})
    count = wanted if isinstance(wanted, int) and not isinstance(wanted, bool) else 0
    chosen(blocks, dict.fromkeys(range(blocks.all), 0.0), count)  # a wrong count is said before the text is read
    named = ("text", "chunks", "context", "threads", "gpu_layers")
    asked = {name: params[name] for name in named if params.get(name) is not None}
    scored = stage(job, "influence", lambda own, inner: _scores(model.path, own, inner), asked)
    found = {int(block): score for block, score in scored.items()}
    return Cut(model, blocks, chosen(blocks, found, count), found)


def _scores(model: Path, params: dict[str, Any], job: Job) -> dict[str, Any]:
    return {str(block): score for block, score in block_influence.scores(model, params, job).items()}


def _without(cut: Cut, params: dict[str, Any], job: Job) -> Path:
    """The model without the blocks, as llama.cpp writes it, checked; with the header's lists shortened too."""
    file = job.folder / "model.gguf"
    names = lists_of(cut.model, cut.blocks)
    request = Request(
        source=cut.model.path,
        out=job.folder / "cut.gguf" if names else file,
        folder=job.folder,
        file_type=0,
        entries=numbers_after(cut.model, cut.layers),
        prune_layers=tuple(cut.layers),
        only_copy=True,
        allow_requantize=True,
        threads=int(params.get("threads") or 0),
    )
    if not (job.state.get("cut") and file.exists()):
        size = sum(part.stat().st_size for part in parts(cut.model.path))
        quantize(request, lambda done, _, __, name: job.step(done, size, "bytes", name))
        if names:
            with filling(file.name):
                shorten_lists(request.out, file, names, cut.layers)
            request.out.unlink()
        _check(file, cut)
        job.save({"cut": True})
    return file


def _check(file: Path, cut: Cut) -> None:
    """What was written is read again: these tensors, so many blocks, a value a block in every list."""
    verify([file], cut.types())
    values, stay = read_raw(file).values, cut.blocks.all - len(cut.layers)
    wrong = values.get(f"{cut.blocks.arch}.block_count") != stay
    wrong |= any(len(values[name]) != stay for name in lists_of(cut.model, cut.blocks))
    if wrong:
        raise UserError(
            "not_as_planned",
            f"{file.name} did not become what was planned.",
            "Start the conversion anew; the disk may be faulty.",
            name=file.name,
        )


def _published(
    cut: Cut, file: Path, params: dict[str, Any], quality: dict[str, Any] | None, hashed: list[dict[str, Any]]
) -> dict[str, Any]:
    """Give the file its name; report and card say what that cost. `hashed`: it, then its source."""
    out, raw = Path(params["out"]), read_raw(file)
    result = {
        "type": str(params.get("type") or "").upper() or main_type(cut.model),
        "bits": 8 * raw.tensor_bytes / max(1, raw.elements),
        "bytes": file.stat().st_size,
        "sha256": hashed[0]["sha256"],
    }
    said = cost(cut, quality)
    facts = Facts(
        source=origin(cut.model.path, hashed[1:], str(cut.model.value("general.license", ""))),
        result=result | {"name": out.name},
        settings={"layers": cut.layers, "type": params.get("type")},
        tensors=dict(Counter(tensor.type for tensor in raw.inventory)),
        quality=quality,
        warnings=said,
    )
    names = publish([file], out, facts, cut.model.path)
    found = result | {"path": str(names[0]), "report": str(report_file(names[0])), "warnings": said}
    found["notes"] = told(said)
    found |= {"layers": cut.layers, "blocks": cut.blocks.all, "influence": {str(n): s for n, s in cut.scores.items()}}
    return found | ({"comparison": quality} if quality else {})


def main_type(model: GGUF) -> str:
    """The type that most of a model's values have."""
    total: Counter[str] = Counter()
    for name, kind in model.types.items():
        total[kind] += model.tensors[name].elements
    return total.most_common(1)[0][0]


def cost(cut: Cut, quality: dict[str, Any] | None) -> list[str]:
    """What was left out and what that cost, in plain lines."""
    left = note(
        "blocks_left_out",
        "{count} of {all} blocks are left out ({layers}) and nothing was trained afterwards to make up for it.",
        count=len(cut.layers),
        all=cut.blocks.all,
        layers=", ".join(map(str, cut.layers)),
    )
    if quality is None:
        return [left, note("prune_unmeasured", "What leaving them out cost was not measured.")]
    measured = note(
        "prune_cost",
        "It has the source's first choice of word {same} % of the time; its perplexity is {times} times the source's. "
        "A smaller type usually saves as many bytes for less.",
        same=f"{100 * quality['top1']:.0f}",
        times=f"{quality['ppl_ratio']:.2f}",
    )
    return [left, measured]
