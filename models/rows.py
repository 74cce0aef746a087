"""The list of models as every face shows it: catalogue and installed models joined, each with its fit."""

from __future__ import annotations

import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.messages import FitReport, ModelRow
from models import catalogue, encoder, fit, gguf_header, projector, registry
from models.catalogue import Entry
from models.fit import Loading
from models.gguf_header import Header
from models.hardware import Hardware
from models.registry import Installed
from models.shape import Shape

_MANY = 512
_headers: dict[tuple[str, int, int], gguf_header.Header] = {}
_lock = threading.Lock()


def header(path: Path) -> gguf_header.Header:
    """A file's header, read once as long as path, size and time of change stay the same. Raises UserError."""
    try:
        known = path.stat()
    except OSError:
        return gguf_header.read(path)
    key = (str(path), known.st_size, known.st_mtime_ns)
    with _lock:
        if key in _headers:
            return _headers[key]
    found = gguf_header.read(path)
    with _lock:
        if len(_headers) >= _MANY:
            _headers.clear()
        _headers[key] = found
    return found


def rows(hardware: Hardware, loading: Loading) -> list[ModelRow]:
    """Installed models first, then the rest of the catalogue, judged as they would be loaded."""
    found = installed_rows(hardware, loading)
    taken = {row["id"] for row in found}
    return found + [entry_row(e, hardware, loading) for e in catalogue.entries() if e.id not in taken]


def installed_rows(hardware: Hardware, loading: Loading) -> list[ModelRow]:
    """Installed models alone: judging the whole catalogue takes ten milliseconds."""
    return [installed_row(model, hardware, loading) for model in registry.installed()]


def row(model: str, hardware: Hardware, loading: Loading) -> ModelRow:
    """The row of one model, installed or of the catalogue. Raises UserError unknown_model."""
    here = registry.lookup(model)
    if here:
        return installed_row(here, hardware, loading)
    known = catalogue.entry(model)
    if known:
        return entry_row(known, hardware, loading)
    raise UserError(
        "unknown_model",
        f"There is no model '{model}'.",
        "`deskside models list` shows the models there are.",
        model=model,
    )


def show(model: str, hardware: Hardware, loading: Loading) -> dict[str, Any]:
    """{row: ModelRow, details: …} with what the header or the catalogue says. Raises UserError unknown_model."""
    found = row(model, hardware, loading)
    details: dict[str, Any] = {}
    here, known = registry.lookup(model), catalogue.entry(model)
    if here:
        details |= {"sha256": here.sha256, "origin": here.origin, "added": here.added, "referenced": here.referenced}
    if known:
        details |= {"about": known.about, "licence_url": known.licence_url, "repo": known.repo}
    read = _header_of(here)
    shape = read.shape if read else known.shape if known else None
    if read:
        details |= {"template": read.template, "tensor_bytes": read.tensor_bytes, "title": read.name}
        details |= {"files": [str(file) for file in read.files]}
    if shape:
        details["shape"] = asdict(shape)
    return {"row": found, "details": details}


def fit_of(model: str, hardware: Hardware, loading: Loading) -> FitReport:
    """The fit of one model, loaded so. Raises UserError unknown_model and those of its header."""
    here = registry.lookup(model)
    if here:
        registry.find(model)
        read = _header_of(here, strict=True)
        if read:
            return _fit(read, projector.projector_header(read.files[0]), hardware, loading)
    return row(model, hardware, loading)["fit"]


def loadable(model: str) -> Installed:
    """The installed model with this id, if it can be loaded. Raises UserError unknown_model, vanished_model,
    adapter_alone, search_only."""
    found = registry.find(model)
    if found.path.is_dir():
        raise UserError(
            "search_only",
            f"{found.name} serves search in documents alone.",
            "Choose another model; to make vectors for other programs, take one in GGUF format.",
            name=found.name,
        )
    read = _header_of(found)
    if read and read.kind == "adapter":
        raise UserError(
            "adapter_alone",
            f"{found.name} is an adapter: it changes how another model answers.",
            f"Choose the model it was made for ({read.base or read.architecture}), and the adapter with it.",
            name=found.name,
            base=read.base or read.architecture,
        )
    return found


