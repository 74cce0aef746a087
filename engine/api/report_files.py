"""Where the report and the card of a made model lie: beside its file, or within its folder."""

from __future__ import annotations

from pathlib import Path


def report_file(model: Path) -> Path:
    """The report, for programs."""
    return model / "report.json" if model.is_dir() else _beside(model, ".report.json")


def card_file(model: Path) -> Path:
    """The card, for people."""
    return model / "README.md" if model.is_dir() else _beside(model, ".md")


def _beside(model: Path, end: str) -> Path:
    return model.with_name(model.name.removesuffix(".gguf") + end)
