"""This machine as the fit estimate sees it: what the system says, and llama.cpp's list of devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.core import Core
    from models.hardware import Hardware


def hardware(core: Core) -> Hardware:
    """Measured now. The buffers of loaded models count as free, since another model would take their place."""
    from engine.llama.devices import cards
    from models.hardware import Device, probe

    residents = core.residents.loaded()
    loaded = [resident.info for resident in residents]
    gpus = []
    for card in cards():
        held = sum(info.cards.get(card["name"], 0) for info in loaded)
        gpus.append(Device(card["description"], card["total"], min(card["total"], card["free"] + held)))
    # Weights in main memory are pages of a mapped file: the system counts them as free.
    return probe(gpus, held=sum(resident.private() for resident in residents))


def room(core: Core) -> int:
    """Bytes of main memory that loaded models may still take now, so that their own weights stay in it."""
    from models.fit import HARD
    from models.hardware import free_memory

    residents = core.residents.loaded()
    weights = sum(r.info.memory["weights"] for r in residents if not r.info.gpu_layers)
    return int(free_memory() * HARD) - weights
