"""A collection of 1,000 files: one of them changed beside all of them, and memory while the 1,000 are read.

All are indexed by the job's own process, one by the engine that runs anyway, as it happens when a watched file changes.
"""

from __future__ import annotations

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from _engine import ROOT, private_home
from _figures import figure

FILES, WORDS = 1000, 120
MOST_SHARE, MOST_GROWTH = 0.02, 1.15
SETTLED = 300  # files after which everything that is loaded once is loaded
VOCABULARY = ("harbour", "winter", "ship", "letter", "garden", "engine", "river", "music", "doctor", "window", "paper")


def write_files(folder: Path) -> None:
    """Texts of their own in sentences, every other one with some Chinese."""
    draw = random.Random(5)
    for number in range(FILES):
        words = [draw.choice(VOCABULARY) for _ in range(WORDS)]
        lines = [" ".join(words[at : at + 12]).capitalize() + "." for at in range(0, WORDS, 12)]
        text = " ".join(lines) + ("这台机器很重，放在大厅里。" * 8 if number % 2 else "")
        (folder / f"{number:04}.txt").write_text(text, encoding="utf-8")


def run_job(collection: str) -> Iterator[tuple[dict[str, Any], int]]:
    """Each event of the index job in a process of its own, and the bytes it holds then."""
    import psutil

    folder = Path(tempfile.mkdtemp(prefix="deskside-bench-")) / "job.partial"
    call = [sys.executable, "-m", "engine.job_main", "index", str(folder)]
    process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    if process.stdin is None or process.stdout is None:
        raise OSError("the job has no pipes")
    process.stdin.write(json.dumps({"collection": collection}).encode() + b"\n")
    process.stdin.flush()
    watched = psutil.Process(process.pid)
    for line in process.stdout:
        event = json.loads(line)
        yield event, 0 if event["event"] == "end" else watched.memory_info().rss
    process.wait()


def measure(collection: str) -> tuple[dict[str, Any], dict[int, int]]:
    """The job's last event, and bytes held by files done."""
    end: dict[str, Any] = {}
    held: dict[int, int] = {}
    for event, size in run_job(collection):
        if event["event"] == "step":
            held[event["done"]] = size
        elif event["event"] == "end":
            end = event
    if end.get("state") != "done":
        raise OSError(f"the job ended so: {end}")
    return end, held


def changed_file(collection: str, file: Path) -> float:
    """Seconds until a changed file is found by its new words, the median of some; the first warms up."""
    from engine.core import Call, Core
    from engine.requests.documents import sync

    core, call, seconds = Core(), Call(1, lambda event: None), []
    for number in range(6):
        file.write_text(f"One that changed {number} times. It is short now.", encoding="utf-8")
        began = time.perf_counter()
        done = sync(core, call, collection=collection)
        seconds.append(time.perf_counter() - began)
        if done["job"] or done["result"]["indexed"] != 1:
            raise OSError(f"not one file was read again: {done}")
    core.close()
    return statistics.median(seconds[1:])


def compare(name: str, folder: Path, embedder: str) -> None:
    """Print the figures of one collection."""
    from engine.documents import collection as collections
    from engine.documents.database import DocumentStore
    from engine.documents.sync import add_paths

    with closing(DocumentStore()) as store:
        made = collections.create(store, name, {"embedder": embedder})
        add_paths(store, collections.number_of(store, made["id"]), [str(folder)])
    whole, held = measure(made["id"])
    one = changed_file(made["id"], folder / "0500.txt")
    share = one / whole["seconds"]
    figure(f"{name}: 1 of {FILES} files changed / all", f"{share:.4f}", f"<= {MOST_SHARE}", share <= MOST_SHARE)
    figure(f"{name}: seconds", f"{one:.2f} / {whole['seconds']:.1f}")
    settled = max(size for done, size in held.items() if done <= SETTLED)
    grown = max(held.values()) / settled
    figure(f"{name}: memory, {FILES} / {SETTLED} files", f"{grown:.3f}", f"<= {MOST_GROWTH}", grown <= MOST_GROWTH)
    figure(f"{name}: MB held at most", f"{max(held.values()) / 1e6:.0f}")


def main() -> None:
    private_home()
    from minilm_gguf import minilm_gguf

    from models.registry import add_file

    folder = Path(tempfile.mkdtemp(prefix="deskside-bench-"))
    write_files(folder)
    embedder = add_file(minilm_gguf())[0].id
    compare("vectors and words", folder, embedder)


if __name__ == "__main__":
    main()
