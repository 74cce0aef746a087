"""4-bit weights for networks that write, by onnxruntime-genai's own builder, where a person has installed it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.onnx import environment
from convert.onnx.child import Child
from engine.api.errors import UserError

if TYPE_CHECKING:
    from engine.api.job import Job

FOLDER = "int4"
BUILDER = "onnxruntime_genai.models.builder"


def check(python: Path) -> None:
    """Raises UserError no_int4 where the builder is not in the exporter's environment."""
    if not available(python):
        raise no_int4("onnxruntime-genai is not installed in the exporter's environment")


def available(python: Path) -> bool:
    """Whether the builder can be called."""
    ask = f"from importlib.util import find_spec as f; exit(not (f('onnxruntime_genai') and f('{BUILDER}')))"
    return subprocess.run([python, "-P", "-c", ask], check=False, capture_output=True, timeout=60).returncode == 0


def make(python: Path, source: Path, out: Path, log: Path, job: Job) -> dict[str, Any]:
    """Write the folder int4/ in `out`. Raises UserError no_int4, Cancelled."""
    place = out / FOLDER
    build = [str(python), "-P", "-m", BUILDER, "-i", str(source), "-o", str(place), "-p", "int4", "-e", "cpu",
             "-c", str(out / "nothing"), "--extra_options", "hf_remote=false"]  # fmt: skip
    command = [str(python), "-I", str(environment.WATCHED), *build]
    with Child(command, log, environment.child_environment()) as child:
        for _ in child.lines(lambda: job.step(0, 1, "steps", FOLDER)):
            pass
        status, words = child.status(), child.last_words()
    if status:
        raise no_int4(words)
    return {"verdict": "not compared", "bytes": sum(file.stat().st_size for file in place.rglob("*") if file.is_file())}


def no_int4(reason: str) -> UserError:
    """The error for 4 bits that cannot be had."""
    return UserError(
        "no_int4",
        f"4-bit ONNX cannot be made: {reason}.",
        "Choose 8 bits, or convert to GGUF, where 4 bits work without it.",
        reason=reason,
    )
