"""Requests about jobs."""

from __future__ import annotations

from typing import Any

from engine.api.messages import JobRow
from engine.core import Call, Core


def list_jobs(core: Core, call: Call) -> dict[str, Any]:
    """All jobs, the newest first."""
    return {"jobs": core.runner.list()}


def pause(core: Core, call: Call, job: str) -> JobRow:
    """Stop a job and keep its work, to be resumed."""
    return core.runner.pause(job)


def resume(core: Core, call: Call, job: str) -> JobRow:
    """Go on with an interrupted, failed or cancelled job."""
    return core.runner.resume(job)


def cancel(core: Core, call: Call, job: str) -> JobRow:
    """Stop a job and throw its unfinished work away."""
    return core.runner.cancel(job)


def delete(core: Core, call: Call, job: str) -> dict[str, Any]:
    """Forget a job that has ended, together with its unfinished work."""
    core.runner.delete(job)
    return {}
