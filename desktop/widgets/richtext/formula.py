"""LaTeX -> a drawing with a baseline. Bounded before it is tried: the typesetter's time doubles with every nesting."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

if TYPE_CHECKING:
    from PySide6.QtSvg import QSvgRenderer

LONGEST = 600
HEAVIEST = 500
_STEP = re.compile(r"\\[a-zA-Z]+|\\.|[{}^_]|[^\s]", re.DOTALL)
_DEEPER = {"{", "\\left", "\\begin"}
_SHALLOWER = {"}", "\\right", "\\end"}
_BAD_LATEX = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    AssertionError,
    ParseError,
)


@dataclass(frozen=True)
class Formula:
    """A drawing; width, height and the height above the baseline in px."""

    renderer: QSvgRenderer
    width: float
    height: float
    ascent: float


def weight(latex: str) -> int:
    """About how much work a formula is: a sign counts double one level deeper. 500 take a tenth of a second."""
    depth, total = 0, 0
    for found in _STEP.finditer(latex):
        step = found.group()
        if step in _DEEPER:
            depth += 1
        elif step in _SHALLOWER:
            depth = max(0, depth - 1)
        total += 2 ** min(depth, 12)
        if total > HEAVIEST:
            break
    return total


@lru_cache(maxsize=200)
def formula(latex: str, display: bool, size: float, colour: str) -> Formula | None:
    """The drawing of a formula at a text size in px, or None if it cannot be drawn: then its source is shown."""
    if len(latex) > LONGEST or weight(latex) > HEAVIEST:
        return None
    try:
        return _draw(latex, display, size, colour)
    except _bad_latex():
        return None


@lru_cache(maxsize=1)
def _bad_latex() -> tuple[type[Exception], ...]:
    """What the typesetter raises; its own errors share no base class."""
    from latex2mathml import exceptions

    own = [kind for kind in vars(exceptions).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    return (*_BAD_LATEX, *own)


@lru_cache(maxsize=1)
def typesetter() -> Any:
    """ziamath, set up for Qt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it asks for its fonts in an old way
        import ziamath
    ziamath.config.svg2 = False  # Qt draws SVG 1.2 Tiny
    return ziamath


def _draw(latex: str, display: bool, size: float, colour: str) -> Formula | None:
    from PySide6.QtCore import QByteArray
    from PySide6.QtSvg import QSvgRenderer

    drawn = typesetter().Latex(latex, size=size * 1.12, color=colour, inline=not display)
    renderer = QSvgRenderer(QByteArray(drawn.svg().encode()))
    box = renderer.viewBoxF()
    if not renderer.isValid() or box.isEmpty():
        return None
    return Formula(renderer, box.width(), box.height(), -box.y())
