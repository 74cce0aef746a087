"""Text prepared for SQLite's FTS5 so that Chinese can be found like English.

FTS5's tokenizers take a run of Chinese for one word. Each CJK character becomes a word of its own here, and a
run of them in a query becomes a phrase: what is found contains exactly that run, two-character words included.
"""

from __future__ import annotations

import re
import unicodedata

# Han with its extensions and compatibility forms, kana, hangul.
_CJK = "⺀-〿㐀-䶿一-鿿豈-﫿぀-ヿ가-힯\U00020000-\U0003ffff"
_CJK_RUN = re.compile(f"[{_CJK}]+")
_TERM = re.compile(f"[{_CJK}]+|[^\\W_{_CJK}]+")


def prepare(text: str) -> str:
    """`text` as it is indexed: NFKC, and every CJK character a word."""
    return _CJK_RUN.sub(lambda run: f" {' '.join(run.group())} ", unicodedata.normalize("NFKC", text))


def terms(query: str) -> list[str]:
    """The words and CJK runs of a query, in order."""
    return _TERM.findall(unicodedata.normalize("NFKC", query))


def match_expression(query: str) -> str:
    """The FTS5 expression for a query: all terms must occur, the last may be the beginning of a word.

    "" where the query holds nothing to search for.
    """
    quoted = [f'"{" ".join(term) if _CJK_RUN.match(term) else term}"' for term in terms(query)]
    if quoted and not _CJK_RUN.match(terms(query)[-1]):
        quoted[-1] += "*"
    return " ".join(quoted)


def snippet(text: str, query: str, width: int = 90) -> tuple[str, list[list[int]]]:
    """A piece of `text` around the first hit, and the [start, end] of each hit in it, in characters."""
    flat = " ".join(text.split())
    marks = _marks(flat, query)
    start = max(0, marks[0][0] - width // 3) if marks else 0
    piece = flat[start : start + width]
    lead = "…" if start else ""
    shown = [[a - start + len(lead), b - start + len(lead)] for a, b in marks if b <= start + width]
    return lead + piece + ("…" if start + width < len(flat) else ""), shown


def _marks(text: str, query: str) -> list[tuple[int, int]]:
    """Stemming finds 'running' for 'run' and 'runs' for 'running': a shared beginning is marked to the word's end."""
    found = [_fold(t) for t in terms(query)]
    patterns = [re.escape(t) if _CJK_RUN.match(t) else rf"\b{re.escape(t[: max(3, len(t) - 3)])}\w*" for t in found]
    return [m.span() for m in re.finditer("|".join(patterns), _fold(text), re.IGNORECASE)] if patterns else []


def _fold(text: str) -> str:
    """Without accents and full-width forms, every character staying at its place."""
    return "".join(unicodedata.normalize("NFKD", c)[0] if not _CJK_RUN.match(c) else c for c in text)
