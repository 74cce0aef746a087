"""Requests that answer questions from documents, and measure how well."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from engine.core import Call, Core

if TYPE_CHECKING:
    from engine.documents.ask import Answer
    from engine.documents.search import Hit


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
    from engine.documents.ask import ask as answer
    from engine.documents.in_chat import chosen_documents
    from engine.documents.sources import sources_of
    from engine.documents.writers import ModelWriter

    chosen = chosen_documents(core, [{"collection": collection, "files": files or []}])
    sources = sources_of(core, chosen)
    writer = ModelWriter(core, _model(core, chosen[0]["collection"], model), call.cancelled)
    turns = [{"role": str(turn.get("role")), "content": str(turn.get("content", ""))} for turn in history or []]
    return answer(_question(question), sources, writer, _Told(call), turns).to_json()


def score(core: Core, call: Call, collection: str, questions: list[dict[str, Any]], model: str = "") -> dict[str, Any]:
    """Ask all questions and tell how well they were answered: {card, rows}. Events: step {done, total}."""
    from engine.documents.ask import ask as answer
    from engine.documents.in_chat import chosen_documents
    from engine.documents.scorecard import Scored, read_questions
    from engine.documents.scorecard import score as scored
    from engine.documents.sources import sources_of
    from engine.documents.writers import ModelWriter

    known = read_questions(questions)
    chosen = chosen_documents(core, [{"collection": collection}])
    sources = sources_of(core, chosen)
    writer = ModelWriter(core, _model(core, chosen[0]["collection"], model), call.cancelled)

    def one(question: str) -> Answer:
        return answer(question, sources, writer, _Unheard())

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

    card, rows = scored(known, one, _stepper(call))
    return {"card": card, "rows": [row(of) for of in rows]}


def questions(core: Core, call: Call, collection: str, count: int = 20, model: str = "") -> dict[str, Any]:
    """Questions made of the collection's own passages: {questions: [{question, answer, file, page, chunk}]}."""
    from engine.documents.collection import row_of
    from engine.documents.questions import make
    from engine.documents.writers import ModelWriter

    row = row_of(core.documents.store, collection)
    writer = ModelWriter(core, _model(core, row["id"], model), call.cancelled)
    return {"questions": make(core.documents.store, row["number"], count, writer, _stepper(call))}


def _question(text: str) -> str:
    from engine.api.errors import UserError

    if not text.strip():
        raise UserError("empty_message", "There is nothing to send.", "Type a message first.")
    return text.strip()


def _model(core: Core, collection: str, model: str) -> str:
    """The model asked for, else the collection's, else the one chats begin with."""
    from engine.documents.collection import get
    from engine.requests.chat import usual_model

    chosen = model or get(core.documents.store, collection)["settings"].get("chat_model", "")
    return chosen or usual_model(core)


def _stepper(call: Call) -> Any:
    from engine.api.job import Cancelled

    def step(done: int, total: int) -> None:
        if call.cancelled.is_set():
            raise Cancelled
        call.emit("step", done=done, total=total)

    return step


class _Told:
    """The events of one request."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def rewritten(self, question: str) -> None:
        """The question as it is looked for."""
        self._call.emit("rewritten", question=question)

    def passages(self, hits: list[Hit]) -> None:
        """What was found, before the answer begins."""
        self._call.emit("passages", hits=[asdict(hit) for hit in hits])

    def text(self, piece: str) -> None:
        """More of what the model writes, before its check."""
        self._call.emit("token", text=piece)


class _Unheard:
    """Nobody watches a scorecard being filled."""

    def rewritten(self, question: str) -> None:
        """Not told."""

    def passages(self, hits: list[Hit]) -> None:
        """Not told."""

    def text(self, piece: str) -> None:
        """Not told."""
