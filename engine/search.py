"""Full-text search over the titles and messages of all conversations."""

from __future__ import annotations

from typing import Any

from engine.segment import match_expression, snippet
from engine.store import Store

_SQL = """
    SELECT search.chat, search.message, chats.title, messages.text
    FROM search JOIN chats ON chats.id = search.chat LEFT JOIN messages ON messages.id = search.message
    WHERE search MATCH ? AND chats.deleted IS NULL AND messages.deleted IS NULL
    ORDER BY search.message IS NULL DESC, rank LIMIT ?"""


def search(store: Store, query: str, limit: int) -> list[dict[str, Any]]:
    """Hits, titles first, then messages by BM25: {chat, title, message, snippet, marks}."""
    expression = match_expression(query)
    if not expression:
        return []
    hits = [_hit(row, query) for row in store.rows(_SQL, expression, limit)]
    # A title is mostly the first question's beginning: the same words of the same conversation are shown once.
    return list({(hit["chat"], hit["snippet"]): hit for hit in hits}.values())


def _hit(row: dict[str, Any], query: str) -> dict[str, Any]:
    text = row["title"] if row["message"] is None else row["text"]
    piece, marks = snippet(text, query)
    return {
        "chat": row["chat"],
        "title": row["title"],
        "message": row["message"],
        "snippet": piece,
        "marks": marks,
    }
