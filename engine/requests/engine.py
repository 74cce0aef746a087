"""Requests about the engine itself and the settings."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from engine.api.folders import home
from engine.core import Call, Core


def version() -> str:
    """Deskside's version, from its package metadata."""
    from importlib.metadata import version as installed

    return installed("deskside")


def hello(core: Core, call: Call) -> dict[str, Any]:
    """The first request of a client: who answers, and whether a damaged database was replaced."""
    return {"version": version(), "home": str(home()), "recovered": core.store.recovered}


def doctor(core: Core, call: Call) -> dict[str, Any]:
    """What this machine and this installation can do."""
    from engine.doctor import report

    return report(core)


def settings_get(core: Core, call: Call) -> dict[str, Any]:
    """All settings."""
    return asdict(core.settings)


def settings_set(core: Core, call: Call, values: dict[str, Any]) -> dict[str, Any]:
    """Change settings; returns all of them."""
    return core.change_settings(values)
