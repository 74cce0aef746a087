"""Cost of a streamed piece at the end of a long answer against its beginning. Goal: at most 1.5 for each kind of text.

Processor time is counted, which other programs on the machine disturb little.

Run: QT_QPA_PLATFORM=offscreen python bench/richtext_stream.py [KIND …] [--tokens 5000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from _figures import figure
from PySide6.QtWidgets import QApplication, QScrollArea, QVBoxLayout, QWidget

from desktop.widgets.richtext import RichText

MOST = 1.5
PART = """## Part {n}

A paragraph with **bold**, `code` and $a_{n}^2$ in it, long enough to be wrapped over more than one line of the page.
合同约定，逾期交货的违约金为**每日合同总价的千分之五**，累计不超过合同总价的百分之十。

1. The first thing is to look, and to count what is there.
2. The second is to **decide** on what has been seen.
   - with a friend
   - or alone

| Name | Value |
|------|------:|
| one | {n} |
| two | 2 |

```python
def part_{n}(values: list[int]) -> int:
    return sum(value * {n} for value in values)  # part
```

"""


def source(kind: str, tokens: int) -> str:
    """A text of about so many tokens (4 characters each) of one kind."""
    size = tokens * 4
    units: dict[str, Callable[[int], str]] = {
        "mixed": lambda n: PART.replace("{n}", str(n)),
        "paragraph": lambda n: f"word{n} and **strong** words that never stop, `code` too, ",
        "chinese": lambda n: f"第{n}条合同约定，逾期交货的**违约金**为合同总价的千分之五。",
        "list": lambda n: f"- item {n} with **something** to say about it\n",
        "code": lambda n: f"    value_{n} = compute({n}, 'text')  # line\n",
        "table": lambda n: f"| row {n} | some **text** | {n * 7} |\n",
    }
    unit = units[kind]
    begin = {"code": "```python\n", "table": "| a | b | c |\n|---|---|--:|\n"}.get(kind, "")
    parts, length, n = [begin], 0, 0
    while length < size:
        parts.append(unit(n))
        length += len(parts[-1]) * (4 if kind == "chinese" else 1)
        n += 1
    return "".join(parts)


def pieces(text: str, tokens: int) -> list[str]:
    """The text in so many equal pieces."""
    step = max(1, round(len(text) / tokens))
    return [text[at : at + step] for at in range(0, len(text), step)]


def stream(kind: str, tokens: int) -> tuple[float, float, float, float]:
    """Mean ms of a piece among the first 500 and the last 500, the longest one, and ms of finish()."""
    area = QScrollArea(widgetResizable=True)
    page = QWidget()
    column = QVBoxLayout(page)
    view = RichText()
    column.addWidget(view)
    area.setWidget(page)
    area.resize(700, 700)
    area.show()
    # The window is filled with the like first, so that painting costs as much at the beginning as at the end.
    view.append(source(kind, 800) + ("```" if kind == "code" else "") + "\n\n---\n\n")
    view.flush()
    QApplication.processEvents()
    bar = area.verticalScrollBar()
    bar.rangeChanged.connect(lambda _low, high: bar.setValue(high))
    bar.setValue(bar.maximum())
    costs = []
    for piece in pieces(source(kind, tokens), tokens):
        start = time.process_time()
        view.append(piece)
        view.flush()
        QApplication.processEvents()
        costs.append(1000 * (time.process_time() - start))
    start = time.process_time()
    view.finish()
    QApplication.processEvents()
    end = 1000 * (time.process_time() - start)
    area.close()
    return statistics.fmean(costs[20:520]), statistics.fmean(costs[-500:]), max(costs[20:]), end


def main() -> None:
    """Print the figures of each kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*", default=["mixed", "paragraph", "chinese", "list", "code", "table"])
    parser.add_argument("--tokens", type=int, default=5000)
    asked = parser.parse_args()
    app = QApplication.instance() or QApplication([])
    app.setApplicationName("bench")
    stream("mixed", 600)
    for kind in asked.kinds:
        first, last, longest, end = stream(kind, asked.tokens)
        words = f"{kind}, of {asked.tokens} pieces: last 500 / first 500"
        figure(f"{words}, processor time", f"{last / first:.2f}", f"<= {MOST}", last / first <= MOST)
        figure(f"{kind}: first, last, longest piece and finish, ms", f"{first:.2f} {last:.2f} {longest:.1f} {end:.1f}")


if __name__ == "__main__":
    main()
