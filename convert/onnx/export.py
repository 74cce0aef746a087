"""One export from beginning to end: look at the source, trace it in the exporter's environment, compare, publish."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.note import note
from convert.onnx import environment, int4, publish
from convert.onnx.child import Child, resident
from convert.onnx.task import packed, task_of, writes
from convert.onnx.tracing import STAGES
from engine.api.errors import UserError
from models import hardware
from models.registry import disk_full

if TYPE_CHECKING:
    from engine.api.job import Job

INSIDE = Path(__file__).with_name("inside.py")
LOG = "exporter.log"
# Of the weights in 32 bits: loaded, traced (a second copy), written. What the libraries take is added.
MEMORY, DISK, LIBRARIES = 2.2, 2.3, 900_000_000
LEAST_FREE = 200_000_000  # bytes of memory; below this the system would kill something
PICKLES = "pytorch_model*.bin"
FULL = "No space left"


@dataclass(frozen=True)
class Order:
    """What is to be made. `threads` 0 = as many as the libraries think right."""

    source: Path
    out: Path
    int8: bool = False
    int4: bool = False
    threads: int = 0


@dataclass(frozen=True)
class Plan:
    """What a folder holds and what it will be; `weights`: bytes in 32 bits."""

    task: str
    kind: str
    weights: int
    config: dict[str, Any]


def export(order: Order, job: Job) -> dict[str, Any]:
    """Make the folder `order.out`; see the contract of the job kind `onnx`.

    Raises UserError of `look`, `environment.prepare`, and export_exists, export_unsupported, export_missing_weights,
    export_failed, export_memory, export_disagrees, int4_not_installed, no_int4, disk_full; Cancelled.
    """
    plan = look(order.source)
    _check(order, plan)
    python = environment.prepare(job)
    if order.int4:
        int4.check(python)
    work = order.out.with_name(order.out.name + ".partial")
    traced = work / "traced"
    shutil.rmtree(traced, ignore_errors=True)
    traced.mkdir(parents=True)
    try:
        with Exporter(python, work / LOG) as exporter:
            found = exporter.export(order, plan, traced, job)
        found["task"], found["peak_bytes"] = plan.task, exporter.peak
        made = publish.publish(order, plan.config, traced, found, job)
    finally:
        for place in (traced, work / publish.READY):
            shutil.rmtree(place, ignore_errors=True)
    shutil.rmtree(work, ignore_errors=True)  # what is left is the log of an export that went well
    return made


def look(source: Path) -> Plan:
    """Raises UserError export_needs_checkpoint, export_packed, no_config, bad_config, no_weights, missing_shards,
    damaged_weights."""
    from convert.config import read_config

    if not source.is_dir():
        raise UserError(
            "export_needs_checkpoint",
            f"{source.name} is no Hugging Face folder; only such a folder can be exported as ONNX.",
            "Make a folder of a GGUF file first (deskside to-hf).",
            name=source.name,
        )
    config = read_config(source).whole
    method = packed(config)
    if method:
        raise UserError(
            "export_packed",
            f"{source.name} is already quantized ({method}) and cannot be traced.",
            "Take the original checkpoint with 16-bit weights.",
            name=source.name,
            method=method,
        )
    return Plan(task_of(config), str(config.get("model_type")), _weights(source), config)


def _weights(source: Path) -> int:
    """Bytes of the weights in 32 bits, their files' headers checked; pickles are only weighed."""
    from convert.checkpoint import open_checkpoint

    pickles = [] if list(source.glob("*.safetensors*")) else list(source.glob(PICKLES))
    if pickles:
        return sum(path.stat().st_size for path in pickles) * 2
    return sum(tensor.elements for tensor in open_checkpoint(source).tensors.values()) * 4


def _check(order: Order, plan: Plan) -> None:
    if order.out.exists() and (not order.out.is_dir() or any(order.out.iterdir())):
        raise UserError(
            "export_exists",
            f"{order.out.name} is there already and is not empty.",
            "Choose another folder.",
            name=order.out.name,
        )
    if order.int4 and not writes(plan.task):
        raise int4.no_int4(note("writes_no_text", "{kind} does not write text", kind=plan.kind))
    order.out.parent.mkdir(parents=True, exist_ok=True)
    need, free = _room(order, plan), hardware.free_disk(order.out.parent)
    if need > free:
        raise disk_full(need, free)
    memory = int(plan.weights * MEMORY) + LIBRARIES
    if memory > hardware.free_memory():
        raise out_of_memory(memory)


def _room(order: Order, plan: Plan) -> int:
    """Bytes on the disk while it is made."""
    return int(plan.weights * (DISK + 0.3 * order.int8 + 0.3 * order.int4))


