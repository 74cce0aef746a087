"""The process of one job: `python -m engine.job_main KIND FOLDER`, parameters as the first line of stdin.

Events go out on stdout, one JSON object a line. A line on stdin, or its end, asks the job to stop.
Exit codes: 0 done, 2 UserError, 3 cancelled, 1 bug.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from engine.api.errors import UserError
from engine.api.job import Cancelled, Job
from engine.api.messages import encode

MODULES = {"download": "models.download", "index": "engine.documents.index_job"}
CONVERSIONS = ("convert", "quantize", "imatrix", "compare", "onnx", "adapter", "to_hf", "merge", "prune", "lowrank")
MODULES |= {kind: f"convert.jobs.{kind}" for kind in (*CONVERSIONS, "look")}
WAIT_FOR_PREDECESSOR_S = 10


def main() -> int:
    """Run the job; its last line is {"event": "end", "state", "result" or "error", "seconds", "peak_bytes"}."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    lock = threading.Lock()

    def report(event: dict[str, Any]) -> None:
        with lock:
            output.write(encode(event))
            output.flush()

    kind, folder = sys.argv[1], Path(sys.argv[2])
    # Unbuffered: Python ends with a fatal error while a thread waits inside the buffered reader of stdin.
    source = os.fdopen(0, "rb", buffering=0, closefd=False)
    params = json.loads(source.readline())
    cancelled = threading.Event()
    threading.Thread(target=_listen, args=(source, cancelled), daemon=True).start()
    started = time.monotonic()
    end = attempt(kind, _work(kind), folder, params, report, cancelled)
    report({"event": "end", **end, "seconds": time.monotonic() - started, "peak_bytes": _peak_bytes()})
    return {"done": 0, "cancelled": 3}.get(end["state"], 2)


def _work(kind: str) -> Callable[[dict[str, Any], Job], dict[str, Any]]:
    def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
        found: dict[str, Any] = importlib.import_module(MODULES[kind]).run(params, job)
        return found

    return run


def attempt(
    kind: str,
    work: Callable[[dict[str, Any], Job], dict[str, Any]],
    folder: Path,
    params: dict[str, Any],
    report: Callable[[dict[str, Any]], None],
    cancelled: threading.Event,
) -> dict[str, Any]:
    """{"state", "result" or "error"} of a piece of work. One of the three edges that catch everything."""
    try:
        with _alone_in(folder):
            job = Job(folder, params, report, cancelled)
            result = work(params, job)
            job.flush()
        return {"state": "done", "result": result}
    except Cancelled:
        return {"state": "cancelled"}
    except UserError as error:
        return {"state": "failed", "error": error.to_json()}
    except Exception as error:
        logging.exception("bug in job %s", kind)
        text = f"Something went wrong inside Deskside ({type(error).__name__}: {error})."
        return {
            "state": "failed",
            "error": UserError("bug", text, "Please report it; the log has the details.").to_json(),
        }


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """After a crash of the engine its job may still be closing down: wait for it rather than work beside it.

    Only work that can be resumed is left behind: neither the lock nor empty folders.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    try:
        lock.acquire(timeout=WAIT_FOR_PREDECESSOR_S)
    except Timeout:
        raise UserError(
            "job_running", f"{folder.name} is being worked on by another process.", "Wait for it, then resume."
        ) from None
    try:
        yield
    finally:
        _remove_empty(folder)
        with suppress(OSError):  # before it is let go: who waits for it sees that it is gone, and makes another
            Path(lock.lock_file).unlink()
        lock.release()


def remove_lock(folder: Path) -> None:
    """The lock that a killed job left beside its folder; nothing where another process works there."""
    lock = FileLock(folder.with_name(folder.name + ".lock"))
    with suppress(Timeout, OSError), lock.acquire(timeout=0):
        Path(lock.lock_file).unlink()


def _remove_empty(folder: Path) -> None:
    inside = sorted(folder.rglob("*"), reverse=True) if folder.is_dir() else []
    for path in (*inside, folder):
        with suppress(OSError):  # it is a file, or has something in it
            path.rmdir()


def _listen(source: IO[bytes], cancelled: threading.Event) -> None:
    source.readline()
    cancelled.set()


def _peak_bytes() -> int:
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    sys.exit(main())
