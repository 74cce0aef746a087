"""The process that reads documents: `python -m engine.documents.read_main READERS`, one request a line on stdin.

{"path", "limits"} is answered by lines {"blocks": […]} or {"page": n}, then {"end": {"title", "notes"}}; with
{"page", "width"} besides it is a picture that is asked for. Or {"error": UserError}. At the end of stdin it exits.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any

from engine.api.errors import UserError
from engine.documents.block import Block, Limits
from engine.documents.child_limits import limit_this_process, limit_time
from engine.documents.formats import READERS, reader_for
from engine.documents.page_picture import drawn
from engine.documents.read_wire import packed
from engine.documents.refusals import too_large, unreadable

BATCH_S = 0.2
BATCH_CHARACTERS = 1 << 18
Send = Callable[[dict[str, Any]], None]


def main() -> int:
    """Answer requests until stdin ends; libraries' own words on stdout go to stderr."""
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    package = sys.argv[1] if len(sys.argv) > 1 else READERS
    waiting: queue.Queue[bytes] = queue.Queue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, waiting), daemon=True).start()

    def send(message: dict[str, Any]) -> None:
        output.write(json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n")
        output.flush()

    while True:
        _answer(json.loads(waiting.get()), package, send)


def _listen(requests: IO[bytes], waiting: queue.Queue[bytes]) -> None:
    """End the process at once when the parent is gone, whatever a library is at."""
    for line in requests:
        waiting.put(line)
    os._exit(0)


def _answer(request: dict[str, Any], package: str, send: Send) -> None:
    """One of the edges that catch everything: what a library makes of a damaged file is no bug of ours."""
    path, limits = Path(request["path"]), Limits(**request["limits"])
    try:
        limit_this_process(limits.seconds, limits.memory)
        if "width" in request:
            picture = drawn(path, request["page"], request["width"], package)
            send({"end": picture.to_json() if picture else None})
        else:
            send({"end": _read(path, limits, package, send)})
    except UserError as error:
        send({"error": {**error.to_json(), "values": {"name": path.name, **error.values}}})
    except MemoryError:
        send({"error": out_of_memory(path, limits).to_json()})
    except ImportError as missing:
        send({"error": _not_installed(path.name, missing).to_json()})
    except Exception:
        logging.exception("reading %s", path)
        send({"error": unreadable(path).to_json()})


def _read(path: Path, limits: Limits, package: str, send: Send) -> dict[str, Any]:
    """Send the blocks of a file; what the reader gives at its end: title and notes."""
    if not path.is_file():
        raise unreadable(path)
    reader = reader_for(path, package)
    blocks = _Ending(reader.read(path, limits))
    batch, size, sent = [], 0, time.monotonic()
    for block in _within(blocks, path, limits):
        batch.append(packed(block))
        size += len(block.text)
        if size > BATCH_CHARACTERS or time.monotonic() - sent > BATCH_S:
            send({"blocks": batch, "page": block.page})
            limit_time(limits.seconds)
            batch, size, sent = [], 0, time.monotonic()
    send({"blocks": batch})
    return {"title": str(blocks.said.get("title", "")), "notes": [str(note) for note in blocks.said.get("notes", ())]}


class _Ending:
    """Blocks of a reader, and then in `said` what its generator returned, if it did."""

    def __init__(self, blocks: Iterator[Block]) -> None:
        self._blocks = blocks
        self.said: dict[str, Any] = {}

    def __iter__(self) -> Generator[Block, None, None]:
        said: object = yield from self._blocks  # type: ignore[func-returns-value]
        if isinstance(said, dict):
            self.said = said


def _within(blocks: _Ending, path: Path, limits: Limits) -> Iterator[Block]:
    """The same blocks. Raises UserError too_large_document past the limits on pages and characters."""
    characters = 0
    for block in blocks:
        characters += len(block.text)
        if characters > limits.characters or block.page > limits.pages:
            raise too_large(path)
        yield block


def out_of_memory(path: Path, limits: Limits) -> UserError:
    """The reader wanted more memory than one file may take."""
    gigabytes = round(limits.memory / 2**30, 1)
    return UserError(
        "document_memory",
        f"Reading {path.name} took more than {gigabytes} GB of memory, so it was stopped.",
        "Split it into smaller files.",
        name=path.name,
        gb=gigabytes,
    )


def _not_installed(name: str, missing: ImportError) -> UserError:
    return UserError(
        "reader_not_installed",
        f"What reads {name} is not installed ({missing}).",
        "Install it with: pip install 'deskside[documents]'",
        name=name,
        reason=str(missing),
    )


if __name__ == "__main__":
    sys.exit(main())
