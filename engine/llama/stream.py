"""From bytes of tokens to text that can be shown: whole letters, and never a piece of a stop string."""

from __future__ import annotations

import codecs
from collections.abc import Sequence


class TextStream:
    """Holds back what is undecided: half a letter, or the beginning of a stop string.

    `stopped` is the stop string that was met, "" before; its text and what follows are never given out.
    """

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self.stopped = ""
        self._letters, self._half = codecs.getincrementaldecoder("utf-8")("replace"), b""
        self._stop = [text for text in stop if text]
        self._held = ""

    def feed(self, piece: bytes) -> str:
        """The text that is certain after one more token."""
        # The decoder, which knows half a letter, is written in Python.
        text = self._decoded(piece) if self._half or not piece.isascii() else piece.decode()
        return self._decide(text) if self._stop else text

    def rest(self) -> str:
        """What was held back for a stop string that did not come. Half a letter at the end is dropped."""
        held, self._held = self._held, ""
        return "" if self.stopped else held

    def _decoded(self, piece: bytes) -> str:
        text = self._letters.decode(piece)
        self._half = self._letters.getstate()[0]
        return text

    def _decide(self, text: str) -> str:
        held = self._held + text
        found = [(held.find(stop), stop) for stop in self._stop if stop in held]
        if found:
            at, self.stopped = min(found)
            self._held = ""
            return held[:at]
        keep = max(_overlap(held, stop) for stop in self._stop)
        self._held = held[len(held) - keep :]
        return held[: len(held) - keep]


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    for size in range(min(len(text), len(stop) - 1), 0, -1):
        if stop.startswith(text[-size:]):
            return size
    return 0