def installed_row(model: Installed, hardware: Hardware, loading: Loading) -> ModelRow:
    """The row of an installed model. What is wrong with its file stands in `problem`, nothing is raised."""
    known = catalogue.entry(model.id)
    made = entry_row(known, hardware, loading) if known else _bare(hardware, loading)
    made |= {
        "id": model.id,
        "name": model.name,
        "installed": True,
        "path": str(model.path),
        "bytes": model.bytes,
        "licence": model.licence or made["licence"],
        "source": model.source,
    }
    try:
        registry.find(model.id)
        if model.path.is_dir():
            _fill_encoder(made, encoder.read(model.path), hardware, loading, known)
            return made
        read = header(model.path)
    except UserError as error:
        made["problem"] = error.code if error.code == "vanished_model" else "damaged_model"
        return made
    _fill(made, read, hardware, loading, known)
    return made


def entry_row(known: Entry, hardware: Hardware, loading: Loading) -> ModelRow:
    """The row of a model of the catalogue that is not here yet."""
    return {
        "id": known.id,
        "name": known.name,
        "installed": False,
        "path": "",
        "bytes": known.bytes,
        "parameters": known.parameters,
        "quantization": known.quantization,
        "architecture": known.architecture,
        "context": known.context,
        "languages": list(known.languages),
        "kind": known.kind,
        "tags": [*(["starter"] if known.starter else []), *(f"first:{name}" for name in known.first_in), *known.tags],
        "licence": known.licence,
        "source": "catalogue",
        "fit": fit.estimate(known.shape, known.bytes, hardware, loading, known.context),
        "problem": "",
    }


def _bare(hardware: Hardware, loading: Loading) -> ModelRow:
    return {
        "id": "",
        "name": "",
        "installed": True,
        "path": "",
        "bytes": 0,
        "parameters": 0,
        "quantization": "",
        "architecture": "",
        "context": 0,
        "languages": [],
        "kind": "chat",
        "tags": [],
        "licence": "",
        "source": "file",
        "fit": fit.estimate(Shape(), 0, hardware, loading),
        "problem": "",
    }


def _fill(made: ModelRow, read: gguf_header.Header, hardware: Hardware, loading: Loading, known: Entry | None) -> None:
    """What the file itself says goes before what the catalogue says of it."""
    made["parameters"] = read.parameters
    made["quantization"] = read.quantization
    made["architecture"] = read.architecture
    made["context"] = read.context or made["context"]
    made["licence"] = made["licence"] or read.licence
    eye = projector.projector_header(read.files[0])
    made["fit"] = _fit(read, eye, hardware, loading)
    if not known:
        made["languages"], made["kind"] = list(read.languages), read.kind
        made["tags"] = _tags(read)
    if read.base:
        made["base"] = read.base
    made["tags"] += [tag for tag in (eye.senses if eye else ()) if tag not in made["tags"]]


def _fill_encoder(
    made: ModelRow, read: encoder.Encoder, hardware: Hardware, loading: Loading, known: Entry | None
) -> None:
    made["parameters"] = read.parameters or made["parameters"]
    made["quantization"], made["architecture"] = read.quantization, read.architecture
    made["context"] = read.context or made["context"]
    made["fit"] = fit.estimate(read.shape, read.bytes, hardware, loading, read.context)
    if not known:
        made["kind"], made["tags"] = "embedding", ["reranker" if read.ranks else "embedding"]


def _tags(read: gguf_header.Header) -> list[str]:
    tags = {
        "zh": "zh" in read.languages or read.architecture.startswith("qwen"),
        "reasoning": "<think>" in read.template,
        "embedding": read.kind == "embedding",
    }
    return [tag for tag, holds in tags.items() if holds]


def _fit(read: Header, eye: Header | None, hardware: Hardware, loading: Loading) -> FitReport:
    more = eye.tensor_bytes if eye else 0
    return fit.estimate(read.shape, read.tensor_bytes, hardware, loading, read.context, more)


def _header_of(model: Installed | None, strict: bool = False) -> gguf_header.Header | None:
    if not model or model.path.is_dir():
        return None
    try:
        return header(model.path)
    except UserError:
        if strict:
            raise
        return None
