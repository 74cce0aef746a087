"""Chunks a second made vectors by us beside sentence-transformers, and by each of our runtimes, on the same threads.

sentence-transformers and torch (800 MB) are no dependency of anything here; they run in an environment of their own:

    python3 -m venv ~/peer && ~/peer/bin/pip install sentence-transformers torch==2.13.0
    DESKSIDE_PEER_PYTHON=~/peer/bin/python python dev.py bench embedding_chunks

Without it only our own figures are printed.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from _engine import THREADS, private_home
from _figures import figure, ratio
from _rounds import abba, median_ratio, medians

if TYPE_CHECKING:
    from engine.documents.embedders import Embedder

ROUNDS, CHUNKS = 4, 64
LEAST = 1.5
SAME = 0.98  # cosine, by which the vectors of 8 bits are those of 32
WORDS = """
harbour winter infrastructure letter gardening engineer river musicians doctors windows paperwork measurement turbine
conference understanding morning statistics government published recommendation bridge committee of the and in to was
""".split()  # noqa: SIM905
PEER = """
import os, sys, time
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import numpy, torch
from sentence_transformers import SentenceTransformer
folder, file, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(threads)
model = SentenceTransformer(folder, device="cpu")
texts = open(file, encoding="utf-8").read().splitlines()
model.encode(texts[:4])
print("ready", flush=True)
for line in sys.stdin:
    start = time.perf_counter()
    vectors = model.encode(texts, normalize_embeddings=True)
    spent = time.perf_counter() - start
    numpy.save(file + ".npy", vectors)
    print(spent, flush=True)
"""


def chunks() -> list[str]:
    """Passages of 40 to 150 words, always the same: what the chunker makes for an embedder of 256 tokens."""
    draw = random.Random(7)
    return [" ".join(draw.choices(WORDS, k=draw.randint(40, 150))) for _ in range(CHUNKS)]


@contextlib.contextmanager
def peer(folder: Path, texts: list[str]) -> Iterator[tuple[Callable[[int], float], Path] | None]:
    """A function that says how long sentence-transformers takes for all texts, and where their vectors are then; None
    where nobody has installed it."""
    python = os.environ.get("DESKSIDE_PEER_PYTHON", "")
    if not python:
        yield None
        return
    with tempfile.TemporaryDirectory() as place:
        file = Path(place) / "texts"
        file.write_text("\n".join(texts), encoding="utf-8")
        command = [os.path.expanduser(python), "-c", PEER, str(folder), str(file), str(THREADS)]  # noqa: PTH111
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin and process.stdout
            said, asked = process.stdout, process.stdin

            def spent(number: int) -> float:
                print(number, file=asked, flush=True)
                return float(said.readline())

            if said.readline().strip() != "ready":
                raise SystemExit(f"{python} has no sentence-transformers that works")
            yield spent, Path(f"{file}.npy")
            asked.close()


def seconds(embedder: Embedder, texts: list[str]) -> Callable[[int], float]:
    """How long we take for all texts."""

    def spent(number: int) -> float:
        start = time.perf_counter()
        embedder.passages(texts)
        return time.perf_counter() - start

    embedder.passages(texts[:4])
    return spent


def rates(pairs: list[tuple[float, float]]) -> str:
    """Chunks a second of both sides."""
    return medians([(CHUNKS / one, CHUNKS / other) for one, other in pairs])


def beside_peer(folder: Path, ours: Embedder, texts: list[str]) -> None:
    """Print the ratio, and whether both make the same vectors."""
    import numpy as np

    with peer(folder, texts) as other:
        if other is None:
            figure("sentence-transformers", "not measured: DESKSIDE_PEER_PYTHON names no interpreter that has it")
            return
        spent, vectors = other
        pairs = abba(spent, seconds(ours, texts), ROUNDS)
        ratio("all-MiniLM-L6-v2: chunks/s, ours / sentence-transformers", median_ratio(pairs), LEAST)
        figure("all-MiniLM-L6-v2: chunks/s, sentence-transformers / ours", rates(pairs))
        alike = float((np.load(vectors) * ours.passages(texts)).sum(1).min())
        ratio("all-MiniLM-L6-v2: least cosine with sentence-transformers' vectors", alike, SAME)


def beside_gguf(ours: Embedder, texts: list[str]) -> None:
    """Print the ratio of our two runtimes for each kind of numbers; the faster one should be the usual one."""
    from minilm_gguf import minilm_as

    from engine.documents.embedders import open_embedder
    from models import registry

    for kind in ("Q8_0", "F16", "F32"):
        (added,) = registry.add_file(minilm_as(kind))
        llama = open_embedder(added.id, THREADS)
        assert llama is not None
        pairs = abba(seconds(llama, texts), seconds(ours, texts), ROUNDS)
        ratio(f"all-MiniLM-L6-v2: chunks/s, onnxruntime in 8 bits / llama.cpp {kind}", median_ratio(pairs), 1.0)
        figure(f"all-MiniLM-L6-v2: chunks/s, llama.cpp {kind} / onnxruntime", rates(pairs))
        llama.close()


def main() -> None:
    private_home()
    from real_models import minilm

    from engine.documents.embedders import open_embedder
    from models import registry

    (added,) = registry.add_file(minilm())
    ours, texts = open_embedder(added.id, THREADS), chunks()
    assert ours is not None
    figure("threads", str(THREADS))
    beside_peer(minilm(), ours, texts)
    beside_gguf(ours, texts)
    ours.close()


if __name__ == "__main__":
    main()
