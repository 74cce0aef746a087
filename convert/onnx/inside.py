"""The exporter, run by the Python of its own environment: `python -P inside.py`, one request a line of stdin.

A request is {"source", "out", "task", "int8", "int4", "reduced", "threads"}; answers are JSON lines on stdout:
{"stage": name} and at last {"result": …} or {"refused": code, "values": …}. Any other failure ends the process, its
words on stderr. The end of stdin ends it, too.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Answer requests until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    _rooms()
    requests: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()

    def tell(line: dict[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")

    while True:
        _answer(json.loads(requests.get()), tell)


def _rooms() -> None:
    """Let `convert.onnx` be imported from this folder, and nothing else of the place where the application lies: its
    libraries are newer than the exporter's."""
    for name, place in (("convert", HERE.parent), ("convert.onnx", HERE)):
        room = types.ModuleType(name)
        room.__path__ = [str(place)]
        sys.modules[name] = room


def _listen(requests: queue.Queue[bytes]) -> None:
    source = os.fdopen(0, "rb", buffering=0, closefd=False)
    while line := source.readline():
        requests.put(line)
    os._exit(3)


def _answer(request: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> None:
    from convert.onnx import tracing
    from convert.onnx.source_model import Refused

    try:
        tell({"result": tracing.export(request, lambda stage: tell({"stage": stage}))})
    except Refused as refused:
        tell({"refused": refused.code, "values": refused.values})


if __name__ == "__main__":
    main()
