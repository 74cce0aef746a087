"""What the first code block and the first formula need, fetched beforehand: 0.2 s that no answer should stutter for."""

from __future__ import annotations

import threading
from functools import cache

from desktop.widgets.richtext.formula import typesetter
from desktop.widgets.richtext.grammar import grammar
from desktop.widgets.richtext.highlight import spans


@cache
def warm_up() -> threading.Thread:
    """Import the typesetters in a thread of their own, once; touches no widget."""
    thread = threading.Thread(target=_fetch, name="typesetters", daemon=True)
    thread.start()
    return thread


def _fetch() -> None:
    grammar().parse("a")
    spans("python", "x = 1")
    typesetter().Latex(r"\frac{a}{b}", size=16)
