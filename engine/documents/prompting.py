"""What a model is given to answer a question from passages.

The passages stand before the question, in the order of their documents: a second question over the same ones finds
them in the KV cache, and only the question is read anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.documents.prepare import has_cjk

if TYPE_CHECKING:
    from engine.documents.search import Hit

SHARE = 0.6  # of the context is for passages
ANSWER_TOKENS = 160

_TASK = {
    "en": "Answer the question from the passages below and from nothing else. Use the exact names, numbers and words of"
    " the passages. Answer in one or two short sentences. If the passages do not say it, reply: Not in the documents.",
    "zh": "只根据下面的资料回答问题，不要使用其他知识。使用资料中原有的名称、数字和说法，用一两句话简短回答。"
    "如果资料中没有答案，请回答：文档中没有。",
}
_QUESTION = {"en": "Question: ", "zh": "问题："}
_NOT_FOUND = re.compile(
    r"not in the (documents?|passages?)"
    r"|(documents?|passages?|text) (do|does)( not|n't) (say|mention|provide|contain|state)"
    r"|not (mentioned|provided|specified|stated) in"
    r"|(文档|资料)中没有|(没有|未)(提到|提及|说明|提供)|无法(确定|回答)",
    re.IGNORECASE,
)


def language(text: str) -> str:
    """The language to answer in, that of the question: zh or en."""
    return "zh" if has_cjk(text) else "en"


def lead_of(question: str) -> str:
    """What stands before a question, in its language."""
    return _QUESTION[language(question)]


def messages(question: str, hits: Sequence[Hit], system: str = "") -> list[dict[str, Any]]:
    """A chat of one question; `system` is the collection's own words to the model."""
    told = language(question)
    first = "\n\n".join(part for part in (_TASK[told], system.strip()) if part)
    passages = "\n\n".join(passage(number, hit) for number, hit in enumerate(hits, 1))
    return [
        {"role": "system", "content": first},
        {"role": "user", "content": f"{passages}\n\n{lead_of(question)}{question}"},
    ]


def passage(number: int, hit: Hit) -> str:
    """One passage with what says where it is from."""
    place = " > ".join(part for part in (Path(hit.name).stem, hit.heading) if part)
    return f"[{number}] {place}\n{hit.text}"


def room_of(size: int) -> int:
    """Tokens for passages in a context of `size` tokens."""
    return int(size * SHARE) - ANSWER_TOKENS


def fitting(hits: Sequence[Hit], count: Callable[[str], int], size: int) -> list[Hit]:
    """The best of the passages that fit a context of `size` tokens, in the order of their documents."""
    room, kept = room_of(size), list[Any]()
    for number, hit in enumerate(hits, 1):
        room -= count(passage(number, hit))
        if room < 0 and kept:
            break
        kept.append(hit)
    return sorted(kept, key=lambda hit: (hit.file, hit.start))


def says_not_found(text: str) -> bool:
    """Whether an answer is that there is none."""
    return _NOT_FOUND.search(text[:200]) is not None


def refusal(question: str) -> str:
    """The words for it, in the question's language."""
    return "你的文档中没有提到这一点。" if language(question) == "zh" else "Your documents do not say this."
