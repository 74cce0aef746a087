"""Something a person should know of a conversion: English text that carries its code, so that it can be said otherwise.

The window and the terminal look the code up in their language files (`convert_notes.CODE`); reports keep the English.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from models.safetensors_header import BadHeader


class Note(str):
    """A text with the code and the values it was made of."""

    code: str
    values: dict[str, Any]


def note(code: str, text: str, **values: Any) -> Note:
    """A note; `text` has {placeholders} for the values."""
    made = Note(text.format(**values))
    made.code, made.values = code, values
    return made


def spoken(reason: str) -> str | dict[str, Any]:
    """A reason as an error's value: a note with its code, so that the error can be said in another language whole."""
    return told([reason])[0] if isinstance(reason, Note) else reason


def reason_of(error: Exception) -> str:
    """What an error says: a note where it was raised with one, or with a code of its own."""
    if isinstance(error, BadHeader):
        return again({"code": error.code, "values": error.values, "text": str(error)})
    return error.args[0] if error.args and isinstance(error.args[0], Note) else str(error)


def again(said: dict[str, Any]) -> str:
    """What `told` gave, as a note again."""
    if not said["code"]:
        return str(said["text"])
    made = Note(said["text"])
    made.code, made.values = said["code"], said["values"]
    return made


def told(notes: Iterable[str]) -> list[dict[str, Any]]:
    """Notes as a job's result carries them: [{"code", "values", "text"}]; code "" where a text has none."""
    return [
        {"code": each.code, "values": each.values, "text": str(each)}
        if isinstance(each, Note)
        else {"code": "", "values": {}, "text": str(each)}
        for each in notes
    ]
