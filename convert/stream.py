"""The second pass: a plan's tensors written in order, a slab at a time, resumable at every tensor."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from convert.checkpoint import Checkpoint
from convert.gguf_file import padded
from convert.operations import Array, Laid
from convert.plan import Plan, Planned
from convert.values import Loss, encode, slabs
from engine.api.errors import UserError
from engine.api.full_disk import NO_ROOM, disk_full_midway
from engine.api.job import Job
from models.hardware import allowed_cores

AHEAD = 3  # slabs on their way beside the one being written
Encoder = Callable[[Array, Planned, Laid, int], tuple[bytes | memoryview, Loss]]


@dataclass(frozen=True)
class Pace:
    """How much at a time: values a slab, bytes written between two times that mapped pages are let go, and the work is
    made safe."""

    slab: int = 1 << 20
    forget: int = 64 << 20
    save: int = 256 << 20


USUAL = Pace()


@dataclass
class Written:
    """What came of it: the hash of the whole file, and by tensor what its values lost."""

    sha256: str
    bytes: int
    losses: dict[str, Loss] = field(default_factory=dict)


def encode_slab(values: Array, tensor: Planned, made: Laid, row: int) -> tuple[bytes | memoryview, Loss]:
    """The usual encoder: numpy's casts, ggml's quantization. `row`: which of the tensor's rows the slab begins with."""
    return encode(values, tensor.dtype, tensor.type, made.change)


def write(
    plan: Plan, checkpoint: Checkpoint, path: Path, job: Job, encoder: Encoder = encode_slab, pace: Pace = USUAL
) -> Written:
    """Write the file at `path`, going on where an earlier try of the same plan stopped.

    Raises Cancelled between slabs, UserError disk_full_midway.
    """
    header = plan.header()
    signature = hashlib.sha256(header).hexdigest()
    state = job.state if job.state.get("header") == signature else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    again = bool(state) and path.exists()
    try:  # around closing, too: the last bytes of a small file are written then
        with (
            path.open("r+b" if again else "w+b") as file,
            ThreadPoolExecutor(_threads()) as pool,
            ThreadPoolExecutor(1) as beside,
        ):
            return _Writing(plan, checkpoint, file, job, pool, beside, encoder, pace).run(header, state)
    except OSError as error:
        raise _stopped(path, error) from error


class _Writing:
    """One run of `write`."""

    def __init__(
        self,
        plan: Plan,
        checkpoint: Checkpoint,
        file: BinaryIO,
        job: Job,
        pool: ThreadPoolExecutor,
        beside: ThreadPoolExecutor,
        encoder: Encoder,
        pace: Pace,
    ) -> None:
        self.plan, self.checkpoint, self.file, self.job, self.pool = plan, checkpoint, file, job, pool
        self.pace = pace
        self.encoder = encoder
        self.hash = hashlib.sha256()
        self._beside, self._hashing = beside, beside.submit(self.hash.update, b"")
        self.losses: dict[str, Loss] = {}
        self.done = self.forgotten = self.saved = 0

    def run(self, header: bytes, state: dict[str, Any]) -> Written:
        self.signature = hashlib.sha256(header).hexdigest()
        first = self._resume(header, state)
        if not first:
            self._put(header)
        for number, tensor in enumerate(self.plan.tensors):
            if number >= first:
                self._tensor(tensor)
                self._save(number + 1)
        self.file.truncate()
        self.file.flush()
        os.fsync(self.file.fileno())
        self._hashing.result()
        return Written(self.hash.hexdigest(), self.done, self.losses)

    def _tensor(self, tensor: Planned) -> None:
        made = made_of(tensor, self.checkpoint)
        total, loss, size = self.plan.file_bytes, Loss(), 0
        for data, lost in self._encoded(tensor, made):
            self._put(data)
            size += len(data)
            loss += lost
            self.job.step(self.done, total, "bytes", tensor.name)
            self._let_go()
        self._put(bytes(padded(size) - size))
        if loss.not_finite or loss.too_large:
            self.losses[tensor.name] = loss

    def _encoded(self, tensor: Planned, made: Laid) -> Iterator[tuple[bytes | memoryview, Loss]]:
        """The slabs in order, some of them made ahead by the other threads."""
        waiting: deque[Future[tuple[bytes | memoryview, Loss]]] = deque()
        values, columns = 0, max(1, tensor.shape[-1] if tensor.shape else 1)
        for block in made.blocks:
            for slab in slabs(block, self.pace.slab):
                waiting.append(self.pool.submit(self.encoder, slab, tensor, made, values // columns))
                values += slab.size
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _put(self, data: bytes | memoryview) -> None:
        """Written and hashed at once: both take as long, and neither holds the interpreter."""
        self._hashing.result()
        self._hashing = self._beside.submit(self.hash.update, data)
        self.file.write(data)
        self.done += len(data)

    def _let_go(self) -> None:
        if self.done - self.forgotten >= self.pace.forget:
            self.forgotten = self.done
            self.checkpoint.forget()

    def _save(self, tensors: int) -> None:
        """Now and then what is written is made safe and noted."""
        if self.done - self.saved < self.pace.save:
            return
        self.saved = self.done
        self.file.flush()
        os.fsync(self.file.fileno())
        losses = {name: [loss.not_finite, loss.too_large] for name, loss in self.losses.items()}
        self.job.save({"header": self.signature, "tensors": tensors, "bytes": self.done, "losses": losses})

    def _resume(self, header: bytes, state: dict[str, Any]) -> int:
        """Read over what an earlier try wrote; how many tensors that spares."""
        size = int(state.get("bytes", 0))
        if not state or os.fstat(self.file.fileno()).st_size < size:
            return 0
        self._hashing.result()
        while self.done < size:
            data = self.file.read(min(1 << 20, size - self.done))
            self.hash.update(data)
            self.done += len(data)
            self.job.step(self.done, self.plan.file_bytes, "bytes", "")
        self.saved = self.forgotten = self.done
        self.losses = {name: Loss(*counts) for name, counts in state.get("losses", {}).items()}
        return int(state["tensors"])


def made_of(tensor: Planned, checkpoint: Checkpoint) -> Laid:
    """The tensor's real values, as views."""
    if tensor.work is None:
        assert isinstance(tensor.values, Laid)  # noqa: S101
        return tensor.values
    arrays = [source.array() for source in tensor.work.sources]
    return tensor.work.rule.operation.forward(arrays, checkpoint.config)[tensor.number]


def _threads() -> int:
    return min(4, allowed_cores(os.cpu_count() or 1))


def _stopped(path: Path, error: OSError) -> UserError:
    if error.errno in NO_ROOM:
        return disk_full_midway(path.name)
    return UserError(
        "cannot_write_model",
        f"{path.name} cannot be written: {error}.",
        "Check the permissions of the folder.",
        name=path.name,
        reason=str(error),
    )
