"""Headers and footers of sheets as they are stored: text with codes for fonts, places and fields."""

from __future__ import annotations

import re

CODE = re.compile(r'&(?:"[^"]*"|[0-9]+|K[0-9A-Fa-f]{6}|.)')


def plain_margin(text: str) -> str:
    """The words alone; a doubled & is one."""
    return " ".join(CODE.sub(lambda code: "&" if code[0] == "&&" else " ", text).split())
