"""OpenAI's two streams of chunks: what they share, and that of /v1/chat/completions."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from engine.completion import Completion
from engine.generation import TokenLogprob
from engine.server.endpoint import Event
from engine.server.events import MEDIA, data_line, dumped, encoded
from engine.server.openai_words import finish_of, logprobs_of, usage_of

DONE = b"data: [DONE]\n\n"
DELTAS = {"text": "content", "thinking": "reasoning_content"}
Usage = Callable[[Sequence[Completion]], dict[str, Any]]


class ChunkWriter(ABC):
    """Writes chunks, each with one choice, then the usage where it is asked for, and the mark of the end.

    The part of a chunk that is the same in all of them becomes text once.
    """

    media = MEDIA

    def __init__(self, identity: str, kind: str, model: str, usage: Usage | None) -> None:
        self.results: list[Completion] = []
        head = {"id": identity, "object": kind, "created": int(time.time()), "model": model}
        self._before = f"data: {dumped(head)[:-1]},"
        self._after = ',"usage":null}\n\n' if usage else "}\n\n"
        self._usage = usage

    def events(self, events: Sequence[Event]) -> bytes:
        """A chunk for each event."""
        return encoded("".join(map(self._event, events)))

    def end(self) -> bytes:
        """The usage, where asked for, and the mark of the end."""
        if not self._usage:
            return DONE
        return encoded(f'{self._before}"choices":[],"usage":{dumped(self._usage(self.results))}}}\n\n') + DONE

    def failed(self, body: dict[str, Any], status: int) -> bytes:
        """The error in place of a chunk, which OpenAI's clients raise."""
        return encoded(data_line(body))

    @abstractmethod
    def _event(self, event: Event) -> str:
        """The chunks for one event, "" where there is nothing to say."""

    def _chunk(self, choice: str) -> str:
        """The chunk around the JSON text of a choice."""
        return f'{self._before}"choices":[{choice}]{self._after}'


class ChatWriter(ChunkWriter):
    """Writes `chat.completion.chunk` objects."""

    def __init__(self, identity: str, model: str, choices: int, with_usage: bool) -> None:
        super().__init__(identity, "chat.completion.chunk", model, usage_of if with_usage else None)
        self._begun: set[int] = set()
        self._tokens: list[list[TokenLogprob]] = [[] for _ in range(choices)]

    def _event(self, event: Event) -> str:
        choice, begin = event.choice, ""
        if choice not in self._begun:
            self._begun.add(choice)
            begin = self._delta(choice, '{"role":"assistant","content":""}')
        if event.kind == "logprob":
            self._tokens[choice].append(event.value)
        elif event.kind == "done":
            self.results.append(event.value)
            return begin + self._delta(choice, "{}", dumped(finish_of(event.value)))
        elif event.kind in DELTAS:
            return begin + self._delta(choice, f'{{"{DELTAS[event.kind]}":{dumped(event.value)}}}')
        elif event.kind in ("call", "arguments"):
            return begin + self._delta(choice, dumped({"tool_calls": [_call(event)]}))
        return begin

    def _delta(self, choice: int, delta: str, finish: str = "null") -> str:
        """A chunk; `delta` and `finish` are JSON text."""
        logprobs, tokens = "null", self._tokens[choice]
        if tokens:
            logprobs = dumped({"content": logprobs_of(tokens), "refusal": None})
            tokens.clear()
        return self._chunk(f'{{"index":{choice},"delta":{delta},"logprobs":{logprobs},"finish_reason":{finish}}}')


def _call(event: Event) -> dict[str, Any]:
    """A tool call that begins, or more of its arguments."""
    if event.kind == "arguments":
        index, piece = event.value
        return {"index": index, "function": {"arguments": piece}}
    index, identity, name = event.value
    return {"index": index, "id": identity, "type": "function", "function": {"name": name, "arguments": ""}}
