"""A benchmark's own data folder, and the window's client on a real engine in it."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# Of this machine, or as many as the person says: on two cores, a busy neighbour stalls the second thread.
THREADS = int(os.environ.get("DESKSIDE_BENCH_THREADS", "0")) or max(1, os.cpu_count() or 2)
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "fixtures")]


def private_home() -> None:
    """Keep what the person has out of it."""
    os.environ["DESKSIDE_HOME"] = folder = tempfile.mkdtemp(prefix="deskside-bench-")
    (Path(folder) / "settings.json").write_text('{"first_start_done": true}', encoding="utf-8")


def smollm2() -> Path:
    """The starter model's file."""
    import real_models

    return real_models.smollm2()


def qwen_coder() -> Path:
    """The file of the model offered first in Chinese."""
    import real_models

    return real_models.qwen_coder()


def eight_b() -> Path:
    """A file of an 8B model's dimensions and random weights, written once beside the models of the tests (4.2 GB)."""
    import random_llama
    import real_models

    made = real_models.folder() / "random-8b.gguf"
    if not made.exists():
        random_llama.write(made.with_suffix(".half"), real_models.smollm2(), random_llama.EIGHT_B).replace(made)
    return made


class Talk:
    """Blocking calls over the window's own client; notes when each event reached it."""

    def __init__(self) -> None:
        from PySide6.QtCore import QCoreApplication

        from desktop.client import EngineClient

        self.application = QCoreApplication.instance() or QCoreApplication([])
        self.client = EngineClient()
        self.client.start()
        self.events: list[tuple[float, dict[str, Any]]] = []

    def ask(self, name: str, /, **params: Any) -> dict[str, Any]:
        """The result of one request. Raises the engine's UserError."""
        from PySide6.QtCore import QEventLoop

        self.events = []
        ended: list[Any] = []
        loop = QEventLoop()

        def end(outcome: Any) -> None:
            ended.append(outcome)
            loop.quit()

        self.client.call(name, params, result=end, error=end, event=self._note)
        if not ended:
            loop.exec()
        if isinstance(ended[0], Exception):
            raise ended[0]
        return dict(ended[0])

    def wait(self, until: Callable[[], bool], seconds: float = 120.0) -> None:
        """Go on once `until` is true. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while not until():
            if time.monotonic() > end:
                raise TimeoutError
            time.sleep(0.2)

    def _note(self, event: dict[str, Any]) -> None:
        self.events.append((time.perf_counter(), event))

    def token_times(self) -> list[float]:
        """When the pieces of the last answer arrived, on time.perf_counter's clock."""
        return [at for at, event in self.events if event.get("event") == "token"]
