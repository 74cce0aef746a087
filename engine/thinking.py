"""Reasoning blocks: which tags the model families use, and text split along them."""

from __future__ import annotations

MARKERS: list[str] = []