class Exporter:
    """The exporter's process, for one export or several. `peak`: bytes of memory it held at most."""

    def __init__(self, python: Path, log: Path) -> None:
        log.unlink(missing_ok=True)
        # -P: this folder's modules must not stand before libraries of the same names.
        self._child = Child([str(python), "-P", str(INSIDE)], log, environment.child_environment())
        self._stage, self._need, self.peak = STAGES[0], 0, 0

    def __enter__(self) -> Exporter:
        """Itself."""
        return self

    def __exit__(self, *error: object) -> None:
        self._child.close()

    def export(self, order: Order, plan: Plan, traced: Path, job: Job) -> dict[str, Any]:
        """What `tracing.export` found. Raises UserError, Cancelled."""
        self._stage, self._need = STAGES[0], _room(order, plan)
        self._child.send(json.dumps(_request(order, plan, traced)))
        for line in self._child.lines(lambda: self._tick(job)):
            said = json.loads(line)
            if "refused" in said:
                raise self._refused(order.source, said)
            if "result" in said:
                found: dict[str, Any] = said["result"]
                return found
            self._stage = said["stage"]
        raise self._ended(order.source)

    def _tick(self, job: Job) -> None:
        job.step(STAGES.index(self._stage), len(STAGES), "steps", self._stage)
        self.peak = max(self.peak, resident(self._child.pid))
        if hardware.free_memory() < LEAST_FREE:
            raise out_of_memory(self.peak)

    def _refused(self, source: Path, said: dict[str, Any]) -> UserError:
        """What the exporter cannot take; of 4 bits the builder's last words say why."""
        if said["refused"] != "no_int4":
            return _refused(source.name, said)
        words = self._child.last_words()
        if FULL in words:
            return self._full()
        return int4.no_int4(_plain(words).replace(str(source), source.name).rstrip("."))

    def _full(self) -> UserError:
        return disk_full(self._need, hardware.free_disk(self._child.log.parent))

    def _ended(self, source: Path) -> UserError:
        """Why it is gone: killed for memory, its environment, the source, or the network."""
        words = self._child.last_words()
        if self._child.status() < 0:
            return out_of_memory(self.peak)
        if FULL in words:
            return self._full()
        if self._stage == STAGES[0] or words.startswith(("ModuleNotFoundError", "ImportError")):
            environment.discard()
            return _broken(_plain(words))
        return (_unreadable if self._stage == "load" else _failed)(source.name, _plain(words))


def _plain(words: str) -> str:
    """The last line of a traceback without the name of what was raised."""
    return re.sub(r"^[\w.]+(?:Error|Exception): ", "", words)


def _request(order: Order, plan: Plan, traced: Path) -> dict[str, Any]:
    return {
        "source": str(order.source),
        "out": str(traced),
        "task": plan.task,
        "int8": order.int8,
        "int4": order.int4,
        "reduced": _reduced(),
        "threads": order.threads,
    }


def _reduced() -> bool:
    """Whether weights get 7 bits: products of 8 overflow on x86 processors without VNNI."""
    import platform

    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    return not hardware.processor_features() & {"AVX512_VNNI", "AVX_VNNI"}


def _refused(name: str, said: dict[str, Any]) -> UserError:
    values = said["values"]
    if said["refused"] == "export_unsupported":
        return UserError(
            "export_unsupported",
            f"The exporter does not know how to trace {values['kind']} ({values['task']}).",
            "Convert it to GGUF instead, or choose another model.",
            **values,
        )
    return UserError(
        "export_missing_weights",
        f"{name} lacks {values['count']} weights of its network: {values['names']}.",
        "Download the checkpoint again; an adapter must be merged first.",
        name=name,
        **values,
    )


def _broken(reason: str) -> UserError:
    return UserError(
        "export_environment_broken",
        f"The exporter does not start: {reason}",
        "Try again: it is installed anew then.",
        reason=reason,
    )


def _unreadable(name: str, reason: str) -> UserError:
    return UserError(
        "export_source_unreadable",
        f"{name} cannot be loaded: {reason}",
        "Download the checkpoint again.",
        name=name,
        reason=reason,
    )


def _failed(name: str, reason: str) -> UserError:
    return UserError(
        "export_failed",
        f"{name} could not be exported: {reason}",
        "Convert it to GGUF instead; the log beside the folder has the details.",
        name=name,
        reason=reason,
    )


def out_of_memory(need: int) -> UserError:
    """The error for too little memory; `need` in bytes."""
    return UserError(
        "export_memory",
        f"The export needs about {need / 1e9:.1f} GB of memory, and there is less free.",
        "Close other programs, or export a smaller model.",
        need=f"{need / 1e9:.1f}",
    )
