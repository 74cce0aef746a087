"""Documents in a conversation: its questions are answered from them, with citations, follow-ups understood."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.messages import DocumentAnswer, DocumentUse, Message, Stats
from engine.core import Core
from engine.documents.telling import Told

if TYPE_CHECKING:
    from engine.answer import Answer

EARLIER = 4  # turns that a follow-up may refer to


@dataclass(frozen=True)
class Done:
    """An answer that rests on documents; `sent` is the chat the model was given, [] where none was asked."""

    text: str
    found: DocumentAnswer
    sent: list[dict[str, Any]]
    stats: Stats


def chosen_documents(core: Core, documents: list[dict[str, Any]]) -> list[DocumentUse]:
    """[{collection, files?}] with names. Raises UserError unknown_collection, bad_request."""
    if not documents:
        return []
    from engine.documents.collection import row_of

    chosen: list[DocumentUse] = []
    for one in documents:
        files = one.get("files", [])
        if not isinstance(files, list) or not all(type(file) is int for file in files):
            raise UserError("bad_request", "The files of a collection are numbers.", name="files")
        row = row_of(core.documents.store, str(one.get("collection", "")))
        chosen.append({"collection": row["id"], "name": row["name"], "files": files})
    return chosen


def answer(asked: Answer, model: str) -> Done:
    """Answer the last question of a conversation from its documents. Raises as engine.documents.ask.ask."""
    from engine.documents.ask import ask
    from engine.documents.sources import sources_of
    from engine.documents.writers import ModelWriter

    *earlier, question = asked.plan.kept
    sources = sources_of(asked.core, asked.documents, asked.plan.system)
    writer = ModelWriter(asked.core, model, asked.call.cancelled)
    told = Told(partial(asked.call.emit, message=asked.row["id"]), asked.text)
    done = ask(question["text"], sources, writer, told, [_turn(message) for message in earlier[-EARLIER:]])
    kept = done.to_json()
    found = {name: kept[name] for name in DocumentAnswer.__annotations__}
    return Done(done.text, DocumentAnswer(**found), done.sent, done.stats)  # type: ignore[typeddict-item]


def _turn(message: Message) -> dict[str, str]:
    return {"role": message["role"], "content": message["text"]}
