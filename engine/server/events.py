"""Server-sent events, as OpenAI and Anthropic use them."""

from __future__ import annotations

import json
from typing import Any

MEDIA = "text/event-stream"
# Ends of lines to Python's str.splitlines, which some clients cut streams with.
LINE_ENDS = {0x85: "\\u0085", 0x2028: "\\u2028", 0x2029: "\\u2029"}
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))  # json.dumps would make one each time


def dumped(data: Any) -> str:
    """Compact JSON on what every client takes for one line, with the letters of every script as they are."""
    text = _JSON.encode(data)
    return text if text.isascii() else text.translate(LINE_ENDS)


def data_line(data: Any) -> str:
    """One event without a name."""
    return f"data: {dumped(data)}\n\n"


def named(name: str, data: Any) -> str:
    """One event with a name."""
    return f"event: {name}\ndata: {dumped(data)}\n\n"


def encoded(text: str) -> bytes:
    """The bytes of a stream's text. A half of a surrogate pair, which no UTF-8 has, becomes a question mark."""
    return text.encode("utf-8", "replace")
