"""Documents in a conversation: its questions are answered from them, with citations, follow-ups understood."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.messages import DocumentAnswer, DocumentUse, Message, Stats
from engine.core import Core

if TYPE_CHECKING:
    from engine.answer import Answer
    from engine.documents.search import Hit

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
    done = ask(question["text"], sources, writer, _Told(asked), [_turn(message) for message in earlier[-EARLIER:]])
    kept = done.to_json()
    found = {name: kept[name] for name in DocumentAnswer.__annotations__}
    return Done(done.text, DocumentAnswer(**found), done.sent, done.stats)  # type: ignore[typeddict-item]


def _turn(message: Message) -> dict[str, str]:
    return {"role": message["role"], "content": message["text"]}


class _Told:
    """What the window hears while the answer comes about."""

    def __init__(self, asked: Answer) -> None:
        self._asked = asked

    def rewritten(self, question: str) -> None:
        """Shown above the passages where it differs from what was typed."""
        self._asked.call.emit("rewritten", message=self._asked.row["id"], question=question)

    def passages(self, hits: list[Hit]) -> None:
        """Before the answer begins."""
        self._asked.call.emit("passages", message=self._asked.row["id"], hits=[asdict(hit) for hit in hits])

    def text(self, piece: str) -> None:
        """As the model writes; what is kept is the text after its check."""
        self._asked.text(piece)
