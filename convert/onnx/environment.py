"""The exporter's own Python environment: its libraries ask for older ones than the application itself uses.

It is made once, in the data folder, under a name that follows from what it holds. A kill at any moment leaves a work
folder that the next try throws away, never half an environment under a whole one's name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convert.note import note, spoken
from convert.onnx.child import Child, tail
from engine.api.errors import UserError
from engine.api.folders import home, write_json

if TYPE_CHECKING:
    from engine.api.job import Job

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
WATCHED = Path(__file__).with_name("watched.py")
STAMP, LOG = "deskside-environment.json", "install.log"
NEEDS = 3_000_000_000  # bytes free on the disk while it is made
PACKAGES = 42  # about as many are looked at; only how far the bar is depends on it
TORCH_WHEELS = "https://download.pytorch.org/whl/cpu"  # PyPI's wheel for Linux is the one for graphics cards
PYTHONS = ("python3.13", "python3.12", "python3.11", "python3", "python")
NEWEST, OLDEST = (3, 14), (3, 11)  # Pythons that all pinned libraries have wheels for
CHECK = "import torch, onnxruntime, sentencepiece; from optimum.exporters.onnx import onnx_export_from_model"
_UNREACHABLE = (
    "NewConnectionError",
    "NameResolutionError",
    "Temporary failure in name",
    "ConnectTimeout",
    "ReadTimeout",
    "ProxyError",
    "SSLError",
    "Network is unreachable",
    "Connection refused",
    "(from versions: none)",  # an index that is reached and has nothing at all is as good as none
)
_FULL = ("No space left on device", "[Errno 28]")


def folder() -> Path:
    """Where the environment belongs; its name changes with what is asked for."""
    known = REQUIREMENTS.read_bytes() + f"{sys.version_info[:2]}".encode()
    return home() / "environments" / f"onnx-{hashlib.sha256(known).hexdigest()[:12]}"


def python() -> Path | None:
    """The environment's Python, None while there is none."""
    found = _python_in(folder())
    return found if (folder() / STAMP).is_file() and found.is_file() else None


def prepare(job: Job) -> Path:
    """The environment's Python; made first where it is not there, which needs the network.

    Raises UserError disk_full, export_no_python, export_offline, export_install_failed; Cancelled.
    """
    found = python()
    if found:
        return found
    with _alone(job):
        return python() or _make(job)


def discard() -> None:
    """Forget an environment that does not work, so that the next try makes it anew."""
    (folder() / STAMP).unlink(missing_ok=True)


def child_environment() -> dict[str, str]:
    """The environment variables of the exporter: never a way to a hub, never code of a checkpoint."""
    offline = {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "DO_NOT_TRACK": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUTF8": "1",
        "HF_HOME": str(home() / "environments" / "nothing"),
    }
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "HF_ENDPOINT")} | offline


def _python_in(place: Path) -> Path:
    return place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


@contextmanager
def _alone(job: Job) -> Iterator[None]:
    """One process at a time makes it; the others wait, and can be cancelled."""
    from filelock import FileLock, Timeout

    folder().parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder().with_suffix(".lock"))
    while True:
        try:
            lock.acquire(timeout=0.3)
            break
        except Timeout:
            job.step(0, PACKAGES, "steps", "another job installs the exporter")
    try:
        yield
    finally:
        lock.release()


def _make(job: Job) -> Path:
    from models.hardware import free_disk
    from models.registry import disk_full

    _sweep()
    if free_disk(folder().parent) < NEEDS:
        raise disk_full(NEEDS, free_disk(folder().parent))
    job.note("The ONNX exporter is being installed: about 1.3 GB, needs the network this once.")
    work = folder().with_name(f"{folder().name}.{os.getpid()}.partial")
    try:
        _fill(work, job)
        work.replace(folder())
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return _python_in(folder())


def _sweep() -> None:
    """What a killed try left, and environments of earlier versions. Whoever works here holds the lock."""
    for place in folder().parent.glob("onnx-*"):
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)


def _fill(work: Path, job: Job) -> None:
    log = work.with_name(LOG)
    log.unlink(missing_ok=True)
    made = _run([_base_python(), "-m", "venv", str(work)], log, job)
    own = str(_python_in(work))
    if made or not Path(own).is_file():
        raise _no_python(_last_line(log))
    command = [own, "-m", "pip", "install", "--no-input", "--no-compile", "--progress-bar", "off", "--only-binary",
               ":all:", "--disable-pip-version-check", "-r", str(REQUIREMENTS)]  # fmt: skip
    failed = _run(command, log, job)
    if failed and _only_torch_lacks(tail(log)):
        failed = _run([*command, "--extra-index-url", TORCH_WHEELS], log, job)
    if failed or _run([own, "-c", CHECK], log, job):
        raise _failed(log)
    write_json(work / STAMP, {"requirements": REQUIREMENTS.read_text(encoding="utf-8"), "python": sys.version})


def _run(command: list[str], log: Path, job: Job) -> int:
    """Run a command that ends with this process; its exit status. The packages it names move the bar."""
    seen = [""]
    with Child([_base_python(), "-I", str(WATCHED), *command], log, child_environment()) as child:
        for line in child.lines(lambda: job.step(len(seen) - 1, PACKAGES, "steps", seen[-1])):
            with log.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
            if line.startswith("Collecting "):
                seen.append(line.split()[1])
        return child.status()


def _base_python() -> str:
    """A Python that can make environments: the one that runs this, or, in a frozen app, one of the system."""
    if not getattr(sys, "frozen", False):
        return str(getattr(sys, "_base_executable", "") or sys.executable)
    return next((found for name in PYTHONS if (found := shutil.which(name)) and _fits(found)), "") or _none_here()


def _none_here() -> str:
    raise _no_python(note("no_python_here", "there is no Python 3.11 to 3.14 on this machine"))


def _fits(found: str) -> bool:
    ask = "import sys; print(*sys.version_info[:2])"
    said = subprocess.run([found, "-I", "-c", ask], capture_output=True, text=True, check=False, timeout=20).stdout
    version = tuple(int(part) for part in said.split() if part.isdigit())
    return OLDEST <= version <= NEWEST


def _last_line(log: Path) -> str:
    lines = [line for line in tail(log).splitlines() if line.strip()]
    errors = [line for line in lines if "ERROR" in line or "Error" in line]
    return (errors or lines or [""])[-1].strip()[:300]


def _only_torch_lacks(words: str) -> bool:
    """Whether the index was reached, and has no torch for processors."""
    return "distribution found for torch" in words and not any(word in words for word in _UNREACHABLE)


def _failed(log: Path) -> UserError:
    words = tail(log)
    if any(word in words for word in _FULL):
        from models.hardware import free_disk
        from models.registry import disk_full

        return disk_full(NEEDS, free_disk(folder().parent))
    if any(word in words for word in _UNREACHABLE):
        return UserError(
            "export_offline",
            "The ONNX exporter is not installed yet, and its packages cannot be reached.",
            "Connect to the internet once (or set PIP_INDEX_URL to a package index you reach), then try again.",
        )
    return UserError(
        "export_install_failed",
        f"The ONNX exporter could not be installed: {_last_line(log)}",
        f"Try again later; the whole log is {log}.",
        reason=_last_line(log),
        log=str(log),
    )


def _no_python(reason: str) -> UserError:
    return UserError(
        "export_no_python",
        f"No Python environment can be made for the ONNX exporter: {reason}.",
        "Install Python 3.12 from python.org (on Debian and Ubuntu also the package python3-venv), then try again.",
        reason=spoken(reason),
    )
