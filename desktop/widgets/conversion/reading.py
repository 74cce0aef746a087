"""What stands in a quality report, as the window shows it. A report comes from a file: nothing in it is relied on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from desktop.text import find, tr

THRESHOLDS = {"kl_mean": (0.1, 0.5), "top1": (0.88, 0.70), "ppl_ratio": (1.15, 1.6)}
LANGUAGES = ("", "zh", "en", "code", "other")
GRADES = ("good", "usable", "damaged")


@dataclass(frozen=True)
class Bar:
    """One figure of one language ("" = all) with its interval."""

    figure: str
    language: str
    value: float
    low: float
    high: float
    grade: str
    tokens: int


def number(value: Any) -> float | None:
    """A figure, None where it is none."""
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None


def mapping(value: Any) -> dict[str, Any]:
    """A table, {} where it is none."""
    return value if isinstance(value, dict) else {}


def texts(value: Any) -> list[str]:
    """A list of texts."""
    return [str(one) for one in value] if isinstance(value, list) else []


def quality_of(report: dict[str, Any]) -> dict[str, Any]:
    """The figures of a report, {} where quality was not measured."""
    quality = mapping(report.get("quality"))
    return quality if number(quality.get("kl_mean")) is not None else {}


def limits(quality: dict[str, Any], figure: str) -> tuple[float, float]:
    """Up to where it is good, and usable: as the report says, else as is usual."""
    said = mapping(quality.get("thresholds")).get(figure)
    if isinstance(said, list | tuple) and len(said) == 2:
        good, usable = number(said[0]), number(said[1])
        if good is not None and usable is not None:
            return good, usable
    return THRESHOLDS[figure]


def bars(quality: dict[str, Any], figure: str) -> list[Bar]:
    """A figure's bars: over all, then by language."""
    groups = {"": quality, **mapping(quality.get("languages"))}
    return [
        made
        for language in LANGUAGES
        if (made := _bar(mapping(groups.get(language)), figure, language, limits(quality, figure)))
    ]


def _bar(found: dict[str, Any], figure: str, language: str, ends: tuple[float, float]) -> Bar | None:
    value = number(found.get(figure))
    if value is None:
        return None
    low, high = (number(found.get(f"{figure}_{end}")) for end in ("low", "high"))
    tokens = int(number(found.get("tokens")) or 0)
    low, high = value if low is None else low, value if high is None else high
    return Bar(figure, language, value, low, high, grade(figure, value, ends), tokens)


def grade(figure: str, value: float, ends: tuple[float, float]) -> str:
    """good, usable or damaged; of top1 more is better."""
    worse = [value < end if figure == "top1" else value > end for end in ends]
    return GRADES[sum(worse)]


def figure_text(figure: str, value: float) -> str:
    """ "0.031", "92.6 %", "1.02"."""
    if figure == "top1":
        return f"{value * 100:.1f} %"
    if figure.startswith("ppl"):
        return (
            f"{value:.3f}"
            if value < 10
            else f"{value:.1f}"
            if value < 1000
            else f"{value:,.0f}"
            if value < 1e6
            else f"{value:.1e}"
        )
    if 0 < value < 0.00005:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:,.0f}"


def limit_text(figure: str, value: float) -> str:
    """A threshold as short as it is."""
    return f"{value * 100:g} %" if figure == "top1" else f"{value:g}"


def verdict_of(quality: dict[str, Any]) -> str:
    """good, usable, damaged, "" where the report has no such word."""
    word = quality.get("verdict")
    return word if isinstance(word, str) and word in GRADES else ""


def verdict_words(quality: dict[str, Any], kind: str = "") -> str:
    """The verdict in plain words, with its reasons, and how sure it is; `kind`: the job, where another advice helps."""
    word = verdict_of(quality)
    own = f"quality.{word}_hint_{kind}"
    parts = [tr(own if find(own) else f"quality.{word}_hint")] if word else []
    if word != "good":
        reasons = (f"quality.reason_{name}" for name in texts(quality.get("reasons")))
        parts += [tr(key) for key in reasons if find(key)]
    low, high = str(quality.get("verdict_low")), str(quality.get("verdict_high"))
    if quality.get("sure") is False and low in GRADES and high in GRADES:
        parts.append(tr("quality.unsure", low=tr(f"quality.{low}"), high=tr(f"quality.{high}")))
    return sentences(parts)


def sentences(parts: list[str]) -> str:
    """Sentences one after another; Chinese ones stand without a space between."""
    return "".join(part if part.endswith("。") else f"{part} " for part in parts if part).strip()


def pair(quality: dict[str, Any], *path: str) -> tuple[float, float] | None:
    """Two figures, of the source and of the result: `speed`, `decode` or `memory`; None where one is missing."""
    found = []
    for side in "ab":
        value = mapping(quality.get(path[0])).get(side)
        for name in path[1:]:
            value = mapping(value).get(name)
        found.append(number(value) or 0.0)
    return (found[0], found[1]) if all(found) else None
