"""Questions that a collection answers, made by a model from its passages: to score it by, and to find chunks by.

Small models make things up, so a question counts only if it asks about words of its passage, and its answer is a
stretch of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from engine.documents.ask import Writer
from engine.documents.prompting import language
from engine.documents.wording import asked_words, words_of

if TYPE_CHECKING:
    from engine.documents.database import DocumentStore

LEAST = 80  # characters of a passage worth asking about
TRIES = 3  # passages looked at for each question wanted
TOKENS = 96
ABOUT = 0.6  # of a question's words stand in its passage

_TASK = {
    "en": "Write one short question that the text answers, about a fact in it. Then write the answer in the exact words"
    " of the text. Reply with two lines:\nQuestion: …\nAnswer: …",
    "zh": "根据这段文字提出一个简短的事实性问题，再用文字中的原话写出答案。只回复两行：\n问题：…\n答案：…",
}
_ASK = {
    "en": "Write one short question that the text answers, about a fact in it. Reply with the question alone.",
    "zh": "根据这段文字提出一个简短的事实性问题，问题的答案要在文字中。只回复这一个问题。",
}
_LONGEST = 200  # characters of a question
_ASKS = re.compile(r"^(?:.{0,12}[:：]\s*)?(.+[?？])\s*$", re.MULTILINE)
_QUESTION = re.compile(r"(?:question|问题)\s*[:：]\s*(.+)", re.IGNORECASE)
_ANSWER = re.compile(r"(?:answer|答案)\s*[:：]\s*(.+)", re.IGNORECASE)


def make(
    store: DocumentStore, number: int, count: int, writer: Writer, step: Callable[[int, int], None]
) -> list[dict[str, Any]]:
    """At most `count` questions {question, answer, file, page, chunk}, from passages spread over the collection.

    `step(done, total)` may raise Cancelled. Raises the UserErrors of the model.
    """
    made: list[dict[str, Any]] = []
    for row in _spread(store, number, count * TRIES):
        step(len(made), count)
        if len(made) == count:
            break
        pair = ask_about(row["text"], writer)
        if pair:
            place = {"file": row["name"], "page": row["page"], "chunk": row["id"]}
            made.append({"question": pair[0], "answer": pair[1], **place})
    return made


def ask_about(text: str, writer: Writer) -> tuple[str, str] | None:
    """A question and its answer; None where the model gave none that stands in the text."""
    told = language(text)
    chat = [{"role": "system", "content": _TASK[told]}, {"role": "user", "content": text}]
    written, _ = writer.write(chat, TOKENS, lambda piece: None)
    question, answer = _QUESTION.search(written), _ANSWER.search(written)
    if not question or not answer:
        return None
    asked, said = question.group(1).strip(), answer.group(1).strip().strip('"“”。.')
    return (asked, said) if said and said in text and _is_about(asked, text) else None


def question_about(text: str, writer: Writer) -> str:
    """A question to find the text by, "" where the model gave none that is about it.

    Unlike with `ask_about` nobody relies on its answer, and the smallest models write far more of these.
    """
    chat = [{"role": "system", "content": _ASK[language(text)]}, {"role": "user", "content": text}]
    written, _ = writer.write(chat, TOKENS // 2, lambda piece: None)
    asked = _ASKS.search(written)
    found = asked.group(1).strip() if asked else ""
    return found if len(found) <= _LONGEST and _is_about(found, text) else ""


def _is_about(question: str, text: str) -> bool:
    asked, (there,) = asked_words(question), words_of([text])
    return bool(asked) and len(asked & there) >= ABOUT * len(asked)


def _spread(store: DocumentStore, number: int, most: int) -> list[dict[str, Any]]:
    """Passages at even distances over all of a collection."""
    sql = "FROM chunks JOIN files ON files.id = chunks.file WHERE chunks.collection = ? AND length(chunks.text) >= ?"
    ids = [row["id"] for row in store.rows(f"SELECT chunks.id {sql} ORDER BY chunks.id", number, LEAST)]
    chosen = [ids[at * len(ids) // min(most, len(ids))] for at in range(min(most, len(ids)))]
    order = chosen[::TRIES] + [chunk for at, chunk in enumerate(chosen) if at % TRIES]
    one = "SELECT chunks.id, chunks.text, chunks.page, files.name FROM chunks JOIN files ON files.id = chunks.file"
    rows = (store.row(f"{one} WHERE chunks.id = ?", chunk) for chunk in order)
    return [row for row in rows if row]
