"""The streaming Markdown view."""

from desktop.widgets.richtext.colours import DARK, LIGHT, RichTextColours
from desktop.widgets.richtext.view import RichText

__all__ = ["DARK", "LIGHT", "RichText", "RichTextColours"]
