"""Where sentences begin and end, in Chinese and English text alike."""

from __future__ import annotations

import re

# A Chinese sentence ends at its mark, an English one at a mark before a blank and a beginning; a line break ends both.
_END = re.compile(r"[。！？!?；…]+[”’」』）\"')\]]*|\.[”’\"')\]]*(?=\s|$)|\n+")
_SHORT = frozenset(
    re.findall(
        r"\S+",
        """mr mrs ms dr prof st sr jr vs no vol fig eq sec ch pp p ed eds al etc inc ltd co corp dept est approx ca cf
        eg ie e.g i.e u.s u.k u.n a.m p.m ph.d jan feb mar apr jun jul aug sep sept oct nov dec gen col lt sgt rev hon
        art""",
    )
)
_WORD_BEFORE = re.compile(r"([\w.]+)$")


def sentences(text: str) -> list[tuple[int, int]]:
    """[start, end) of each sentence in characters, blanks around it left out. Every other character is in one."""
    spans: list[tuple[int, int]] = []
    start = 0
    for mark in _END.finditer(text):
        if not _inside(text, mark):
            _add(spans, text, start, mark.end())
            start = mark.end()
    _add(spans, text, start, len(text))
    return spans


def _inside(text: str, mark: re.Match[str]) -> bool:
    """Whether this full stop belongs to an abbreviation, an initial, or a number of a list."""
    if mark.group()[0] != ".":
        return False
    before = _WORD_BEFORE.search(text, max(0, mark.start() - 24), mark.start())
    word = before.group(1).lower() if before else ""
    after = text[mark.end() : mark.end() + 40].lstrip()[:1]
    if word in _SHORT or (len(word) == 1 and word.isalpha()):
        return bool(after)
    at_line = not before or text.rfind("\n", 0, mark.start()) + 1 == before.start()
    return (word.isdigit() and at_line and bool(after)) or after.islower()


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    piece = text[start:end]
    if piece.strip():
        start += len(piece) - len(piece.lstrip())
        spans.append((start, start + len(piece.strip())))
