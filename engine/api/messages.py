"""What travels between the processes: one JSON object a line.

From the client:    {"id": 7, "call": "chats.get", "params": {"chat": "…"}}   or   {"cancel": 7}
From the engine:    {"id": 7, "event": "token", …}    while request 7 runs
                    {"id": 7, "result": {…}}          its end, or
                    {"id": 7, "error": {"code", "text", "hint", "values"}}
                    {"event": "job", …}               to everyone, belongs to no request
docs/protocol.md lists every request with its parameters, result and events.
"""

from __future__ import annotations

import json
from typing import Any, Literal, NotRequired, TypedDict

MAX_LINE = 64 * 1024 * 1024

Role = Literal["system", "user", "assistant"]
MessageState = Literal["done", "streaming", "stopped", "interrupted", "failed"]
StopReason = Literal["end", "stop_string", "length", "context", "cancelled"]
Fit = Literal["fits", "tight", "wont_fit", "unknown"]
JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


class Stats(TypedDict, total=False):
    """Figures of one answer. Times in seconds."""

    prompt_tokens: int  # tokens of the whole prompt
    reused_tokens: int  # of those, taken from the KV cache of the last turn
    tokens: int  # tokens generated
    queue_s: float  # waited for a place among the requests answered at once
    prefill_s: float
    first_token_s: float  # request to first token
    decode_s: float  # first to last token
    thinking_s: float  # from the first to the last word of reasoning, where there was any
    tokens_per_s: float
    stop: StopReason
    stop_string: str  # which one, where one was met
    guessed_tokens: int  # guessed ahead (speculative decoding) …
    guessed_right: int  # … and found right
    context_used: int  # tokens in the context after the answer
    context_size: int


class AdapterUse(TypedDict):
    """A LoRA adapter, and how strongly it speaks (1.0 = as trained)."""

    id: str
    name: str
    scale: float


class DocumentUse(TypedDict):
    """A collection that a conversation's questions are answered from; `files` [] stands for all of it."""

    collection: str
    name: str
    files: list[int]


class DocumentAnswer(TypedDict, total=False):
    """How an answer rests on documents, as engine.documents.ask.Answer has it; {} for other answers."""

    question: str  # as it was looked for
    refused: bool
    strength: float
    missing: list[str]
    sentences: list[dict[str, Any]]  # text, start, end, citations, supported
    citations: list[dict[str, Any]]  # number, collection, file, name, path, page, quote, start, end, chunk, boxes
    hits: list[dict[str, Any]]  # what was found, best first
    read: list[int]  # files whose passages the model was given, found or not
    notes: list[dict[str, Any]]  # {"code", …}: how it was read, where that is not the usual way


class Sent(TypedDict, total=False):
    """What the model was given for one answer."""

    messages: list[int]  # ids of the messages sent, in order
    dropped: list[int]  # ids left out because the context was full, oldest first
    summary: str  # text that stands for the dropped ones, if any
    system: str
    adapters: list[AdapterUse]  # that spoke, where the conversation has any or two answers are compared
    turns: list[dict[str, Any]]  # the very chat that was given, where it was made of documents


class Attachment(TypedDict):
    """An image or a sound that goes with a message."""

    id: str  # sha256 of its bytes, and its name in the attachments folder
    name: str
    kind: Literal["image", "audio"]
    bytes: int


class Message(TypedDict):
    """One message of a conversation's tree."""

    id: int
    chat: str
    parent: int | None
    role: Role
    text: str
    media: list[Attachment]
    thinking: str  # the folded reasoning block, "" where there is none
    state: MessageState
    model: str
    created: float  # Unix time
    stats: Stats
    sent: Sent
    found: DocumentAnswer
    error: dict[str, Any] | None


class Chat(TypedDict):
    """One conversation, as the list shows it."""

    id: str
    title: str
    folder: str
    pinned: bool
    system: str
    model: str
    sampling: dict[str, Any]
    adapters: list[AdapterUse]
    documents: list[DocumentUse]
    leaf: int | None  # last message of the branch on show
    created: float
    updated: float


class ChatTree(TypedDict):
    """A conversation with all its branches. `path` is the branch on show, root first."""

    chat: Chat
    messages: list[Message]
    path: list[int]


class FitReport(TypedDict):
    """Memory a model needs here, in bytes, and the verdict."""

    fit: Fit
    context: int
    weights: int
    kv_cache: int
    compute: int
    projector: int  # of images or sounds, where one lies beside the model
    total: int
    available: int
    largest_context: int  # the largest context that still fits, 0 if none
    device: str
    draft: NotRequired[int]  # of the draft model, which only comes if it fits beside the total
    draft_problem: NotRequired[dict[str, Any]]  # the UserError that says why it cannot guess for this model


class ModelRow(TypedDict):
    """One model: of the catalogue, installed, or both."""

    id: str
    name: str
    installed: bool
    path: str  # "" unless installed
    bytes: int
    parameters: int
    quantization: str
    architecture: str
    context: int  # the context it was trained for
    languages: list[str]
    kind: str  # chat, base, embedding, adapter (LoRA)
    base: NotRequired[str]  # of an adapter: the model it was made for, as its file says
    tags: list[str]  # "starter" and "first:zh" say which model the first page offers
    licence: str
    source: str  # catalogue, hub, file, reference, remote (then `path` is its address)
    fit: FitReport
    problem: str  # "" or a UserError code: vanished_model, damaged_model


class JobRow(TypedDict):
    """One job, and equally the event line that reports on it."""

    job: str
    kind: str
    title: str
    state: JobState
    done: int
    total: int
    unit: str
    text: str
    left_s: float | None
    speed: float | None  # units a second
    seconds: float
    peak_bytes: int
    created: float
    params: dict[str, Any]
    result: dict[str, Any] | None
    error: dict[str, Any] | None


def encode(message: dict[str, Any]) -> bytes:
    """One message as one line. Surrogates from odd file names are replaced rather than lost."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of one line. Raises ValueError for anything that is not a JSON object."""
    try:
        message = json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message
