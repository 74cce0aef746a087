"""Requests that answer questions from documents, and measure how well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from engine.core import Call, Core
from engine.documents.telling import Told

if TYPE_CHECKING:
    from engine.documents.ask import Answer, Listener
    from engine.documents.rewriting import Turn


def ask(
    core: Core,
    call: Call,
    collection: str,
    question: str,
    history: list[dict[str, Any]] | None = None,
    model: str = "",
    files: list[int] | None = None,
) -> dict[str, Any]:
    """Answer a question from a collection, or from some of its files; `history` is what was said before."""
    asking = _asking(core, call, collection, model, files or [])
    turns = [{"role": str(turn.get("role")), "content": str(turn.get("content", ""))} for turn in history or []]
    return asking(_question(question), Told(call.emit, lambda piece: call.emit("token", text=piece)), turns).to_json()


def score(core: Core, call: Call, collection: str, questions: list[dict[str, Any]], model: str = "") -> dict[str, Any]:
    """Ask all questions and tell how well they were answered: {card, rows}. Events: step {done, total}."""
    from engine.documents.scorecard import Scored, read_questions
    from engine.documents.scorecard import score as scored

    known = read_questions(questions)
    asking = _asking(core, call, collection, model)

    def one(question: str) -> Answer:
        return asking(question, Told(), ())

    def row(of: Scored) -> dict[str, Any]:
        return {
            "question": of.known.question,
            "text": of.answer.text,
            "refused": of.answer.refused,
            "contained": of.contained,
            "cited": of.cited,
            "rank": of.rank(),
            "seconds": of.seconds,
        }

    card, rows = scored(known, one, call.step)
    return {"card": card, "rows": [row(of) for of in rows]}


def questions(core: Core, call: Call, collection: str, count: int = 20, model: str = "") -> dict[str, Any]:
    """Questions made of the collection's own passages: {questions: [{question, answer, file, page, chunk}]}."""
    from engine.documents.collection import row_of
    from engine.documents.questions import make
    from engine.documents.writers import ModelWriter

    row = row_of(core.documents.store, collection)
    writer = ModelWriter(core, _model(core, row, model), call.cancelled)
    return {"questions": make(core.documents.store, row["number"], count, writer, call.step)}


def _question(text: str) -> str:
    from engine.api.errors import UserError

    if not text.strip():
        raise UserError("empty_message", "There is nothing to send.", "Type a message first.")
    return text.strip()


def _asking(
    core: Core, call: Call, collection: str, model: str, files: Sequence[int] = ()
) -> Callable[[str, Listener, Sequence[Turn]], Answer]:
    """What answers questions from a collection, with its model loaded."""
    from engine.documents.ask import ask as answer
    from engine.documents.collection import row_of
    from engine.documents.in_chat import chosen_documents
    from engine.documents.sources import sources_of
    from engine.documents.writers import ModelWriter

    chosen = chosen_documents(core, [{"collection": collection, "files": [*files]}])
    sources, row = sources_of(core, chosen), row_of(core.documents.store, chosen[0]["collection"])
    writer = ModelWriter(core, _model(core, row, model), call.cancelled)
    return lambda question, listener, turns: answer(question, sources, writer, listener, turns)


def _model(core: Core, row: dict[str, Any], model: str) -> str:
    """The model asked for, else the collection's, else the one chats begin with."""
    from engine.requests.chat import usual_model

    return model or row["settings"]["chat_model"] or usual_model(core)
