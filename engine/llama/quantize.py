"""llama_model_quantize in a child process that can be killed, with progress read from what it says.

The result grows under a name of its own in the caller's work folder; its header is checked before anyone else sees it
(on failure llama.cpp leaves a large file of zeros). Rows without a file: `quantize_rows`.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.llama.ggml_types import BLOCKS, needs_importance, not_finite, quantize_rows
from models.damage import damaged
from models.gguf_reader import Tensor, read_raw

if TYPE_CHECKING:
    from engine.llama.ggml_types import Floats

__all__ = ["Request", "Said", "dry_run", "quantize", "quantize_rows", "verify"]

# Rows of one tensor held at once. llama.cpp's own default is 8 GiB.
MOST_HELD = 64 << 20
LOOK_EVERY_S = 0.2
WAIT_FOR_END_S = 10
_TENSOR = re.compile(r"\[ *(\d+)/ *(\d+)\] (\S+) +- \[([ \d,]+)\], type = +(\w+), ")
_INTO = re.compile(r"converting to (\w+) \.\.|MiB \((\w+)\)\s*$")
Step = Callable[[int, int, int, str], None]


@dataclass(frozen=True)
class Request:
    """One call. `file_type`: llama.cpp's number of the mix; `overrides`: patterns (of C++) and types, first match wins.

    `importance`: float32 for each tensor by name, columns (of a stack of experts: experts times columns).
    `entries`: texts and whole numbers to add to the header. `only_copy`: change no types. `threads` 0 = all.
    `folder`: where the request and the importances are written for the child.
    """

    source: Path
    out: Path
    folder: Path
    file_type: int
    overrides: tuple[tuple[str, str], ...] = ()
    importance: Mapping[str, Floats] = field(default_factory=dict)
    entries: Mapping[str, str | int] = field(default_factory=dict)
    prune_layers: tuple[int, ...] = ()
    allow_requantize: bool = False
    only_copy: bool = False
    keep_split: bool = False
    threads: int = 0
    max_buf_size: int = MOST_HELD


@dataclass
class Said:
    """What llama.cpp said of a run: the type of each tensor before and after, its errors, what it is at."""

    types: dict[str, tuple[str, str]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    number: int = 0
    total: int = 0
    name: str = ""
    code: int | None = None

    def hear(self, event: dict[str, Any]) -> None:
        """One line of the child."""
        if "code" in event:
            self.code = event["code"]
            return
        text = str(event.get("text", ""))
        if event.get("level") == 4 and text.strip(" =\n"):
            self.errors.append(text.strip())
        if found := _TENSOR.match(text):
            self.number, self.total, self.name = int(found[1]), int(found[2]), found[3]
            self.types[self.name] = (found[5].upper(), found[5].upper())
        elif self.name and (into := _INTO.search(text)):
            self.types[self.name] = (self.types[self.name][0], (into[1] or into[2]).upper())


def dry_run(request: Request) -> dict[str, tuple[str, str]]:
    """The type of each tensor before and after, by llama.cpp itself; nothing is written. About half a second.

    Raises UserError quantize_failed, odd_tensor …
    """
    return _run(request, True, lambda *_: None).types


def quantize(request: Request, step: Step = lambda *_: None) -> Said:
    """Write `request.out`; `step(bytes written, tensor number, tensors, tensor name)` five times a second.

    What `step` raises stops the child and is raised here. On any failure nothing is left under `out`. Raises UserError
    needs_importance, requantize, not_finite_weights, odd_tensor, wrong_importance, quantize_disk_full,
    quantize_died, quantize_failed.
    """
    try:
        said = _run(request, False, step)
    except BaseException:
        for file in written(request):
            file.unlink(missing_ok=True)
        raise
    return said


def written(request: Request) -> list[Path]:
    """The files of a run so far: one, or with `keep_split` one a part."""
    if not request.keep_split:
        return [request.out] if request.out.exists() else []
    return sorted(request.out.parent.glob(f"{_escaped(request.out.name)}-*-of-*.gguf"))


def verify(files: list[Path], expected: Mapping[str, str] | None = None) -> tuple[Tensor, ...]:
    """The tensors of what was written, by its headers; every file is of exactly the size they take.

    `expected`: the type of each by its name, where it is known. Raises UserError damaged_model.
    """
    found: list[Tensor] = []
    for file in files:
        raw = read_raw(file)
        found += raw.inventory
        if sum(_bytes(tensor) for tensor in raw.inventory) != raw.tensor_bytes:
            raise damaged(file, "its tensors do not fill it")
    types = {tensor.name: tensor.type for tensor in found}
    if expected is not None and types != dict(expected):
        wrong = sorted(set(types.items()) ^ set(expected.items()))
        raise damaged(files[0] if files else Path("?"), f"{wrong[0][0]} is not what was to be written")
    return tuple(found)


def _bytes(tensor: Tensor) -> int:
    block, size = BLOCKS[tensor.type]
    count = 1
    for length in tensor.shape:
        count *= length
    return count // block * size


def _run(request: Request, dry: bool, step: Step) -> Said:
    said = Said()
    process = _start(request, dry)
    lines: queue.Queue[bytes | None] = queue.Queue()
    reader = threading.Thread(target=_read, args=(process, lines), daemon=True)
    reader.start()
    try:
        _follow(request, said, lines, step)
        process.wait(WAIT_FOR_END_S)
    finally:
        process.kill()
        process.wait()
        reader.join()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()
    if said.code != 0:
        raise _failure(request, said, process.returncode)
    return said


def _start(request: Request, dry: bool) -> subprocess.Popen[bytes]:
    request.folder.mkdir(parents=True, exist_ok=True)
    importance = request.folder / "importance.f32"
    if request.importance:
        with importance.open("wb") as file:
            for values in request.importance.values():
                file.write(values.astype("<f4", copy=False).tobytes())
    order = request.folder / "request.json"
    order.write_text(json.dumps(_order(request, importance, dry)), encoding="utf-8")
    command = [sys.executable, "-m", "engine.llama.quantize_child", str(order)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def _order(request: Request, importance: Path, dry: bool) -> dict[str, Any]:
    plain = ("file_type", "allow_requantize", "only_copy", "keep_split", "threads", "max_buf_size")
    return {
        **{name: getattr(request, name) for name in plain},
        "source": str(request.source),
        "out": str(request.out),
        "dry_run": dry,
        "overrides": [list(item) for item in request.overrides],
        "prune_layers": sorted(request.prune_layers),
        "importance_file": str(importance),
        "importance": [[name, int(values.size)] for name, values in request.importance.items()],
        "entries": dict(request.entries),
    }


def _read(process: subprocess.Popen[bytes], lines: queue.Queue[bytes | None]) -> None:
    if process.stdout:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _follow(request: Request, said: Said, lines: queue.Queue[bytes | None], step: Step) -> None:
    while True:
        with suppress(queue.Empty):
            line = lines.get(timeout=LOOK_EVERY_S)
            if line is None:
                return
            with suppress(ValueError):
                said.hear(json.loads(line))
            if not lines.empty():
                continue
        sizes = [file.stat().st_size for file in written(request) if file.exists()]
        step(sum(sizes), said.number, said.total, said.name)


def _failure(request: Request, said: Said, status: int) -> UserError:
    """What it means that llama.cpp gave up, or that its process ended."""
    told = " ".join(said.errors)
    reason = re.sub(r"^.*failed to quantize: ", "", said.errors[-1]) if said.errors else ""
    if "importance matrix for tensor" in told or "requires an importance matrix" in told:
        return needs_importance("", next(iter(re.findall(r"tensor:? (\S+)", told)), ""))
    if found := re.search(r"requantizing from type (\w+) is disabled", told):
        return requantize(found[1].upper(), request.source.name)
    if "has invalid data" in told or "data validation failed" in told:
        return not_finite()
    if "iostream error" in told or "basic_ios" in told:
        return _disk_full(request)
    if said.code is None:
        return _died(request, status)
    return UserError(
        "quantize_failed",
        f"{request.source.name} cannot be quantized: {reason or 'llama.cpp gives no reason'}.",
        "Choose another type, or another file of the model.",
        name=request.source.name,
        reason=reason,
    )


def requantize(type: str, name: str) -> UserError:
    """The error for a source that is quantized already."""
    return UserError(
        "requantize",
        f"{name} is quantized already ({type}); doing it again loses more than going from the original.",
        "Take the model in 16 or 32 bits, or allow quantizing it again.",
        name=name,
        type=type,
    )


def _disk_full(request: Request) -> UserError:
    return UserError(
        "quantize_disk_full",
        f"{request.out.name} could not be written to its end: the disk is full, or files may not grow that large.",
        "Make room on the disk, then start again; nothing half-done is left.",
        name=request.out.name,
    )


def _died(request: Request, status: int) -> UserError:
    return UserError(
        "quantize_died",
        f"The process that quantizes {request.source.name} ended suddenly ({status}).",
        "The file may be damaged, or memory has run out. Close other programs, or get the file again.",
        name=request.source.name,
        status=status,
    )


def _escaped(name: str) -> str:
    return re.sub(r"([\[\]*?])", r"[\1]", name)
