"""What the engine's process holds in memory beyond llama.cpp itself: both load a model and answer once, side by side.

Counted is what is resident (RSS) without the pages of the model's file. Those are the same in both, belong to the
system's file cache, and are given back whenever somebody needs them. RSS and not PSS, as each process shall answer
for its libraries in full, whoever else runs at the moment.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from _bare import WORDS
from _engine import ROOT, THREADS, Talk, private_home, qwen_coder, smollm2
from _figures import figure
from _servers import free_port

CONTEXT, MOST_MB, CHATS = 4096, 60, 4
MB = 1e6


def resident(process: int, file: Path) -> float:
    """Megabytes (10^6 bytes) resident in a process, but for the mapping of `file`. Linux only."""
    counted, total = True, 0
    for line in Path(f"/proc/{process}/smaps").read_text(encoding="utf-8").splitlines():
        if line.split(maxsplit=1)[0].endswith(":"):
            total += int(line.split()[1]) if counted and line.startswith("Rss:") else 0
        else:
            counted = not line.endswith(str(file.resolve()))
    return total * 1024 / MB


@contextmanager
def bare(file: Path) -> Iterator[int]:
    """A process with llama.cpp alone that has answered; its number."""
    command = [sys.executable, str(ROOT / "bench" / "_bare.py"), str(file), str(CONTEXT), str(THREADS)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    with process:  # leaving it ends its stdin, and so the process
        if not process.stdout or process.stdout.readline() != b"answered\n":
            raise RuntimeError("llama.cpp alone did not answer")
        yield process.pid


def children() -> list[int]:
    """Processes that this one started."""
    import psutil

    return [child.pid for child in psutil.Process().children()]


def engine_with(file: Path) -> tuple[Talk, int, str]:
    """An engine with the model in memory, its process, and the model's id."""
    before = children()
    talk = Talk()
    talk.ask("settings.set", values={"context_size": CONTEXT, "threads": THREADS})
    (process,) = set(children()) - set(before)
    model = talk.ask("models.add", path=str(file))["models"][0]["id"]
    talk.ask("models.load", model=model)
    return talk, process, model


def answer(talk: Talk, model: str) -> None:
    """One question in a chat of its own."""
    chat = talk.ask("chats.create", model=model, sampling={"temperature": 0.0, "max_tokens": 48})["id"]
    talk.ask("chat.send", chat=chat, text=WORDS)


def measure(name: str, file: Path) -> None:
    with bare(file) as other:
        alone = resident(other, file)
    talk, process, model = engine_with(file)
    answer(talk, model)
    over = resident(process, file) - alone
    figure(f"{name}: engine over bare llama.cpp, MB", f"{over:.1f}", f"< {MOST_MB}", over < MOST_MB)
    figure(f"{name}: bare llama.cpp without the model's file, MB", f"{alone:.1f}")
    for _ in range(CHATS):
        answer(talk, model)
    time.sleep(4)  # conversations have been stored meanwhile
    figure(f"{name}: with {CHATS} more conversations kept, MB over bare", f"{resident(process, file) - alone:.1f}")
    talk.ask("server.start", port=free_port())
    figure(f"{name}: and the HTTP server, MB over bare", f"{resident(process, file) - alone:.1f}")
    talk.client.close()


def main() -> None:
    if not sys.platform.startswith("linux"):
        figure("engine over bare llama.cpp, MB", "not measured: needs Linux's /proc")
        return
    for name, file in (("Qwen2.5-Coder-0.5B", qwen_coder()), ("SmolLM2-135M", smollm2())):
        private_home()
        measure(name, file)


if __name__ == "__main__":
    main()
