"""Bytes as the letters that GPT-2's vocabulary and all after it write them with."""

from __future__ import annotations

from functools import cache


@cache
def letters() -> dict[int, str]:
    """Byte to letter: printable ones stand for themselves, the rest for what follows U+00FF."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + n) for n, byte in enumerate(others)}


def text_of(raw: bytes) -> str:
    """A token's bytes as its vocabulary writes them."""
    table = letters()
    return "".join(table[byte] for byte in raw)


@cache
def _bytes() -> dict[str, int]:
    return {letter: byte for byte, letter in letters().items()}


def bytes_of(text: str) -> bytes | None:
    """The inverse of `text_of`, None for what is no such text."""
    table = _bytes()
    return bytes(table[letter] for letter in text) if all(letter in table for letter in text) else None
