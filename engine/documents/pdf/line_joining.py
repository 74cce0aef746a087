"""Lines of one paragraph as one text."""

from __future__ import annotations

from collections.abc import Iterable


def joined(lines: Iterable[str]) -> str:
    """Words cut at a line's end are whole again; between Chinese or Japanese lines stands no blank."""
    text = ""
    for line in lines:
        text = _and(text, line) if text else line
    return text


def _and(text: str, line: str) -> str:
    if not line:
        return text
    if text[-1] == "-" and len(text) > 1 and text[-2].isalpha() and line[0].islower():
        return text[:-1] + line
    if text[-1] in "-‐/" and len(text) > 1 and not text[-2].isspace() and line[0].isalnum():
        return text + line
    if is_cjk(text[-1]) and is_cjk(line[0]):
        return text + line
    return f"{text} {line}"


def is_cjk(character: str) -> bool:
    """Han characters, kana, and their punctuation; Korean has blanks between words."""
    return "\u2e80" <= character <= "\u9fff" or "\uf900" <= character <= "\ufaff" or "\uff00" <= character <= "\uffef"
