"""What answers keep of documents beside their own text: the passages found, the quotes, the prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from engine.store import Store


def forget_in_answers(store: Store, files: Iterable[int]) -> int:
    """Take what stored answers hold of these files; their own text stays, its citations are marked `deleted`.

    Returns how many answers that were.
    """
    gone, changed = set(files), []
    for row in store.rows("SELECT id, found, sent FROM messages WHERE found <> '{}'"):
        found, sent = json.loads(row["found"]), json.loads(row["sent"])
        if _without(found, gone):
            sent.pop("turns", None)
            changed.append((json.dumps(found, ensure_ascii=False), json.dumps(sent, ensure_ascii=False), row["id"]))
    with store.transaction() as db:
        db.conn.executemany("UPDATE messages SET found = ?, sent = ? WHERE id = ?", changed)
    return len(changed)


def _without(found: dict[str, Any], gone: set[int]) -> bool:
    """Change what an answer rests on; whether any of it was of these files."""
    hits, citations = found.get("hits", []), found.get("citations", [])
    read = found.get("read", [])
    if gone.isdisjoint([one.get("file") for one in (*hits, *citations)] + read):
        return False
    found["read"] = [file for file in read if file not in gone]
    found["hits"] = [hit for hit in hits if hit.get("file") not in gone]
    found["citations"] = [_blank(one) if one.get("file") in gone else one for one in citations]
    return True


def _blank(citation: dict[str, Any]) -> dict[str, Any]:
    """Its number stays, for the answer's text names it."""
    return citation | {"quote": "", "name": "", "path": "", "boxes": [], "deleted": True}
