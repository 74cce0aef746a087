"""One figure of a benchmark, as a line that `_table.py` reads."""

from __future__ import annotations


def figure(name: str, value: str, goal: str = "", kept: bool | None = None) -> None:
    """Print "name  value  goal  ok|MISSED"; without a goal the figure only informs."""
    verdict = "" if kept is None else "ok" if kept else "MISSED"
    print("\t".join((name, value, goal, verdict)), flush=True)


def ratio(name: str, value: float, least: float) -> None:
    """A ratio that should be at least `least`."""
    figure(name, f"{value:.3f}", f">= {least:g}", value >= least)
