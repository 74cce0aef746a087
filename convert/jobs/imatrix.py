"""The job `imatrix`: read a text with a model and write down which inputs of its weights matter."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert import calibration_text
from convert.finish import move
from convert.imatrix import Imatrix, merged, missing, read, unrouted, write
from engine.api.errors import UserError
from engine.api.job import Job

if TYPE_CHECKING:
    from convert.calibration_text import Chunk
    from engine.llama.beside import Reader
    from engine.llama.importance import Importance

EVERY = 8  # chunks between two savings …
SHARE = 0.02  # … but no more of the time than this
SUMS = "sums.npz"


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """Params: model, out, text ("builtin", a path, {"collection", "file"}), chunks (0 = all), context, merge (paths),
    output (the head too), threads, gpu_layers. An interrupted job goes on where it was, to the same bytes.

    Result: {path, chunks, tensors, complete, missing, experts_unrouted, tokens_s}. Raises Cancelled and UserError
    broken_activations, short_text, unreadable_text, bad_imatrix, imatrix_of_another, and those of loading.
    """
    model, out = Path(params["model"]), Path(params["out"])
    before = [read(Path(path)) for path in params.get("merge") or []]  # before hours are spent
    job.folder.mkdir(parents=True, exist_ok=True)
    collected, speed = _collect(params, model, job)
    result = merged([*before, collected])
    write(job.folder / "imatrix.gguf", result)
    out.parent.mkdir(parents=True, exist_ok=True)
    move(job.folder / "imatrix.gguf", out)
    (job.folder / SUMS).unlink(missing_ok=True)
    lacking = missing(result, model)
    for entry in unrouted(result):
        job.note(f"{entry['tensor']}: {len(entry['experts'])} of {entry['of']} experts were never asked")
    return {
        "path": str(out),
        "chunks": result.chunks,
        "tensors": len(result.sums),
        "complete": not lacking,
        "missing": lacking,
        "experts_unrouted": unrouted(result),
        "tokens_s": speed,
    }


def _collect(params: dict[str, Any], model: Path, job: Job) -> tuple[Imatrix, float]:
    from engine.llama.beside import STEP, Reader, Reading
    from engine.llama.importance import Importance

    context = calibration_text.context_of(params)
    reading = Reading(context, max(1, STEP // context), int(params.get("threads") or 0), _layers(params))
    hook = Importance(bool(params.get("output")))
    reader = Reader(model, reading, hook, lambda done: not job.cancelled.is_set())
    try:
        chunks = chunks_of(reader, params, "calibrate")
        _Work(reader, hook, chunks, model, job).run()
        speed = reader.tokens / reader.seconds if reader.seconds else 0.0
    finally:
        reader.close()
    return Imatrix(hook.sums, hook.counts, (calibration_text.name_of(params["text"]),), len(chunks), context), speed


def chunks_of(reader: Reader, params: dict[str, Any], purpose: str) -> list[Chunk]:
    """The chunks that a job's parameters ask for, cut by this model's vocabulary."""
    context, most = reader.context, int(params.get("chunks") or 0)
    found = calibration_text.chunks(
        calibration_text.parts(params.get("text") or "builtin", purpose, most * context),
        lambda text: reader.model.tokenize(text, special=False),
        lambda tokens: b"".join(map(reader.model.piece, tokens)).decode("utf-8", "replace"),
        context,
        most,
    )
    return [calibration_text.Chunk(reader.chunk(chunk.tokens), chunk.language) for chunk in found]


def _layers(params: dict[str, Any]) -> int:
    value = params.get("gpu_layers")
    return -1 if value is None else int(value)


class _Work:
    """The reading of all chunks. `sums.npz` holds what was summed and after how many chunks, always both at once."""

    def __init__(self, reader: Reader, hook: Importance, chunks: list[Chunk], model: Path, job: Job) -> None:
        self.reader, self.hook, self.chunks, self.job = reader, hook, chunks, job
        self.file = job.folder / SUMS
        self.mark = fingerprint(chunks, model)
        self.saved_at, self.saving_s = time.monotonic(), 0.0

    def run(self) -> None:
        """From where it was to the end."""
        done = saved = self._resume()
        given_up: Callable[[], bool] = self.job.cancelled.is_set
        width, context = self.reader.reading.sequences, self.reader.context
        while done < len(self.chunks):
            self.job.step(done * context, len(self.chunks) * context, "tokens")
            group = [chunk.tokens for chunk in self.chunks[done : done + width]]
            for _ in self.reader.read(group, 0, given_up):
                self._check()
            done += len(group)
            if done - saved >= EVERY and self._may_save():
                self._save(done)
                saved = done
        self.job.step(done * context, len(self.chunks) * context, "tokens")

    def _check(self) -> None:
        if not self.hook.broken:
            return
        name = self.hook.broken[0]
        raise UserError(
            "broken_activations",
            f"The model computes values that are no numbers (at {name}).",
            "Its file may be damaged, or it needs a type with a wider range, such as bf16.",
            tensor=name,
        )

    def _may_save(self) -> bool:
        return self.saving_s <= SHARE * (time.monotonic() - self.saved_at)

    def _save(self, done: int) -> None:
        begun = time.monotonic()
        temporary = self.file.with_suffix(".new")
        arrays: dict[str, Any] = {f"s:{name}": sums for name, sums in self.hook.sums.items()}
        arrays |= {f"c:{name}": counts for name, counts in self.hook.counts.items()}
        with temporary.open("wb") as file:
            np.savez(file, done=np.array(done), mark=np.array(self.mark), **arrays)
        temporary.replace(self.file)
        self.job.save({"chunks": done})
        self.saved_at, self.saving_s = time.monotonic(), time.monotonic() - begun

    def _resume(self) -> int:
        """Chunks that are summed already; none if the model or the text is another than it was."""
        import zipfile

        try:
            with self.file.open("rb") as file, np.load(file, allow_pickle=False) as saved:
                if str(saved["mark"]) != self.mark:
                    return 0
                self.hook.sums = {name[2:]: saved[name] for name in saved.files if name.startswith("s:")}
                self.hook.counts = {name[2:]: saved[name] for name in saved.files if name.startswith("c:")}
                return int(saved["done"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self.hook.sums, self.hook.counts = {}, {}
            return 0


def fingerprint(chunks: list[Chunk], *models: Path) -> str:
    """A hash of the tokens and of each model's size and time of change: what unfinished work belongs to."""
    found = hashlib.sha256()
    for model in models:
        stat = model.stat()
        found.update(f"{stat.st_size} {stat.st_mtime_ns}\n".encode())
    for chunk in chunks:
        found.update(np.array(chunk.tokens, np.int32).tobytes())
    return found.hexdigest()
