"""Questions made fit for searching: follow-ups completed from the conversation, long ones split."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from engine.documents.prompting import language
from engine.documents.wording import Words, asked_words, words_of

Turn = dict[str, str]  # {"role", "content"}
Write = Callable[[list[Turn], int], str]

LONG = 300  # characters of a rewritten question
KEPT = 600  # characters of each earlier turn that are shown to the model
PARTS = 4
_REFERS = re.compile(
    r"\b(it|its|they|them|their|he|him|his|she|her|this|that|these|those|there|then|one|ones|same|other|else)\b"
    r"|^(and|but|what about|how about|why|when|where|who|how)\W*(\w+\W*){0,2}\?*$"
    r"|[它他她其]|这|那|上述|前者|后者|呢|还有",
    re.IGNORECASE,
)
_BETWEEN = re.compile(
    r"(?<=[?？；;])\s*|[,，]?\s+and\s+(?=(?:what|when|where|who|whose|which|why|how)\b)|[，,](?=(?:以及|还有|并且)?(?:谁|什么|何时|哪|为什么|怎么|如何|多少))",
    re.IGNORECASE,
)
_TASK = {
    "en": "Rewrite the last question so that it can be understood without the conversation. Put in the names it refers"
    " to. Reply with the question alone.",
    "zh": "把最后一个问题改写成不看上文也能明白的问题，补全其中指代的名称。只回复改写后的问题。",
}


def needs_context(question: str, history: Sequence[Turn]) -> bool:
    """Whether a question only makes sense after what was said before it."""
    return bool(history) and (_REFERS.search(question) is not None or len(asked_words(question)) <= 2)


def complete(question: str, history: Sequence[Turn], write: Write) -> str:
    """The question as it would be asked alone. A model that adds what nobody said is not believed."""
    if not needs_context(question, history):
        return question
    told = language(question)
    talk = "\n".join(f"{turn['role']}: {turn['content'][:KEPT]}" for turn in history[-4:])
    asked = [{"role": "system", "content": _TASK[told]}, {"role": "user", "content": f"{talk}\nuser: {question}"}]
    rewritten = write(asked, 80).strip().strip('"“”').splitlines()[:1]
    if rewritten and _faithful(rewritten[0], question, history):
        return rewritten[0]
    return _with_names(question, history)


def parts(question: str) -> list[str]:
    """The questions that a long one is made of; itself where it is one."""
    found = [part.strip(" ,，") for part in _BETWEEN.split(question) if part and part.strip(" ,，?？;；")]
    whole = [part for part in found if asked_words(part)]
    return whole[:PARTS] if len(whole) > 1 else [question]


def _faithful(rewritten: str, question: str, history: Sequence[Turn]) -> bool:
    """Whether every word comes from the conversation, and the question's own are still there."""
    new, own, *said = words_of([rewritten, question, *(turn["content"] for turn in history)])
    asked = asked_words(question)
    known: Words = own.union(*said)
    return bool(new) and len(rewritten) <= LONG and new <= known and len(asked & new) * 2 >= len(asked)


def _with_names(question: str, history: Sequence[Turn]) -> str:
    """The last question in front of this one: clumsy to read, but found by the right words."""
    before = next((turn["content"] for turn in reversed(history) if turn["role"] == "user"), "")
    return f"{before[:LONG]} {question}".strip()
