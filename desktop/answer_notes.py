"""How an answer from documents came about, where that is not the usual way, in words."""

from __future__ import annotations

from typing import Any

from desktop.text import tr

CODES = ("passages_spread",)


def note_text(found: dict[str, Any]) -> str:
    """The notes of an answer, "" where there are none; answers kept from earlier may lack them."""
    known = (note for note in found.get("notes", []) if note["code"] in CODES)
    return " ".join(tr(f"docs_ask.note_{note['code']}", **note) for note in known)
