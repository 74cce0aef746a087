"""Text out of bytes of unknown encoding: marks first, then UTF-8, then whichever reads most like writing."""

from __future__ import annotations

import codecs
import re

from engine.documents.encoding_guess import likeliest

MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAMPLE = 1 << 16
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
USUAL = re.compile(
    r"[ -~\r\n\t\u00a0-\u024f\u0370-\u04ff\u2010-\u2026\u3000-\u30ff\u4e00-\u9fa5\uac00-\ud7a3\uff00-\uff5e]"
)


def decoded(data: bytes) -> str:
    """The text of `data`, without its mark; bytes that fit no encoding become U+FFFD."""
    return data.decode(encoding_of(data), "replace").removeprefix("\ufeff")


def encoding_of(data: bytes) -> str:
    """A Python codec name, judged by the first 64 KB; a sample may end within a character."""
    for mark, name in MARKS:
        if data.startswith(mark):
            return name
    sample = data[:SAMPLE]
    wide = _wide(sample) if b"\0" in sample else ""
    if wide:
        return wide
    return "utf-8" if fits(sample, "utf-8") else likeliest(sample)


def is_text(head: bytes) -> bool:
    """Whether the first bytes of a file are writing in some encoding. An empty file is."""
    text = head.decode(encoding_of(head), "ignore").removeprefix("\ufeff")
    return len(CONTROL.findall(text)) * 50 <= len(text)


def fits(sample: bytes, encoding: str) -> bool:
    """Whether the sample decodes, a character cut off at its end aside."""
    try:
        codecs.getincrementaldecoder(encoding)().decode(sample, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _wide(sample: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: zero bytes stand in the same places of every unit, and it reads well."""
    scores = {name: _reads_well(sample, name) for name in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 0.8 else ""


def _reads_well(sample: bytes, encoding: str) -> float:
    """The share of characters that are usual in writing."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample, final=False)
    except UnicodeDecodeError:
        return 0.0
    return len(USUAL.findall(text)) / max(1, len(text))
