"""This machine as the fit estimate sees it: what the system says, and llama.cpp's list of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.core import Core
    from models.hardware import Hardware


def hardware(core: Core) -> Hardware:
    """Measured now. The loaded model's memory counts as free, since another model would take its place."""
    from engine.llama.devices import devices
    from models.hardware import Device, probe

    gpus = [Device(d["description"], d["total"], d["free"]) for d in devices() if "gpu" in d["type"]]
    loaded = core.worker.loaded()
    return probe(gpus, held=sum(loaded.memory.values()) if loaded else 0)
