"""A checkpoint's vocabulary -> what llama.cpp reads of it, verified against llama.cpp itself; and the way back."""

from __future__ import annotations

from convert.vocabulary.reading import Vocabulary, read

__all__ = ["Vocabulary", "read"]
