"""`python -m engine`: requests on stdin, answers on stdout, one JSON object a line."""

from __future__ import annotations

import logging
import logging.handlers
import os
import sys
from collections.abc import Callable, Iterable
from typing import BinaryIO

from engine.api.errors import UserError
from engine.api.folders import home_unusable, logs_folder
from engine.api.messages import MAX_LINE, encode


def main() -> int:
    """Serve until stdin ends. Exit codes: 0, 2 for a start that the person must help with, 3 lost the other engine."""
    output = _private_stdout()
    try:
        _log_to_file()
        _share_the_interpreter()
        _serve(sys.stdin.buffer, output)
    except UserError as error:
        output.write(encode({"event": "fatal", "error": error.to_json()}))
        output.flush()
        return 2
    return 0


def _private_stdout() -> BinaryIO:
    """ggml prints to file descriptor 1 directly, which would break the protocol: give it stderr instead."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return output


def _share_the_interpreter() -> None:
    """The model's thread comes back from llama.cpp every few milliseconds: it must not wait 5 ms for its turn."""
    sys.setswitchinterval(0.0005)


def _serve(source: BinaryIO, output: BinaryIO) -> None:
    from filelock import FileLock

    from engine.house import enter, relay

    def write(line: bytes) -> None:
        output.write(line)
        output.flush()

    lines = iter(lambda: source.readline(MAX_LINE), b"")
    way = enter()
    if isinstance(way, FileLock):
        with way:
            _be_the_engine(lines, write)
    else:
        relay(way, lines, write)


def _be_the_engine(lines: Iterable[bytes], write: Callable[[bytes], None]) -> None:
    from engine.core import Core
    from engine.house import Door
    from engine.pipe import Client

    core = Core()
    door = Door(lambda send, received: Client(core, send).serve(received))
    try:
        Client(core, write).serve(lines)
        door.wait_for_guests()
    finally:
        door.close()
        core.close()


def _log_to_file() -> None:
    try:
        logs_folder().mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            logs_folder() / "engine.log", maxBytes=2_000_000, backupCount=2, encoding="utf-8"
        )
    except OSError as error:
        raise home_unusable(error) from error
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )


if __name__ == "__main__":
    sys.exit(main())
