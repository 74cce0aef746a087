"""Qwen3-Reranker, as published (a chat model that answers yes or no) and with a head of its own (one score).

llama.cpp's softmax over two rows gives the chance of "yes": the rows of the two words in the published form. A single
score gets a second row of zeros, so that the softmax is the sigmoid that such a score is meant for; llama.cpp's
converter knows the published form only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convert.config import Config
from convert.families.qwen3 import BLOCKS, is_reranker
from convert.family import Entries, Family, Key, rule
from convert.keys import COMMON
from convert.operations import Array, Laid, Sizes, laid, no_way_back, odd_shape
from convert.pooling import RANK
from convert.rules import EMBEDDING, HEAD
from engine.api.errors import UserError

YES, NO = "yes_word", "no_word"  # one more than the words' numbers: a size is never zero
TEMPLATE = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web '
    "search query, retrieve relevant passages that answer the query\n<Query>: {query}\n<Document>: {document}"
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
)


@dataclass(frozen=True)
class Answers:
    """The rows of "yes" and "no" of the words' table; with `keep` the table itself first."""

    keep: bool
    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (table,) = arrays
        places = [sizes.size(word) - 1 for word in (YES, NO)]
        if max(places) >= table.shape[0]:
            raise odd_shape(table, "it has fewer rows than the vocabulary")
        two = Laid((2, *table.shape[1:]), tuple(table[place : place + 1] for place in places))
        return [laid(table), two] if self.keep else [two]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        if not self.keep:
            raise no_way_back("a head of which two rows were kept")
        return [laid(arrays[0])]


@dataclass(frozen=True)
class BesideNothing:
    """A single score's row, and one of zeros; several classes stay as they are."""

    rows: bool = field(default=False, init=False)

    def forward(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (head,) = arrays
        if head.shape[0] != 1:
            return [laid(head)]
        return [Laid((2, *head.shape[1:]), (head, np.zeros(head.shape, head.dtype)))]

    def inverse(self, arrays: Sequence[Array], sizes: Sizes) -> list[Laid]:
        (head,) = arrays
        alone = head.shape[0] == 2 and not head[1:].any()
        return [laid(head[:1] if alone else head)]


def _with_words(config: Config) -> Config:
    """The numbers of "yes" and "no", from tokenizer.json. Raises UserError no_answers."""
    places = _numbers(config)
    missing = [word for word in ("yes", "no") if not isinstance(places.get(word), int)]
    if missing:
        raise UserError(
            "no_answers",
            'The tokenizer of this reranker has no token for "yes" or "no".',
            "Download tokenizer.json into the same folder.",
        )
    return config.having(**{YES: places["yes"] + 1, NO: places["no"] + 1})


def _numbers(config: Config) -> dict[str, Any]:
    tokenizer = config.beside("tokenizer.json")
    if not isinstance(tokenizer, dict):
        found = config.beside("vocab.json")
        return found if isinstance(found, dict) else {}
    model, added = tokenizer.get("model"), tokenizer.get("added_tokens")
    words = model.get("vocab") if isinstance(model, dict) else None
    rows = [row for row in added if isinstance(row, dict)] if isinstance(added, list) else []
    own = {str(row.get("content")): row.get("id") for row in rows}
    return own | (words if isinstance(words, dict) else {})


def _asks(config: Config, entries: Entries) -> Entries:
    """The words that a question and a document are put into."""
    return entries | {
        "tokenizer.chat_templates": ("[str]", ["rerank"]),
        "tokenizer.chat_template.rerank": ("str", TEMPLATE),
    }


def _classes(config: Config) -> list[str]:
    named = config.get("id2label")
    if isinstance(named, dict) and len(named) > 1:
        return [str(named.get(str(place), place)) for place in range(len(named))]
    count = config.get("num_labels", default=1 if isinstance(named, dict) else 2)
    return ["yes", "no"] if count == 1 else [f"LABEL_{place}" for place in range(int(count))]


def _tied(config: Config) -> bool:
    return bool(config.get("tie_word_embeddings"))


_KEYS = (*COMMON, Key("pooling_type", default=RANK))
_PUBLISHED = (*_KEYS, Key("classifier.output_labels", kind="[str]", value=lambda config: ["yes", "no"]))
_HEAD = "cls.output.weight"

FAMILIES = (
    Family(
        architectures=("Qwen3ForCausalLM",),
        arch="qwen3",
        rules=(rule("embed_tokens.weight", (EMBEDDING.targets[0], _HEAD), Answers(keep=True)), *BLOCKS, HEAD[0]),
        keys=_PUBLISHED,
        drop=(r"lm_head\.weight",),
        accepts=lambda config: is_reranker(config) and _tied(config),
        adjust=_with_words,
        entries=_asks,
        name="tied",
    ),
    Family(
        architectures=("Qwen3ForCausalLM",),
        arch="qwen3",
        rules=(EMBEDDING, rule("^lm_head.weight", _HEAD, Answers(keep=False)), *BLOCKS, HEAD[0]),
        keys=_PUBLISHED,
        accepts=lambda config: is_reranker(config) and not _tied(config),
        adjust=_with_words,
        entries=_asks,
        name="own-head",
    ),
    Family(
        architectures=("Qwen3ForSequenceClassification",),
        arch="qwen3",
        rules=(EMBEDDING, rule("^score.weight", _HEAD, BesideNothing()), *BLOCKS, HEAD[0]),
        keys=(*_KEYS, Key("classifier.output_labels", kind="[str]", value=_classes)),
        name="score",
    ),
)
