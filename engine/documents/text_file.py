"""A file's text, for the readers of formats that are text."""

from __future__ import annotations

from pathlib import Path

from engine.documents.block import Limits
from engine.documents.formats import HEAD_BYTES, unsupported
from engine.documents.refusals import too_large
from engine.documents.text_encoding import decoded, is_text


def text_of(path: Path, limits: Limits) -> str:
    """All of it, line ends as "\\n". Raises UserError unsupported_document for what is no text, too_large_document."""
    if path.stat().st_size > 4 * limits.characters:
        raise too_large(path)
    data = path.read_bytes()
    if not is_text(data[:HEAD_BYTES]):
        raise unsupported(path)
    text = decoded(data).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    if len(text) > limits.characters:
        raise too_large(path)
    return text
