"""Figures and waiting times in words."""

from __future__ import annotations

from desktop.text import tr
from engine.api.messages import Message

SEPARATOR = " · "


def number(value: float) -> str:
    """A figure a person can read at a glance: one decimal under ten, none above."""
    return f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def stop_words(message: Message) -> str:
    """Why the answer ended, in plain words; "" while it is being written or if it failed."""
    if message["state"] == "stopped":
        return tr("chat.stop_cancelled")
    reason = message["stats"].get("stop")
    return tr(f"chat.stop_{reason}") if reason and message["state"] == "done" else ""


def short_figures(message: Message) -> list[str]:
    """The line under an answer, from the fullest to the shortest way of saying it."""
    stats = message["stats"]
    speed = tr("chat.speed", n=number(stats["tokens_per_s"])) if stats.get("tokens_per_s") else ""
    first = tr("chat.first_token", s=number(stats["first_token_s"])) if stats.get("first_token_s") else ""
    reason = stop_words(message)
    choices = [[speed, first, reason], [speed, reason], [reason]]
    return [SEPARATOR.join(part for part in parts if part) for parts in choices]


def exact_figures(message: Message) -> str:
    """Everything that was measured, one line each."""
    stats = dict(message["stats"])
    lines = [tr("chat.exact_model", model=message["model"])] if message["model"] else []
    for key in ("prompt_tokens", "reused_tokens", "tokens"):
        if key in stats:
            lines.append(tr(f"chat.exact_{key}", n=f"{stats[key]:,}"))
    for key in ("prefill_s", "first_token_s", "decode_s"):
        if key in stats:
            lines.append(tr(f"chat.exact_{key}", s=f"{stats[key]:.3f}"))
    if stats.get("tokens_per_s"):
        lines.append(tr("chat.exact_speed", n=f"{stats['tokens_per_s']:.2f}"))
    if "context_used" in stats:
        lines.append(tr("chat.exact_context", used=f"{stats['context_used']:,}", size=f"{stats['context_size']:,}"))
    return "\n".join(lines)


def dropped_words(message: Message) -> str:
    """Says that the context was full and what became of the oldest messages; "" if all were sent."""
    count = len(message["sent"].get("dropped", []))
    if not count:
        return ""
    key = "summarized" if message["sent"].get("summary") else "left_out"
    return tr(f"chat.{key}_one" if count == 1 else f"chat.{key}", n=count)


def waiting_words(kind: str, done: float, total: float, left_s: float | None) -> str:
    """What an answer is waiting for, with done of total and the time left."""
    if kind == "load":
        return tr("chat.loading_model", percent=round(done * 100))
    if kind != "prefill":
        return tr("chat.starting")
    text = tr("chat.reading", done=f"{done:,.0f}", total=f"{total:,.0f}")
    return text if left_s is None else text + tr("chat.reading_left", s=max(1, round(left_s)))
