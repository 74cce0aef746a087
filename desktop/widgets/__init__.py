"""Reusable widgets; they know nothing of the engine."""
