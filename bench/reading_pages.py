"""Pages a second of text PDFs beside pypdf and pdfminer.six, and how much of what stands in them is found, in order.

The documents are made here, so that every sentence and its place in the order is known: reports with running headers,
papers in two columns (one of them written line by line across both), and Chinese. `pymupdf4llm` is measured too where
somebody has installed it; it is no dependency of anything, for its licence is the AGPL.
"""

from __future__ import annotations

import difflib
import importlib.util
import random
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import _engine  # noqa: F401  after it, what the tests have can be imported
import pdf_kit
from _figures import figure, ratio
from _rounds import abba, median_ratio
from fpdf import FPDF

from engine.documents.block import Limits
from engine.documents.reading import Reading

ROUNDS = 3
PAGES = 40
WORDS = """
harbour winter infrastructure letter gardening engineer river musicians doctors windows paperwork measurement turbine
conference understanding morning statistics government published recommendation bridge committee
""".split()  # noqa: SIM905
HAN = "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/System/Library/Fonts/STHeiti Light.ttc",
    "C:/Windows/Fonts/simsun.ttc",
)
Reader = Callable[[Path], str]


def sentences(draw: random.Random, count: int) -> list[str]:
    """Sentences of 6 to 14 words, each with a number of its own."""
    return [
        f"{' '.join(draw.choices(WORDS, k=draw.randint(6, 14))).capitalize()} {draw.randint(10000, 99999)}."
        for _ in range(count)
    ]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, long words cut with a hyphen as typesetters do."""
    lines, line = [], ""
    for word in text.split(" "):
        room = width - len(line) - 1
        if len(word) <= room:
            line = f"{line} {word}".strip()
        elif word.isalpha() and len(word) > 8 and room > 5:
            lines.append(f"{line} {word[: room - 2]}-")
            line = word[room - 2 :]
        else:
            lines.append(line)
            line = word
    return [*lines, line]


def report(path: Path, draw: random.Random) -> list[str]:
    """Pages in one column with a running header and a footer."""
    told: list[str] = []
    pages = []
    for number in range(PAGES):
        told += (mine := sentences(draw, 30))
        lines = [(20.0, 30 + 5.2 * n, 10.0, line) for n, line in enumerate(wrapped(" ".join(mine), 92)[:46])]
        pages.append([(20.0, 14.0, 8.0, "Annual report"), *lines, (100.0, 288.0, 8.0, str(number + 1))])
    pdf_kit.plain(path, pages)
    return told


def paper(path: Path, draw: random.Random, across: bool) -> list[str]:
    """Pages in two columns; with `across` written line by line over both."""
    told: list[str] = []
    pages = []
    for _ in range(PAGES):
        told += (mine := sentences(draw, 36))
        lines = wrapped(" ".join(mine), 48)
        half = (len(lines) + 1) // 2
        left = [(15.0, 20 + 4.6 * n, 8.5, line) for n, line in enumerate(lines[:half])]
        right = [(110.0, 20 + 4.6 * n, 8.5, line) for n, line in enumerate(lines[half:])]
        both = sorted([*left, *right], key=lambda line: (line[1], line[0])) if across else [*left, *right]
        pages.append(both)
    pdf_kit.plain(path, pages)
    return told


def chinese(path: Path, draw: random.Random) -> list[str]:
    """Pages in an embedded font, as most Chinese PDFs have it; empty where this machine has none to embed."""
    font = next((name for name in FONTS if Path(name).exists()), "")
    told: list[str] = []
    if not font:
        return told
    pdf = FPDF()
    pdf.add_font("chinese", fname=font)
    for _ in range(PAGES):
        pdf.add_page()
        pdf.set_font("chinese", size=11)
        mine = ["".join(draw.choices(HAN, k=draw.randint(15, 40))) + "。" for _ in range(40)]
        pdf.multi_cell(0, 6, "".join(mine))
        told += mine
    pdf.output(str(path))
    return told


def peers() -> dict[str, Reader]:
    """Every reader by its name."""

    def pypdf(path: Path) -> str:
        from pypdf import PdfReader

        return "\n".join(page.extract_text() for page in PdfReader(path).pages)

    def pdfminer(path: Path) -> str:
        from pdfminer.high_level import extract_text

        return str(extract_text(path))

    found: dict[str, Reader] = {"pypdf": pypdf, "pdfminer.six": pdfminer}
    if importlib.util.find_spec("pymupdf4llm"):
        module = importlib.import_module("pymupdf4llm")
        found["pymupdf4llm"] = lambda path: str(module.to_markdown(str(path)))
    return found


def share(told: list[str], text: str) -> float:
    """Of the sentences, those that stand in the text word for word."""
    flat = " ".join(text.split())
    return sum(sentence in flat for sentence in told) / len(told)


def order(told: list[str], text: str) -> float:
    """How far numbers (English) or characters (Chinese) come in the order they were written in, 0 to 1."""
    pattern = r"\d{5}" if told[0].isascii() else r"[\u4e00-\u9fff]"
    wanted, got = (re.findall(pattern, words)[:2000] for words in (" ".join(told), text))
    return difflib.SequenceMatcher(None, wanted, got, autojunk=False).ratio()


def seconds(reader: Reader, path: Path) -> float:
    """Time to read a document."""
    start = time.perf_counter()
    reader(path)
    return time.perf_counter() - start


def beside(peer: Reader, ours: Reader, path: Path) -> list[tuple[float, float]]:
    """Seconds of (the peer, us), in turns."""
    return abba(lambda _: seconds(peer, path), lambda _: seconds(ours, path), ROUNDS)


def compare(name: str, path: Path, told: list[str], ours: Reader) -> None:
    """Print the figures of one document."""
    text = ours(path)
    ratio(f"{name}: sentences found whole", share(told, text), 0.95)
    ratio(f"{name}: in order", order(told, text), 0.95)
    for peer, reader in peers().items():
        theirs = reader(path)
        figure(f"{name}: {peer}: sentences, order", f"{share(told, theirs):.3f}, {order(told, theirs):.3f}")
        pairs = beside(reader, ours, path)
        ratio(f"{name}: pages/s, ours / {peer}", median_ratio(pairs), 1.0)
        best = [PAGES / min(side) for side in zip(*pairs, strict=True)]
        figure(f"{name}: pages/s, ours and {peer}", f"{best[1]:.0f}, {best[0]:.0f}")


def main() -> None:
    draw = random.Random(5)
    with tempfile.TemporaryDirectory() as folder, Reading(Limits(ocr=False)) as reading:

        def ours(path: Path) -> str:
            return reading.read(path).text

        at = Path(folder)
        documents = {
            "report": (at / "a.pdf", report(at / "a.pdf", draw)),
            "two columns": (at / "b.pdf", paper(at / "b.pdf", draw, across=False)),
            "two columns, written across": (at / "c.pdf", paper(at / "c.pdf", draw, across=True)),
            "Chinese": (at / "d.pdf", chinese(at / "d.pdf", draw)),
        }
        for name, (path, told) in documents.items():
            if told:
                compare(name, path, told, ours)


if __name__ == "__main__":
    main()
