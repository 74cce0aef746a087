"""What watching costs: the same chunks read with the importance matrix's hook and without it, turn by turn.

Both read every token as an output. `whole` computes the head too, as without the hook; the job itself stops before it.
The quickest chunk of each counts. `--model smollm2` or `qwen` for one of the two, `--seconds N` for longer than a
minute.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from _engine import THREADS, private_home, qwen_coder, smollm2
from _figures import figure, ratio

CHUNK, MOST = 512, 5.0
ROUNDS, FEWEST = 12, 2  # of all three; how many it becomes is a matter of time
MODELS = {"smollm2": ("SmolLM2-135M", smollm2), "qwen": ("Qwen2.5-Coder-0.5B", qwen_coder)}


def read(reader: object, chunk: list[int]) -> float:
    """Seconds for one chunk."""
    begun = time.perf_counter()
    for _ in reader.read([chunk]):  # type: ignore[attr-defined]
        pass
    return time.perf_counter() - begun


def measure(name: str, file: Path, seconds: float) -> None:
    """Each chunk by all three, one after the other in changing order: a slow minute of the machine is everybody's."""
    from convert.calibration_text import parts
    from engine.llama.beside import Reader, Reading
    from engine.llama.importance import Importance

    reading = Reading(CHUNK, 1, THREADS)
    hooks = {"bare": None, "whole": Importance(whole=True), "early": Importance()}
    readers = {kind: Reader(file, reading, hook) for kind, hook in hooks.items()}
    tokens = readers["bare"].model.tokenize(parts("builtin", "calibrate")[1].text, special=False)
    times: dict[str, list[float]] = {kind: [] for kind in readers}
    until = time.monotonic() + seconds
    for number in range(ROUNDS):
        if number > FEWEST and time.monotonic() > until:
            break
        # The first, a short one, is to warm up.
        chunk = tokens[number * CHUNK : (number + 1) * CHUNK] if number else tokens[: CHUNK // 8]
        turns = list(readers.items())
        for kind, reader in turns[number % 3 :] + turns[: number % 3]:
            times[kind].append(read(reader, chunk))
    for reader in readers.values():
        reader.close()
    bare, whole, early = (min(times[kind][1:]) for kind in ("bare", "whole", "early"))
    cost = 100 * (whole / bare - 1)
    figure(f"imatrix, {name}: cost of watching, %", f"{cost:.2f}", f"< {MOST:g}", cost < MOST)
    ratio(f"imatrix, {name}: speed of the job / of plain reading", bare / early, 0.95)
    figure(f"imatrix, {name}: tokens/s", f"{CHUNK / early:.0f}, of {len(times['bare']) - 1} chunks")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=[*MODELS])
    parser.add_argument("--seconds", type=float, default=60.0)
    chosen = parser.parse_args()
    private_home()
    for key in [chosen.model] if chosen.model else MODELS:
        name, file = MODELS[key]
        measure(name, file(), chosen.seconds / (1 if chosen.model else len(MODELS)))


if __name__ == "__main__":
    main()
