"""What two libraries raise over a file that is no good, told from every other error by its very type.

There is no class to name in an `except`: tokenizers raises Exception itself, and a BaseException of its own where its
code gives up on a file; onnxruntime's errors have no parent but Exception. Whatever is not theirs goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from models.damage import damaged

ORT = "onnxruntime.capi.onnxruntime_pybind11_state"
PANICS = "pyo3_runtime"


class Blaming:
    """`with Blaming(path, blames)`: an error whose type `blames` says yes to becomes UserError damaged_model."""

    def __init__(self, path: Path, blames: Callable[[type[BaseException]], bool]) -> None:
        self._path, self._blames = path, blames

    def __enter__(self) -> None:
        """Nothing is done before."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if kind is not None and self._blames(kind):
            raise damaged(self._path, " ".join(str(error).split())[:200]) from error


def reading_tokenizer(path: Path) -> Blaming:
    """For calls into tokenizers: some faults of a file show only when a text is split."""
    return Blaming(path, lambda kind: kind is Exception or kind.__module__ == PANICS)


def running_graph(path: Path) -> Blaming:
    """For calls into onnxruntime; RuntimeError is what it lets through of C++."""
    return Blaming(path, lambda kind: kind is RuntimeError or kind.__module__ == ORT)
