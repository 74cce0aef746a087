"""About a thousand lines that show how a vocabulary cuts texts: languages, code, numbers, white space, odd letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import cache
from importlib import resources

_TEXTS = ("calibrate_code.txt", "calibrate_en.txt", "calibrate_zh.txt")
_OF_EACH = 120
_LONGEST = 240
_SPACES = (
    " ",
    "  ",
    "   ",
    "    ",
    "        ",
    "\t",
    "\t\t",
    "\n",
    "\n\n",
    "\n\n\n",
    "\r\n",
    " \n",
    "\n ",
    "\u00a0",
    "\u3000",
)
_MARKS = (
    "!",
    "??",
    "...",
    ",",
    ";",
    ":",
    "--",
    "'",
    '"',
    "(",
    ")]",
    "{}",
    "/",
    "\\",
    "@",
    "#",
    "$",
    "%",
    "&",
    "*",
    "+=",
    "<|",
)
_WORDS = (
    "word",
    "Word",
    "WORD",
    "wörd",
    "слово",
    "词",
    "単語",
    "단어",
    "كلمة",
    "शब्द",
    "42",
    "2024",
    "1000000",
    "x1",
    "v2.0",
)
_CODE_POINTS = range(0xA0, 0x2FA20)
_A_LINE = 24


# Letters and their accents apart, as file names on some systems have them.
APART = ("re\u0301sume\u0301", "A\u030a and o\u0308", "\u1112\u1161\u11ab\u1100\u1173\u11af", "e\u0302\u0323")


@cache
def sample() -> tuple[str, ...]:
    """The lines, each once, always the same."""
    here = resources.files("convert.vocabulary").joinpath("sentences.txt").read_text(encoding="utf-8")
    found = [*here.splitlines(), *_from_texts(), *_spaced(), *_marked(), *_numbers(), *_letters()]
    return tuple(dict.fromkeys(line for line in found if line))


def _from_texts() -> Iterator[str]:
    for name in _TEXTS:
        text = resources.files("convert.calibration").joinpath(name).read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.strip()]
        yield from (line[:_LONGEST] for line in lines[:: max(1, len(lines) // _OF_EACH)][:_OF_EACH])


def _spaced() -> Iterator[str]:
    """White space before, between and behind words."""
    for number, space in enumerate(_SPACES):
        one, other = _WORDS[number % len(_WORDS)], _WORDS[(number * 7 + 3) % len(_WORDS)]
        yield from (f"{space}{one}", f"{one}{space}{other}", f"{one}{space}", f"{one} {space}{other}{space}{space}.")


def _marked() -> Iterator[str]:
    """Marks with and without words around them."""
    for number, mark in enumerate(_MARKS):
        word = _WORDS[(number * 5) % len(_WORDS)]
        yield from (f"{mark}{word}", f" {mark}{word}{mark} {mark}", f"{word}{mark}\n{word}", mark * 5)


def _numbers() -> Iterator[str]:
    """Runs of digits of every length, alone and in company."""
    for length in range(1, 17):
        digits = "1234567890123456"[:length]
        yield from (digits, f" {digits}a{digits}", f"-{digits}.{digits[:3]}%", f"第{digits}号")


def _letters() -> Iterator[str]:
    """Letters of all scripts that have been in Unicode for long: tables of newer ones differ between libraries."""
    line = ""
    old = unicodedata.ucd_3_2_0
    for point in _CODE_POINTS:
        letter = chr(point)
        if old.category(letter) in ("Cn", "Cs", "Co", "Cc", "Cf") or (point >= 0x3400 and point % 97):
            continue
        line += letter + (" " if len(line) % 9 == 4 else "")
        if len(line) >= _A_LINE:
            yield unicodedata.normalize("NFC", line)
            line = ""
