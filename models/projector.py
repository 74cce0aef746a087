"""The projector (mmproj) of a model that sees or hears: a file of its own, found beside the model."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from engine.api.errors import UserError
from models import gguf_header

_MARK = "mmproj"
_BEST_FIRST = ("F16", "Q8_0", "BF16", "F32")  # of several alike; processors are slow at the last two
_SAYS_NOTHING = re.compile(r"mmproj|model|gguf|instruct|chat|i?q\d.*|b?f\d\d")


def projector_of(path: Path) -> Path | None:
    """The projector beside a model file, None if there is none. Nothing is raised; files that cannot be read do not
    count.

    Alone with one model in a folder a projector is that model's. Among several models it must make vectors as wide
    as the model's, or have a word of the model's name in its own.
    """
    try:
        files = sorted(file for file in path.parent.iterdir() if file.suffix.lower() == ".gguf")
    except OSError:
        return None
    claims = {file: claim for file in files if named_so(file.name) and (claim := _claim(path, file))}
    best = max(claims, key=lambda file: claims[file], default=None)
    models = {gguf_header.plain_stem(file.name) for file in files if not named_so(file.name)}
    return best if best and (len(models) <= 1 or any(claims[best][:2])) else None


def named_so(name: str) -> bool:
    """Whether a file's name says that it is a projector."""
    return _MARK in name.lower()


def senses_of(path: Path) -> tuple[str, ...]:
    """What the model at `path` can do by its projector: vision, audio, both, or nothing."""
    found = projector_header(path)
    return found.senses if found else ()


def projector_header(path: Path) -> gguf_header.Header | None:
    """The header of the projector beside the model at `path`, None if there is none."""
    projector = projector_of(path)
    return _header(projector) if projector else None


def _claim(model: Path, projector: Path) -> tuple[bool, int, int] | None:
    """How much speaks for a projector: its width, words in common, quick numbers. None if it is none."""
    header, of_model = _header(projector), _header(model)
    if not header or header.kind != "projector":
        return None
    same_width = bool(of_model and of_model.shape.embedding and header.projects_to == of_model.shape.embedding)
    rank = _BEST_FIRST.index(header.quantization) if header.quantization in _BEST_FIRST else len(_BEST_FIRST)
    return same_width, len(_words(projector.name) & _words(model.name)), -rank


def _words(name: str) -> set[str]:
    """Words of a file's name that tell models apart: no numbers' kinds, nothing that all have."""
    plain = re.split(r"[^a-z0-9]+", gguf_header.plain_stem(name).lower())
    return {word for word in plain if len(word) > 2 and not _SAYS_NOTHING.fullmatch(word)}


def _header(path: Path) -> gguf_header.Header | None:
    try:
        known = path.stat()
        return _read(path, known.st_size, known.st_mtime_ns)
    except (OSError, UserError):
        return None


@lru_cache(maxsize=256)
def _read(path: Path, size: int, changed: int) -> gguf_header.Header:
    return gguf_header.read(path)
