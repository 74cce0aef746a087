"""Text prepared for SQLite's FTS5, and questions made into what FTS5 is asked.

FTS5's tokenizer `TOKENIZER` takes a run of Chinese, Japanese or Korean for one word. Here such a run becomes its single
characters and its pairs of neighbours, each a word; English is left to FTS5's stemmer. What has no spaces in it but is
cut by FTS5 (an e-mail address, 3.14, C++) is added as one word, so that it is found as itself, too.
"""

from __future__ import annotations

import re
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path

WHOLE_WORDS = "unicode61 remove_diacritics 2"
TOKENIZER = f"porter {WHOLE_WORDS}"
# Letters only, unlike engine.segment's: a pair across a comma is no word.
CJK = "々〇〻⺀-⿟㐀-䶿一-鿿豈-﫿\u3041-\u309fァ-ヺー-ヿ\u3105-\u312f가-힣ᄀ-ᇿ\U00020000-\U0003ffff"
CJK_RUN = re.compile(f"[{CJK}]+")
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
_SIGNS = {"+": "plus", "#": "sharp"}
_ONE_WORD = re.compile(
    r"(?P<mail>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<code>\b[A-Za-z]{1,2}(?:\+\+|#)(?!\w))"
    r"|(?P<number>\d+(?:[.,]\d+)+)"
    r"|(?P<mixed>\b(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z\d]{3,40}\b)"
    r"|(?P<hyphen>\b[A-Za-z]{1,20}-[A-Za-z]{2,20}\b)",
    re.ASCII,
)
_PARTS = re.compile(r"[A-Za-z]{2,}|\d{2,}")
Frequency = Callable[[str], int]


def clean(text: str) -> str:
    """NFKC, without what SQLite cannot hold."""
    return _UNREADABLE.sub(" ", unicodedata.normalize("NFKC", text))


def prepared(text: str) -> str:
    """`text` as it is given to a FTS5 table with `TOKENIZER`: words apart, CJK runs as characters and pairs."""
    flat = clean(text)
    return CJK_RUN.sub(_pieces, _ONE_WORD.sub(lambda found: f"{found.group()} {_joined(found)} ", flat))


def _pieces(run: re.Match[str]) -> str:
    word = run.group()
    pairs = (word[at : at + 2] for at in range(len(word) - 1))
    return f" {' '.join(word)} {' '.join(pairs)} "


def _joined(found: re.Match[str]) -> str:
    """What is added for a word that FTS5 would cut: 1,234.5 -> 1234d5, C++ -> cplusplus, GB18030 -> GB 18030."""
    word = found.group()
    if found.lastgroup == "number":
        return word.replace(",", "").replace(".", "d")
    if found.lastgroup == "code":
        return "".join(_SIGNS.get(sign, sign) for sign in word)
    if found.lastgroup == "mixed":
        return " ".join(_PARTS.findall(word))
    return re.sub(r"[^A-Za-z0-9]", "", word)


def has_cjk(text: str) -> bool:
    """Whether anything in it is written in Chinese, Japanese or Korean letters."""
    return CJK_RUN.search(clean(text)) is not None


@cache
def stop_words() -> frozenset[str]:
    """Words of both languages that say nothing of what is asked, as FTS5 would index them."""
    lines = Path(__file__).with_name("stop_words.txt").read_text(encoding="utf-8").splitlines()
    words = {word for line in lines if not line.startswith("#") for word in line.split()}
    return frozenset(words | set(_stems(word for word in words if word.isascii())))


def query_words(question: str) -> list[str]:
    """What of a question is looked for, as FTS5 indexed it: stemmed words and pairs of CJK characters first, single
    CJK characters last; stop words only if there is nothing else. Each once, in the question's order."""
    flat = clean(question)
    found = _stems([without_stop_runs(flat)])
    told = [word for word in found if word not in stop_words()] or _stems([flat])
    once = list(dict.fromkeys(told))
    return [word for word in once if not _single(word)] + [word for word in once if _single(word)]


def spoken(question: str) -> dict[str, str]:
    """Word as FTS5 indexed it -> the question's own, with which FTS5 is to be asked.

    It stems what it is asked, too, and the stem of a stem is often another word: increase, increas, increa.
    """
    flat = clean(question)
    with tokenizing([flat]) as stems, tokenizing([flat], WHOLE_WORDS) as words:
        return dict(zip(_terms(stems), _terms(words), strict=True))


def query_terms(question: str, frequency: Frequency | None = None, budget: int = 0) -> list[str]:
    """The words of `query_words`, rarest first, those in no chunk out; single CJK characters after all others.

    `frequency(word)` -> the number of chunks with it. With a `budget` words are taken while the chunks they stand in
    are no more than that altogether: what FTS5 has to read. The rarest always stays.
    """
    words = query_words(question)
    if frequency is None:
        return words
    counts = {word: frequency(word) for word in words}
    known = sorted((w for w in words if counts[w]), key=lambda w: (_single(w), counts[w]))
    return _within(known, counts, budget) if budget else known


def _within(words: list[str], counts: dict[str, int], budget: int) -> list[str]:
    taken, spent = words[:1], sum(counts[word] for word in words[:1])
    for word in words[1:]:
        if spent + counts[word] <= budget:
            taken.append(word)
            spent += counts[word]
    return taken


def match_any(words: Iterable[str]) -> str:
    """The FTS5 expression that finds any of the words, "" for none."""
    return " OR ".join(f'"{word}"' for word in words)


def _single(word: str) -> bool:
    return len(word) == 1 and CJK_RUN.match(word) is not None


def without_stop_runs(flat: str) -> str:
    """Question words are cut out of a CJK run, or their neighbours would make pairs that nobody wrote."""
    return _cjk_stops().sub(" ", flat)


@cache
def _cjk_stops() -> re.Pattern[str]:
    longest = sorted((word for word in stop_words() if len(word) > 1 and CJK_RUN.match(word)), key=len, reverse=True)
    return re.compile("|".join(longest))


def _stems(texts: Iterable[str]) -> list[str]:
    """The words FTS5 makes of texts, in order: it is asked itself, so that both sides always agree."""
    with tokenizing(texts) as table:
        return _terms(table)


def _terms(table: sqlite3.Connection) -> list[str]:
    rows = table.execute("SELECT term FROM instances ORDER BY doc, offset").fetchall()
    return [str(row[0]) for row in rows]


@contextmanager
def tokenizing(texts: Iterable[str], tokenizer: str = TOKENIZER) -> Iterator[sqlite3.Connection]:
    """A database in memory whose table `instances` has each word FTS5 makes of `texts`: term, doc (from 1), offset.

    One for each use, for a connection belongs to its thread.
    """
    with closing(sqlite3.connect(":memory:")) as table:
        table.execute(f"CREATE VIRTUAL TABLE words USING fts5(text, tokenize = '{tokenizer}')")
        table.execute("CREATE VIRTUAL TABLE instances USING fts5vocab('words', 'instance')")
        rows = ((number, prepared(text)) for number, text in enumerate(texts, 1))
        table.executemany("INSERT INTO words(rowid, text) VALUES (?, ?)", rows)
        yield table
