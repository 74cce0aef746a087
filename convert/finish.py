"""The end of every conversion: what was made is measured, gets its name, and its report and card beside it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from convert import report
from convert.digests import hashed, remember
from convert.report import Facts
from convert.stages import stage
from engine.api.errors import UserError
from engine.api.full_disk import NO_ROOM
from engine.api.job import Job

# Chunks of 512 tokens that a report reads: what a processor does in some ten minutes.
FEWEST, MOST, OF_A_BILLION = 8, 48, 24


def compared(source: Path, made: Path, params: dict[str, Any], job: Job) -> dict[str, Any] | None:
    """Read the same text with both, on the built-in text or `report_text`; as many chunks as their size allows.

    None for models that do not write on, such as embedders: there are no predictions to compare.
    """
    from convert.jobs import compare

    chunks = int(params.get("report_chunks") or 0) or chunks_for(source)
    asked = {"a": str(source), "b": str(made), "text": params.get("report_text") or "builtin", "chunks": chunks}
    asked["threads"] = int(params.get("threads") or 0)
    try:
        return stage(job, "compare", compare.run, asked)
    except UserError as error:
        if error.code == "cannot_measure":
            return None
        raise


def chunks_for(model: Path) -> int:
    """More for small models: their figures scatter, and they read quickly."""
    from models.gguf_header import read

    return max(FEWEST, min(MOST, round(OF_A_BILLION * 1e9 / max(1, read(model).parameters))))


@contextmanager
def filling(name: str) -> Iterator[None]:
    """Writing what is called `name`, anew at every try. Raises UserError disk_full_anew where the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        raise UserError(
            "disk_full_anew",
            f"The disk became full while {name} was written.",
            "Free some space, then start it again.",
            name=name,
        ) from error


@contextmanager
def fresh_folder(job: Job, name: str) -> Iterator[Path]:
    """An empty folder of the job, for what will be called `name`; what cannot be finished does not stay in it.

    Raises UserError disk_full_anew.
    """
    folder = job.folder / "checkpoint"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with filling(name):
            folder.mkdir(parents=True)
            yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def publish(files: list[Path], out: Path, facts: Facts, source: Path | None) -> list[Path]:
    """Rename the files (of a split model to its parts' names), then write the report. The names in order."""
    out.parent.mkdir(parents=True, exist_ok=True)
    names = [out] if len(files) == 1 else [part_name(out, number, len(files)) for number in range(1, len(files) + 1)]
    with filling(out.name):
        for file, name in reversed(list(zip(files, names, strict=True))):  # of parts the first one last
            move(file, name)
        if len(names) == 1 and facts.result.get("sha256"):
            remember(names[0], facts.result["sha256"])
        report.write(names[0], facts, source)
    return names


def publish_checkpoint(folder: Path, files: list[Path], out: Path, facts: Facts, source: Path, job: Job) -> int:
    """Put report, card and licence into a folder of weights and give it its name. The bytes of the weights.

    Raises UserError already_there, Cancelled.
    """
    rows = hashed(files, job)
    size: int = sum(row["bytes"] for row in rows)
    facts.result |= {"name": out.name, "bytes": size, "files": rows}
    report.write(folder, facts, source)
    publish_folder(folder, out)
    return size


def publish_folder(folder: Path, out: Path) -> None:
    """Make a folder safe on the disk and rename it; an earlier try may have done so already.

    Raises UserError already_there.
    """
    for file in folder.rglob("*"):
        if file.is_file():
            settle(file)
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.is_dir() and _sizes(out) == _sizes(folder):
        shutil.rmtree(folder)
    elif out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(
            "already_there", f"{out.name} is there already.", "Choose another name, or delete it first.", name=out.name
        )
    else:
        if out.is_dir():
            out.rmdir()  # it is empty
        folder.rename(out)


def settle(file: Path) -> None:
    """What was written of a file is on the disk, not on its way to it."""
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _sizes(folder: Path) -> dict[str, int]:
    return {str(file.relative_to(folder)): file.stat().st_size for file in folder.rglob("*") if file.is_file()}


def part_name(out: Path, number: int, count: int) -> Path:
    """llama.cpp's name of a part, counted from one."""
    return out.with_name(f"{out.name.removesuffix('.gguf')}-{number:05d}-of-{count:05d}.gguf")


def move(file: Path, name: Path) -> None:
    """Rename; over to another disk it is copied beside its place first. An earlier try may have done so already."""
    if name.exists() and not file.exists():
        return
    try:
        file.replace(name)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        beside = name.with_name(f".{name.name}.{os.getpid()}")
        try:
            shutil.copyfile(file, beside)
            beside.replace(name)
        finally:
            beside.unlink(missing_ok=True)
        file.unlink()
