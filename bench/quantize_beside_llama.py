"""Quantizing by our child and by our whole job beside llama_model_quantize alone, in turns: time and peak memory.

The job also checks what was written, reads it again for its hash and makes it safe on the disk, so it is held against
llama_model_quantize with a hash and an fsync after it, too; the source's hash is taken in the first round and
remembered. Memory is that of all processes.
`--type NAME` for another type than Q4_K_M; `--model smollm2` for a quick look.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from _engine import ROOT, THREADS, private_home, qwen_coder, smollm2
from _figures import figure

ROUNDS, SLOWER, MOST_MEMORY = 5, 1.10, 1.0
MB = 1e6

ALONE = """
import llama_cpp
params = llama_cpp.llama_model_quantize_default_params()
params.nthread, params.ftype = asked["threads"], asked["file_type"]
code = llama_cpp.llama_model_quantize(asked["source"].encode(), asked["out"].encode(), params)
assert code == 0, code
"""
AND_SAFE = """
import hashlib, os
with open(asked["out"], "rb") as made:
    hashlib.file_digest(made, "sha256")
    os.fsync(made.fileno())
"""
CHILD = """
from pathlib import Path
from engine.llama.quantize import Request, quantize
out = Path(asked["out"])
quantize(Request(Path(asked["source"]), out, out.with_suffix(".work"), asked["file_type"], threads=asked["threads"]))
"""
OURS = """
from pathlib import Path
from engine.api.job import Job
from convert.jobs.quantize import run
run(asked, Job(Path(asked["out"] + ".partial"), asked))
"""
AROUND = """
import json, resource, sys, time
asked = json.loads(sys.argv[1])
start = time.perf_counter()
{body}
seconds = time.perf_counter() - start
peak = sum(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
print(json.dumps([seconds, peak * 1024]), file=sys.__stdout__)
"""


def measured(body: str, asked: dict[str, object]) -> tuple[float, float]:
    """Seconds, and bytes at the peak, of one run in a process of its own."""
    call = [sys.executable, "-c", AROUND.format(body=body), json.dumps(asked)]
    os.sync()  # what the run before left to be written is not this one's
    done = subprocess.run(call, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return float(seconds), float(peak)


def main() -> None:
    if sys.platform == "win32":
        figure("quantizing beside llama_model_quantize", "not measured: needs getrusage")
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--type", default="Q4_K_M")
    parser.add_argument("--model", default="qwen", choices=["qwen", "smollm2"])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    chosen = parser.parse_args()
    private_home()
    from convert.recipe import recipe

    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as folder:
        source = Path(folder) / "f16.gguf"
        original = qwen_coder() if chosen.model == "qwen" else smollm2()
        measured(
            OURS, {"source": str(original), "out": str(source), "type": "F16", "threads": THREADS, "report": False}
        )
        asked: dict[str, object] = {"source": str(source), "threads": THREADS, "type": chosen.type, "report": False}
        alone, safe, child, ours = [], [], [], []
        for number in range(chosen.rounds):
            out = {"out": f"{folder}/{number}.gguf"}
            bare = asked | out | {"file_type": recipe(chosen.type).file_type}
            alone.append(measured(ALONE, bare))
            safe.append(measured(ALONE + AND_SAFE, bare))
            child.append(measured(CHILD, bare))
            ours.append(measured(OURS, asked | out))
        name = f"{chosen.type}, {source.stat().st_size / MB:.0f} MB F16"
        figure(f"{name}: llama_model_quantize alone, s, peak MB", shown(alone))
        report(f"{name}: our child", alone, child)
        figure(f"{name}: our job: time over alone", f"{slower(alone, ours):.3f}")
        report(f"{name}: our job beside the same with hash and fsync", safe, ours)


def shown(runs: list[tuple[float, float]]) -> str:
    """The quickest round, and the highest peak."""
    return f"{min(run[0] for run in runs):.2f}, {max(run[1] for run in runs) / MB:.0f}"


def slower(alone: list[tuple[float, float]], ours: list[tuple[float, float]]) -> float:
    """How many times as long, the quickest round of each."""
    return min(run[0] for run in ours) / min(run[0] for run in alone)


def report(name: str, alone: list[tuple[float, float]], ours: list[tuple[float, float]]) -> None:
    """The quickest round of each, and the highest peak of each."""
    share = slower(alone, ours)
    heavier = max(run[1] for run in ours) / max(run[1] for run in alone)
    figure(f"{name}: s, peak MB", f"{shown(ours)}; {shown(alone)}")
    figure(f"{name}: time over alone", f"{share:.3f}", f"<= {SLOWER:g}", share <= SLOWER)
    figure(f"{name}: peak over alone", f"{heavier:.3f}", f"<= {MOST_MEMORY:g}", heavier <= MOST_MEMORY)


if __name__ == "__main__":
    main()
