"""What watching costs: the same chunks read with the importance matrix's hook and without it, turn by turn.

Both read every token as an output. `whole` computes the head too, as without the hook; the job itself stops before it.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from _engine import THREADS, private_home, qwen_coder, smollm2
from _figures import figure, ratio

CHUNK, CHUNKS, MOST = 512, 6, 5.0


def read(reader: object, chunk: list[int]) -> float:
    """Seconds for one chunk."""
    begun = time.perf_counter()
    for _ in reader.read([chunk]):  # type: ignore[attr-defined]
        pass
    return time.perf_counter() - begun


def measure(name: str, file: Path) -> None:
    """Each chunk three times in a row, so that a slow minute of the machine is everybody's."""
    from convert.calibration_text import parts
    from engine.llama.beside import Reader, Reading
    from engine.llama.importance import Importance

    reading = Reading(CHUNK, 1, THREADS)
    hooks = {"bare": None, "whole": Importance(whole=True), "early": Importance()}
    readers = {kind: Reader(file, reading, hook) for kind, hook in hooks.items()}
    tokens = readers["bare"].model.tokenize(parts("builtin", "calibrate")[1].text, special=False)
    times: dict[str, list[float]] = {kind: [] for kind in readers}
    for number in range(CHUNKS + 1):  # the first to warm up
        chunk = tokens[number * CHUNK : (number + 1) * CHUNK]
        for kind, reader in readers.items():
            times[kind].append(read(reader, chunk))
    for reader in readers.values():
        reader.close()
    over = [100 * (w / b - 1) for w, b in zip(times["whole"][1:], times["bare"][1:], strict=True)]
    cost = statistics.median(over)
    figure(f"imatrix, {name}: cost of watching, %", f"{cost:.2f}", f"< {MOST:g}", cost < MOST)
    gain = statistics.median(b / e for b, e in zip(times["bare"][1:], times["early"][1:], strict=True))
    ratio(f"imatrix, {name}: speed of the job / of plain reading", gain, 0.95)
    figure(f"imatrix, {name}: tokens/s", f"{CHUNK / statistics.median(times['early'][1:]):.0f}")


def main() -> None:
    private_home()
    measure("SmolLM2-135M", smollm2())
    measure("Qwen2.5-Coder-0.5B", qwen_coder())


if __name__ == "__main__":
    main()
