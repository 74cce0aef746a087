"""Loads a model on a card that is nearly full and has it answer; `full_card.py MODEL LEFT_MIB LAYERS CACHE FLASH`.

Prints JSON. In a process of its own: where the memory of the card ends in the middle of an answer, llama.cpp ends it.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fixtures")]

CONTEXT, TOGETHER = 8192, 8
STORY = "Once upon a time there was a small cat who lived by the sea. Every morning"


def main(file: Path, left: int, layers: int, cache: str, flash: str) -> dict[str, Any]:
    """Layers and bytes on the card, what was free before, loaded, and after answering; and the answers."""
    from graphics_card import free, nearly_full

    from engine.llama.load import LoadSettings
    from engine.resident import Serving, take_in

    free()  # the driver's own share is taken by the first who asks
    settings = LoadSettings(
        context_size=CONTEXT, threads=4, gpu_layers=layers, sequences=TOGETHER, kv_type=cache, flash_attention=flash
    )
    with nearly_full(left):
        before = free()
        resident = take_in("model", file, settings, Serving(), lambda done: True)
        info, loaded = resident.info, free()
        texts = _answers(resident)
        after = free()
        seeded = _answer(resident, STORY, seed=5)
        told = {"layers": info.gpu_layers, "cards": info.cards, "memory": info.memory, "private": info.private}
        resident.stop()
        resident.close()
    return told | {"free": [before, loaded, after], "texts": texts, "seeded": seeded}


def _answers(resident: Any) -> list[str]:
    """One alone, then eight long prompts at once."""
    long = [f"{number}. " + STORY * 40 for number in range(TOGETHER)]
    alone = _answer(resident, STORY)
    with ThreadPoolExecutor(TOGETHER) as pool:
        return [alone, *pool.map(lambda prompt: _answer(resident, prompt), long)]


def _answer(resident: Any, prompt: str, seed: int = -1) -> str:
    from engine.api.sampling import Sampling
    from engine.generation import Generation

    heard = Heard()
    sampling = Sampling(temperature=0, max_tokens=12, seed=seed)
    resident.generate(Generation(prompt, sampling), heard, threading.Event())
    return "".join(heard.pieces)


class Heard:
    """Keeps the text of an answer."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """Not kept."""

    def text(self, piece: str) -> None:
        """More of it."""
        self.pieces.append(piece)


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]) << 20, int(sys.argv[3]), *sys.argv[4:6])))
