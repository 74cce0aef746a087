"""The SHA-256 of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

READ = 4 << 20


def sha256(file: Path, step: Callable[[int], object] = lambda done: None) -> str:
    """The hash, in hexadecimal; `step(bytes read)` may raise."""
    digest, done = hashlib.sha256(), 0
    with file.open("rb") as stream:
        while data := stream.read(READ):
            digest.update(data)
            done += len(data)
            step(done)
    return digest.hexdigest()
