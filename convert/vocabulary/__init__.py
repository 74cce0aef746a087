"""A checkpoint's vocabulary -> what llama.cpp reads of it, verified against llama.cpp itself; and the way back."""

from __future__ import annotations

from convert.vocabulary.back import to_huggingface
from convert.vocabulary.reading import Vocabulary, read
from convert.vocabulary.verify import Agreement, require, verify, write_alone

__all__ = ["Agreement", "Vocabulary", "read", "require", "to_huggingface", "verify", "write_alone"]
