"""/v1/completions: going on with a text."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from engine.completion import Completion, TextRequest, complete_text
from engine.generation import TokenLogprob
from engine.server import results
from engine.server.endpoint import Answer, Asked, Endpoint, Event, Streaming, Work
from engine.server.events import dumped
from engine.server.fields import Fields
from engine.server.openai_chat import MODEL_ERRORS, new_id
from engine.server.openai_read import MOST_CHOICES, adapters_of, form_of, model_of, sampling_of, seeds_of
from engine.server.openai_schemas import TEXT_COMPLETION
from engine.server.openai_stream import ChunkWriter
from engine.server.openai_words import finish_of, number, usage_of
from engine.server.together import together

MOST_PROMPTS = 64


def completions(asked: Asked) -> Answer:
    """Go on with one text or several, whole or as a stream."""
    fields = Fields(asked.body)
    refuse_the_unknown(fields)
    model = model_of(asked, fields)
    works = tuple(_work(asked, request) for request in requests(fields, model))
    if fields.flag("stream"):
        with_usage = fields.inner("stream_options").flag("include_usage")
        return Streaming(works, TextWriter(model, len(works), with_usage))
    return whole(model, together(asked, works), choices_each(fields))


def requests(fields: Fields, model: str) -> list[TextRequest]:
    """One request for each choice, the choices of the first prompt first."""
    sampling = sampling_of(fields, model)
    first = TextRequest(
        model,
        "",
        form_of(fields),
        sampling,
        fields.whole("logprobs", -1, 0, 20) if fields.has("logprobs") else -1,
        adapters_of(fields),
    )
    seeds = seeds_of(sampling.seed, choices_each(fields))
    return [
        replace(first, prompt=prompt, sampling=replace(sampling, seed=seed))
        for prompt in prompts(fields)
        for seed in seeds
    ]


def prompts(fields: Fields) -> list[str]:
    """The texts to go on with."""
    value = fields.value("prompt")
    if isinstance(value, str):
        return [value]
    found = fields.list("prompt", MOST_PROMPTS)
    if not found or not all(isinstance(prompt, str) for prompt in found):
        raise fields.bad("prompt", "must be a text or a list of texts")
    return found


def choices_each(fields: Fields) -> int:
    """How many choices each prompt gets."""
    return fields.whole("n", 1, 1, MOST_CHOICES)


def refuse_the_unknown(fields: Fields) -> None:
    """What would change the answer and is not offered must not pass in silence."""
    if fields.flag("echo"):
        raise fields.bad("echo", "is not offered")
    if fields.has("suffix") and fields.text("suffix"):
        raise fields.bad("suffix", "is not offered")
    if fields.whole("best_of", 1, 1, 1000) > choices_each(fields):
        raise fields.bad("best_of", "is not offered")


def _work(asked: Asked, request: TextRequest) -> Work:
    return lambda listener: complete_text(asked.core, request, listener, asked.cancelled)


def whole(model: str, results: list[Completion], each: int) -> dict[str, Any]:
    """A `text_completion` object."""
    choices = [
        {"index": i, "text": r.text, "logprobs": logprobs(r.logprobs), "finish_reason": finish_of(r)}
        for i, r in enumerate(results)
    ]
    return {
        "id": new_id("cmpl"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": choices,
        "usage": usage(results, each),
    }


def usage(results: Sequence[Completion], each: int) -> dict[str, Any]:
    """Tokens of all prompts and all choices."""
    groups = [usage_of(results[i : i + each]) for i in range(0, len(results), each)]
    total = {name: sum(g[name] for g in groups) for name in ("prompt_tokens", "completion_tokens", "total_tokens")}
    cached = sum(g["prompt_tokens_details"]["cached_tokens"] for g in groups)
    return {**total, "prompt_tokens_details": {"cached_tokens": cached}}


def logprobs(tokens: Iterable[TokenLogprob], offset: int = 0) -> dict[str, Any] | None:
    """The older form of probabilities: four lists of the same length. `offset`: characters before these tokens."""
    told: dict[str, list[Any]] = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        text = token.piece.decode("utf-8", "replace")
        told["tokens"].append(text)
        told["token_logprobs"].append(number(token.logprob))
        told["top_logprobs"].append({piece.decode("utf-8", "replace"): number(p) for _, piece, p in token.top})
        told["text_offset"].append(offset)
        offset += len(text)
    return told if told["tokens"] else None


class TextWriter(ChunkWriter):
    """Writes `text_completion` objects as a stream."""

    def __init__(self, model: str, choices: int, with_usage: bool) -> None:
        super().__init__(new_id("cmpl"), "text_completion", model, _usage_of_all if with_usage else None)
        self._tokens: list[list[TokenLogprob]] = [[] for _ in range(choices)]
        self._offsets = [0] * choices

    def _event(self, event: Event) -> str:
        if event.kind == "logprob":
            self._tokens[event.choice].append(event.value)
        elif event.kind == "text":
            return self._piece(event.choice, event.value)
        elif event.kind == "done":
            self.results.append(event.value)
            return self._piece(event.choice, "", dumped(finish_of(event.value)))
        return ""

    def _piece(self, choice: int, text: str, finish: str = "null") -> str:
        """A chunk; `finish` is JSON text."""
        told, tokens = "null", self._tokens[choice]
        if tokens:
            told = dumped(logprobs(tokens, self._offsets[choice]))
            tokens.clear()
        self._offsets[choice] += len(text)
        return self._chunk(f'{{"index":{choice},"text":{dumped(text)},"logprobs":{told},"finish_reason":{finish}}}')


def _usage_of_all(results: Sequence[Completion]) -> dict[str, Any]:
    return usage(results, 1)


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/completions",
        completions,
        "Go on with a text.",
        body=TEXT_COMPLETION,
        result=results.TEXT_COMPLETION,
        errors=MODEL_ERRORS,
        streams=True,
        heavy=True,
    ),
)
