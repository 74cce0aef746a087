"""The short job that says what something is, and what it can become."""

from __future__ import annotations

from typing import Any

from engine.api.job import Job


def run(params: dict[str, Any], job: Job) -> dict[str, Any]:
    """{source, targets: bool, endpoint} -> see convert.look.look and convert.targets.targets."""
    if params.get("targets"):
        from convert.targets import targets

        return targets(params["source"], str(params.get("endpoint") or ""))
    from convert.look import look

    return look(params["source"], str(params.get("endpoint") or ""))
