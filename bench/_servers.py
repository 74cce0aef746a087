"""Servers on the same model file, each a process of its own: ours, and llama-server from the `xllamacpp` wheel.

DESKSIDE_BENCH_LLAMA_SERVER names another llama-server to be the peer, for example one compiled for this processor.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from _engine import ROOT

WAIT_S = 120
COMPILED = os.environ.get("DESKSIDE_BENCH_LLAMA_SERVER", "")
PEER = """
import sys, time
import xllamacpp
file, port, threads, context, parallel = sys.argv[1], *map(int, sys.argv[2:])
params = xllamacpp.CommonParams()
params.model.path, params.port, params.n_ctx, params.n_parallel = file, port, context, parallel
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
params.kv_unified, params.endpoint_metrics, params.cache_ram_mib, params.verbosity = True, False, 0, -1
server = xllamacpp.Server(params)
print("ready", flush=True)
sys.stdin.read()
"""


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def peer(file: Path, threads: int, context: int, parallel: int) -> Iterator[int]:
    """llama-server; its port."""
    port = free_port()
    command = [sys.executable, "-c", PEER, str(file), *map(str, (port, threads, context, parallel))]
    if COMPILED:
        said = f"--host 127.0.0.1 --port {port} -t {threads} -tb {threads} -c {context} -np {parallel}"
        command = [COMPILED, "-m", str(file), *said.split(), "-kvu", "--cache-ram", "0", "--no-ui", "--log-disable"]
    with _process(command, {}) as process:
        _wait(port, process)
        yield port


@contextlib.contextmanager
def ours(file: Path, threads: int, context: int, parallel: int, home: str = "", **settings: object) -> Iterator[int]:
    """`deskside serve`; its port. `home` keeps the data folder from one call to the next."""
    port, folder = free_port(), home or tempfile.mkdtemp(prefix="deskside-bench-")
    chosen = {"threads": threads, "context_size": context, "parallel": parallel, **settings}
    (Path(folder) / "settings.json").write_text(json.dumps(chosen), encoding="utf-8")
    environment = {"DESKSIDE_HOME": folder, "PYTHONPATH": str(ROOT)}
    deskside = [sys.executable, "-m", "desktop"]
    if not list(Path(folder).glob("models/*/manifest.json")):
        subprocess.run([*deskside, "models", "add", str(file)], env=os.environ | environment, check=True, stdout=2)
    name = next(Path(folder).glob("models/*/manifest.json")).parent.name
    with _process([*deskside, "serve", "--port", str(port), "--model", name], environment) as process:
        _wait(port, process)
        yield port


def model_name(port: int) -> str:
    """The first model that a server offers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=WAIT_S) as answer:
        return str(json.load(answer)["data"][0]["id"])


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=os.environ | environment, start_new_session=True
        )
        try:
            yield process
        finally:
            process.send_signal(2)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                os.killpg(process.pid, 9)
                process.wait(20)


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _wait(port: int, process: subprocess.Popen[bytes]) -> None:
    began = time.monotonic()
    while time.monotonic() - began < WAIT_S and process.poll() is None:
        if _healthy(port):
            return
        time.sleep(0.2)
    raise RuntimeError("the server did not start")
