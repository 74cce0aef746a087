"""What `deskside doctor` says: what is installed, what it can use, and what is in the way."""

from __future__ import annotations

import platform
import sqlite3
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from engine.api.folders import database_file, home, models_folder
from engine.installed_build import Finding, finding, findings
from engine.machine import hardware

if TYPE_CHECKING:
    from engine.core import Core

LITTLE_DISK = 2_000_000_000
STARTER = "smollm2-135m-instruct"
PACKAGES = ("deskside", "llama-cpp-python", "PySide6-Essentials", "sqlite-utils", "huggingface_hub", "httpx", "jinja2")


def report(core: Core) -> dict[str, Any]:
    """Facts of the machine and the installation; `abilities` says in plain words what llama.cpp can use of them,
    `problems` what a person should mend, [] if nothing; see engine.installed_build for both."""
    from engine.llama.devices import system_info
    from models.hardware import free_disk, processor_features
    from models.registry import installed

    machine, disk, llama = hardware(core), free_disk(home()), system_info()
    return {
        "system": {"platform": platform.platform(), "python": platform.python_version()},
        "packages": {name: _version(name) for name in PACKAGES},
        "sqlite": sqlite3.sqlite_version,
        "hardware": asdict(machine),
        "disk_free": disk,
        "home": str(home()),
        "database_bytes": database_file().stat().st_size,
        "llama": llama,
        "abilities": findings(llama, processor_features()),
        "models": [model.id for model in installed()],
        "recovered": core.store.recovered,
        "problems": _problems(core, disk),
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _problems(core: Core, disk: int) -> list[Finding]:
    from models.registry import installed

    found = []
    if disk < LITTLE_DISK:
        found.append(finding("little_disk", free=f"{disk / 1e9:.1f}", home=str(home())))
    if not installed():
        found.append(finding("no_model", model=STARTER))
    if core.store.recovered:
        found.append(finding("database_recovered", old=str(core.store.recovered["old"])))
    if not models_folder().is_dir():
        found.append(finding("no_models_folder", folder=str(models_folder())))
    return found
