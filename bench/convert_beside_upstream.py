"""Our conversion beside llama.cpp's own converter, in turns, on a checkpoint of random weights that is made here.

A Llama of 1.1 GB in BF16 with SmolLM2's vocabulary; both are whole processes, from their start to the finished file.
Ours also compares its tokens with llama.cpp's, takes the file's hash and makes it safe on the disk, all in its time.

Memory is what all processes of a run have in memory together, looked at a hundred times a second: `resident` is
anonymous memory and pages of mapped files (both converters map the weights), `anonymous` what belongs to no file.
`--small` for a quick look; `--rounds N` of bf16; `--types bf16,f16`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from _engine import ROOT, private_home, smollm2
from _figures import figure, ratio

if TYPE_CHECKING:
    from convert.operations import Laid
    from convert.safetensors_file import Wanted

LOOK_EVERY_S = 0.01
FASTER, LIGHTER = 3.0, 1 / 3
SIZE = {"hidden_size": 2048, "intermediate_size": 5632, "heads": 32, "kv_heads": 8, "layers": 10}
SMALL = {"hidden_size": 512, "intermediate_size": 1536, "heads": 8, "kv_heads": 4, "layers": 4}
OURS = """
import json, sys
from pathlib import Path
from engine.api.job import Job
from convert.jobs.convert import run
asked = json.loads(sys.argv[1])
run(asked, Job(Path(asked["out"] + ".partial"), asked))
"""


@dataclass(frozen=True)
class Run:
    """One conversion: seconds, and bytes at the peak."""

    seconds: float
    resident: float
    anonymous: float


def main() -> None:
    if not Path("/proc/self/status").exists():
        figure("converting beside llama.cpp's converter", "not measured: needs /proc")
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--types", default="bf16,f16,q8_0")
    chosen = parser.parse_args()
    private_home()
    with tempfile.TemporaryDirectory(prefix="deskside-bench-") as place:
        folder = Path(place)
        size = checkpoint(folder / "model", SMALL if chosen.small else SIZE)
        for kind in chosen.types.split(","):
            compare(kind, chosen.rounds if kind == "bf16" else 1, folder, size)


def compare(kind: str, rounds: int, folder: Path, size: int) -> None:
    """Upstream, ours, upstream, ours…: the quickest run and the highest peak of each."""
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(watched(upstream(folder / "model", folder / "theirs.gguf", kind)))
        ours.append(watched(our_own(folder / "model", folder / "ours.gguf", kind)))
        alike(folder)
    name = f"bf16 -> {kind}, {size / 1e6:.0f} MB"
    for who, runs in (("llama.cpp's converter", theirs), ("ours", ours)):
        seconds = min(run.seconds for run in runs)
        peaks = [max(getattr(run, what) for run in runs) / 1e6 for what in ("resident", "anonymous")]
        told = f"{seconds:.1f} s, {size / seconds / 1e6:.0f} MB/s, peak {peaks[0]:.0f} MB, anonymous {peaks[1]:.0f} MB"
        figure(f"{name}: {who}", told)
    ratio(f"{name}: throughput of ours / theirs", min(r.seconds for r in theirs) / min(r.seconds for r in ours), FASTER)
    for what in ("resident", "anonymous"):
        part = max(getattr(run, what) for run in ours) / max(getattr(run, what) for run in theirs)
        goal, kept = (f"<= {LIGHTER:.3f}", part <= LIGHTER) if what == "resident" else ("", None)
        figure(f"{name}: peak {what} of ours / theirs", f"{part:.3f}", goal, kept)


def alike(folder: Path) -> None:
    """Both files have the same tensors, in the same types and shapes; then they go."""
    from models.gguf_reader import read_raw

    files = [folder / "theirs.gguf", folder / "ours.gguf"]
    found = [{tensor.name: (tensor.type, tensor.shape) for tensor in read_raw(file).inventory} for file in files]
    if found[0] != found[1]:
        raise SystemExit(f"the files differ: {sorted(set(found[0].items()) ^ set(found[1].items()))[:3]}")
    for file in files:
        file.unlink()
    shutil.rmtree(folder / "ours.gguf.partial", ignore_errors=True)


def upstream(source: Path, out: Path, kind: str) -> list[str]:
    import export_environment
    import upstream_converter

    script = upstream_converter.sources() / "convert_hf_to_gguf.py"
    return [str(export_environment.export_python()), str(script), str(source), "--outfile", str(out), "--outtype", kind]


def our_own(source: Path, out: Path, kind: str) -> list[str]:
    asked = {"source": str(source), "out": str(out), "type": kind, "report": False}
    return [sys.executable, "-c", OURS, json.dumps(asked)]


def watched(command: list[str]) -> Run:
    """Run it to its end. Raises SystemExit with its last words where it fails."""
    with tempfile.TemporaryFile() as said:
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=said, stderr=said, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
        resident = anonymous = 0
        while process.poll() is None:
            parts = [memory(number) for number in family(process.pid)]
            resident = max(resident, sum(part[0] for part in parts))
            anonymous = max(anonymous, sum(part[1] for part in parts))
            time.sleep(LOOK_EVERY_S)
        seconds = time.perf_counter() - begun
        said.seek(0)
        if process.returncode:
            raise SystemExit(said.read()[-2000:].decode("utf-8", "replace"))
    return Run(seconds, resident, anonymous)


def family(number: int) -> Iterator[int]:
    """A process and all that it started."""
    yield number
    for children in Path(f"/proc/{number}/task").glob("*/children"):
        try:
            for child in children.read_text().split():
                yield from family(int(child))
        except OSError:
            return


def memory(number: int) -> tuple[int, int]:
    """Bytes resident, and the anonymous part of them; (0, 0) of a process that has ended."""
    try:
        lines = Path(f"/proc/{number}/status").read_text().splitlines()
    except OSError:
        return 0, 0
    found = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if line.startswith(("VmRSS", "RssAnon"))}
    return found.get("VmRSS", 0), found.get("RssAnon", 0)


# The checkpoint -----------------------------------------------------------------------------------------------------


def checkpoint(folder: Path, size: dict[str, int]) -> int:
    """A Llama of random weights in BF16 with a real vocabulary; its bytes. It is read once, to be in the page cache."""
    from convert.gguf_source import open_gguf
    from convert.safetensors_file import write_checkpoint
    from convert.vocabulary import to_huggingface
    from engine.api.job import Job

    folder.mkdir()
    words = open_gguf(smollm2()).entries
    to_huggingface(words, folder)
    rows = len(words["tokenizer.ggml.tokens"][1])
    (folder / "config.json").write_text(json.dumps(config(size, rows)), encoding="utf-8")
    shaped = shapes(size, rows)
    tensors = [random_tensor(name, shape) for name, shape in shaped.items()]
    write_checkpoint(folder, tensors, Job(folder.parent / "made", {}), [])
    with (folder / "model.safetensors").open("rb") as file:
        while file.read(1 << 24):
            pass
    return (folder / "model.safetensors").stat().st_size


def config(size: dict[str, int], rows: int) -> dict[str, object]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": size["hidden_size"],
        "intermediate_size": size["intermediate_size"],
        "num_hidden_layers": size["layers"],
        "num_attention_heads": size["heads"],
        "num_key_value_heads": size["kv_heads"],
        "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "vocab_size": rows,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
    }


def shapes(size: dict[str, int], rows: int) -> dict[str, tuple[int, ...]]:
    wide, inner = size["hidden_size"], size["intermediate_size"]
    narrow = wide // size["heads"] * size["kv_heads"]
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (rows, wide)}
    for layer in range(size["layers"]):
        at = f"model.layers.{layer}."
        found |= {f"{at}self_attn.{name}_proj.weight": (wide, wide) for name in "qo"}
        found |= {f"{at}self_attn.{name}_proj.weight": (narrow, wide) for name in "kv"}
        found |= {f"{at}mlp.{name}_proj.weight": (inner, wide) for name in ("gate", "up")}
        found |= {f"{at}mlp.down_proj.weight": (wide, inner)}
        found |= {f"{at}{name}_layernorm.weight": (wide,) for name in ("input", "post_attention")}
    return found | {"model.norm.weight": (wide,)}


def random_tensor(name: str, shape: tuple[int, ...]) -> Wanted:
    """Both signs, around 0.01: an exponent of 120, random bits below it."""
    from convert.operations import laid
    from convert.safetensors_file import Wanted

    def values() -> Iterator[tuple[Laid, str]]:
        draw = np.random.default_rng(len(name) + shape[0])
        bits = draw.integers(0, 1 << 16, shape, np.uint16)
        bits &= np.uint16(0x807F)
        bits |= np.uint16(120 << 7)
        yield laid(bits), "BF16"

    return Wanted(name, shape, "BF16", values)


if __name__ == "__main__":
    main()
