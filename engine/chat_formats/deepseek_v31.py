"""DeepSeek V3.1: calls between control tokens, name and arguments divided by one."""

from __future__ import annotations

from engine.chat_formats.deepseek import TOKENS
from engine.completions.shape import ARGUMENTS, NAME, Format, Shape

FORMAT = Format(
    (
        Shape(
            f"<｜tool▁call▁begin｜>{NAME}<｜tool▁sep｜>{ARGUMENTS}<｜tool▁call▁end｜>",
            begin="<｜tool▁calls▁begin｜>",
            between="",
            end="<｜tool▁calls▁end｜>",
        ),
    ),
    lambda template: "<｜tool▁calls▁begin｜>" in template,
    rank=40,
    tokens=TOKENS,
)
