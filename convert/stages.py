"""Jobs within a job: each in a folder of its own, resumable for itself, and done once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from engine.api.folders import write_json
from engine.api.job import Job

Run = Callable[[dict[str, Any], Job], dict[str, Any]]


def stage(job: Job, name: str, run: Run, params: dict[str, Any]) -> dict[str, Any]:
    """The result of `run(params)`; the one of an earlier try of the same job where it got that far."""
    folder = job.folder / name
    done = folder / "done.json"
    try:
        found: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError):
        folder.mkdir(parents=True, exist_ok=True)
    job.note(name, "stage")
    found = run(params, Job(folder, params, job.pass_on, job.cancelled))
    write_json(done, found)
    return found
