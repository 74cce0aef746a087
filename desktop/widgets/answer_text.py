"""The streaming Markdown view in the colours of the theme and the words of the interface."""

from __future__ import annotations

from desktop.text import tr
from desktop.theme import Theme, theme
from desktop.widgets.richtext import RichText, RichTextColours


def text_colours(theme: Theme) -> RichTextColours:
    """The theme's colours under the names the view knows."""
    return RichTextColours(
        text=theme.text,
        dim=theme.dim,
        surface=theme.surface,
        line=theme.line,
        accent=theme.accent,
        code_background=theme.surface if theme.dark else theme.side,
        code_style="dark" if theme.dark else "light",
    )


def put_on_theme(view: RichText) -> None:
    """Draw an existing view in the current theme."""
    view.apply_colours(text_colours(theme()))


def answer_text() -> RichText:
    """A view for an answer or its reasoning."""
    made = RichText(colours=text_colours(theme()))
    made.setProperty("kind", "bare")  # else the style sheet gives it the padding of a field
    made.set_words(tr("chat.copy"), tr("chat.copied"))
    return made
