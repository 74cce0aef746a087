"""llama.cpp as a library of this process, with its voice turned into Python logging.

llama.cpp and ggml write to fd 2, llama-cpp-python points fd 1 at /dev/null while a model loads, and ggml has
bare printf: whoever speaks a protocol on stdout takes a private copy of fd 1 before the first call of `library`.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
import threading
from collections import deque
from typing import Any

log = logging.getLogger("deskside.llama")

# ggml_log_level -> logging: its talk while loading is for whoever debugs; 5 continues the line before.
LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, 3: logging.INFO, 4: logging.WARNING, 5: logging.DEBUG}
ERROR = 4
_SIZE = re.compile(r"(\S+)\s+(KV|RS|compute|output|model)\s+buffer size\s*=\s*([\d.]+) MiB")


class Lines:
    """What llama.cpp said since `clear`: its errors, and the buffer sizes it reported."""

    def __init__(self) -> None:
        self.errors: deque[str] = deque(maxlen=40)
        self.buffers: list[tuple[str, str, int]] = []  # device, kind (KV, RS, compute, output, model), bytes

    def clear(self) -> None:
        """Forget everything said so far."""
        self.errors.clear()
        self.buffers.clear()

    def hear(self, level: int, text: str) -> None:
        """One line of llama.cpp's log, at ggml's level."""
        line = text.strip()
        if level == ERROR and line:
            self.errors.append(line)
        elif "buffer size" in line and (found := _SIZE.search(line)):
            self.buffers.append((found[1], found[2], int(float(found[3]) * 2**20)))
        if line.strip(".") and log.isEnabledFor(LEVELS.get(level, logging.DEBUG)):
            log.log(LEVELS.get(level, logging.DEBUG), "%s", line)

    def last_error(self) -> str:
        """The line that says best why something failed, "" if llama.cpp said nothing."""
        told = [_without_function(line) for line in self.errors]
        causes = [line for line in told if not line.startswith(("failed to load model", "error loading model"))]
        whole = [line.removeprefix("error loading model: ") for line in told if ": " in line]
        return (causes or whole or told or [""])[-1]


def _without_function(line: str) -> str:
    """`llama_model_load: error loading model: …` without the name of the C function in front."""
    return re.sub(r"^[a-z_0-9]+: ", "", line)


lines = Lines()
_loading = threading.Lock()


def library() -> Any:
    """The low-level llama_cpp module, imported once, with its log routed. Takes about 0.3 s the first time."""
    with _loading:
        return _import()


@functools.cache
def _import() -> Any:
    package = importlib.import_module("llama_cpp")
    module = package.llama_cpp
    module.llama_log_set(_callback(module), None)
    module.llama_backend_init()
    return module


@functools.cache
def _callback(module: Any) -> Any:
    """The C callback; cached because llama.cpp keeps only its address."""

    def hear(level: int, text: bytes, _: object) -> None:
        lines.hear(level, text.decode("utf-8", "replace"))

    return module.llama_log_callback(hear)


@functools.cache
def ggml() -> Any:
    """ggml's base library, for what llama_cpp does not bind: the list of devices, and threads."""
    package = library().__name__.rpartition(".")[0]
    extensions: Any = importlib.import_module(f"{package}._ctypes_extensions")
    return _bound(extensions.load_shared_library("ggml", _folder(package)), extensions, _folder(package))


def _folder(package: str) -> Any:
    from pathlib import Path

    origin = importlib.import_module(package).__file__ or ""
    return Path(origin).parent / "lib"


def _bound(registry: Any, extensions: Any, folder: Any) -> Any:
    """`registry` with functions of ggml-base put beside those of ggml."""
    base = extensions.load_shared_library("ggml-base", folder)
    device = ("backend_dev_name", "backend_dev_description", "backend_dev_memory", "backend_dev_type")
    pools = ("backend_dev_backend_reg", "backend_reg_get_proc_address", "threadpool_params_init")
    for name in (*device, *pools, "backend_reg_name", "version"):
        setattr(registry, f"ggml_{name}", getattr(base, f"ggml_{name}"))
    return registry
