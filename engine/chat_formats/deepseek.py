"""DeepSeek V2 to R1: calls between control tokens, arguments in a code block."""

from __future__ import annotations

from engine.completions.shape import ARGUMENTS, NAME, Format, Shape

TOKENS = (
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁calls▁end｜>",
    "<｜tool▁call▁begin｜>",
    "<｜tool▁call▁end｜>",
    "<｜tool▁sep｜>",
)

FORMAT = Format(
    (
        Shape(
            f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{NAME}\n```json\n{ARGUMENTS}\n```<｜tool▁call▁end｜>",
            begin="<｜tool▁calls▁begin｜>",
            end="<｜tool▁calls▁end｜>",
        ),
    ),
    lambda template: "<｜tool▁calls▁begin｜>" in template and "```json" in template,
    rank=30,
    tokens=TOKENS,
)
