"""The short job that says what something is."""

from __future__ import annotations

from typing import Any

from convert.look import look
from engine.api.job import Job


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """{source} -> see convert.look.look."""
    return look(params["source"])
