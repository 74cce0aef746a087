"""4-bit weights for networks that write, by onnxruntime-genai's own builder. Runs in the exporter's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from convert.onnx.running import Graph
from convert.onnx.source_model import Refused

FOLDER = "int4"
PACKAGE = "onnxruntime-genai"
BUILDER = "onnxruntime_genai.models.builder"
WATCHED = Path(__file__).with_name("watched.py")
# 4 bits in blocks of 32 with a search for the best scale; 8 for the head and the products that lose most.
RECIPE = "k_quant_mixed"


def build(source: Path, out: Path, threads: int) -> None:
    """Write the folder int4/ in `out`. Raises Refused no_int4; why stands in what the builder wrote last."""
    place = out / FOLDER
    options = ["hf_remote=false", "hf_token=false", f"algo_config={RECIPE}"]
    own = [sys.executable, "-P", "-m", BUILDER, "-i", str(source), "-o", str(place), "-p", "int4", "-e", "cpu",
           "-c", str(out / "nothing"), "--extra_options", *options]  # fmt: skip
    few = {"OMP_NUM_THREADS": str(threads)} if threads else {}
    # It ends when this process does: its stdin stays open until then.
    command = [sys.executable, "-I", str(WATCHED), *own]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, **few}) as process:
        status = process.wait()
    if status or not (place / "model.onnx").is_file():
        raise Refused("no_int4")


def graph(out: Path, threads: int) -> Graph:
    """What was built, to be run by onnxruntime alone."""
    place = out / FOLDER
    said = json.loads((place / "genai_config.json").read_text(encoding="utf-8"))["model"]["decoder"]
    return Graph(place / said["filename"], threads, {"kv_cache_dim": int(said["head_size"])})


def told(out: Path) -> dict[str, Any]:
    """What the report says beside the figures: {"recipe", "bytes"}, the bytes of the network alone."""
    files = (out / FOLDER).glob("model.onnx*")
    return {"recipe": RECIPE, "bytes": sum(file.stat().st_size for file in files)}
