"""The colours a RichText is drawn in, free of any theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class RichTextColours:
    """Colours as "#RRGGBB"; `code_style` picks the highlighting that suits a light or a dark ground."""

    text: str
    dim: str
    surface: str
    line: str
    accent: str
    code_background: str
    code_style: Literal["light", "dark"]


LIGHT = RichTextColours("#23211E", "#6B665E", "#FFFFFF", "#E3DFD6", "#1F6F63", "#F3F1EC", "light")
DARK = RichTextColours("#ECE8E1", "#A8A196", "#242220", "#35322D", "#5CC1AC", "#1F1E1B", "dark")

# Token kinds by their pygments short names; every pair keeps 4.5:1 on the code ground.
CODE_INK: dict[str, dict[str, str]] = {
    "light": {
        "k": "#7A3E9D",
        "s": "#2E6B34",
        "m": "#9A4B00",
        "c": "#6F6A61",
        "f": "#1D5FA8",
        "t": "#1F6F63",
        "o": "#5B564E",
        "e": "#B3412E",
    },
    "dark": {
        "k": "#C99BE8",
        "s": "#9CCB8B",
        "m": "#E5B071",
        "c": "#918A7F",
        "f": "#82B5EE",
        "t": "#5CC1AC",
        "o": "#BDB6AA",
        "e": "#E07A66",
    },
}
