"""Reading documents without a collection."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from engine.core import Call, Core


def read(core: Core, call: Call, path: str, out: str) -> dict[str, Any]:
    """Write what is read of a file, or of all files in a folder, into the folder `out`. Events: step."""
    from engine.documents.reading import Reading
    from engine.documents.text_export import export

    def step(done: int, total: int, name: str) -> None:
        call.emit("step", done=done, total=total, text=name)

    with Reading() as reading:
        return asdict(export(Path(path), Path(out), reading, step, call.cancelled))
