"""One conversation as the window holds it: its tree, the branch on show, and the answer being written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal, cast

from PySide6.QtCore import QObject, QTimer, Signal

from engine.api.errors import UserError
from engine.api.messages import Attachment, Chat, ChatTree, DocumentAnswer, Message

FLUSH_MS = 24  # about 40 repaints a second, however fast the tokens come


@dataclass(frozen=True)
class Progress:
    """What is being waited for: the engine (`start`), the model (`load`, 0..1), tokens read (`prefill`)."""

    kind: Literal["", "start", "load", "prefill", "write"] = ""
    done: float = 0
    total: float = 0
    left_s: float | None = None


class Conversation(QObject):
    """Takes replies and events, keeps the messages, and says what changed. Knows nothing of the engine."""

    path_changed = Signal()  # other messages are on show
    message_changed = Signal(int)  # state, figures or text of one message
    appended = Signal(int, str, str)  # message, text, thinking: at most once every FLUSH_MS
    progress_changed = Signal()
    running_changed = Signal()
    queue_changed = Signal()
    chat_changed = Signal()

    def __init__(self, chat: Chat, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.chat = chat
        self.messages: dict[int, Message] = {}
        self.path: list[int] = []
        self.queue: list[str] = []
        self.draft = ""
        self.attachments: list[Attachment] = []  # that go with the next message
        self.pending_media: list[Attachment] = []  # on their way to the engine
        self.pending = ""  # text on its way to the engine, kept until it is stored
        self.call: int | None = None
        self.live: int | None = None  # the answer being written
        self.pair: list[int] | None = None  # answers compared: without adapters, with them; None = none are
        self.progress = Progress()
        self.loaded = False
        self.thought_s: dict[int, float] = {}
        self._thinking_since: float | None = None
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._timer = QTimer(self, singleShot=True, interval=FLUSH_MS)
        self._timer.timeout.connect(self.flush)

    @property
    def id(self) -> str:
        """The engine's id, "" for a conversation that was not stored yet."""
        return self.chat["id"]

    @property
    def running(self) -> bool:
        """An answer is being waited for or written."""
        return self.call is not None

    def shown(self) -> list[Message]:
        """The messages of the branch on show, root first."""
        return [self.messages[number] for number in self.path if number in self.messages]

    def last_answer(self) -> Message | None:
        """The newest answer on show."""
        return next((m for m in reversed(self.shown()) if m["role"] == "assistant"), None)

    def beside(self) -> Message | None:
        """The answer to be compared with the one on show, None if there is none."""
        if self.pair is None or len(self.pair) < 2:
            return None
        others = [other for shown, other in (self.pair, self.pair[::-1]) if shown in self.path]
        return self.messages.get(others[0]) if others else None

    def siblings(self, number: int) -> list[int]:
        """Ids of the branches that start where this message stands, oldest first, itself included."""
        message = self.messages[number]
        place = message["parent"], message["role"]
        return sorted(m["id"] for m in self.messages.values() if (m["parent"], m["role"]) == place)

    def set_tree(self, tree: ChatTree) -> None:
        """Show what is stored. An answer being written keeps its text: the store is up to 0.5 s behind."""
        self.flush()
        live = self.messages.get(self.live) if self.live is not None else None
        self.chat = tree["chat"]
        self.messages = {m["id"]: _fuller(self.messages.get(m["id"]), m) for m in tree["messages"]}
        self.path = list(tree["path"])
        if live is not None and live["id"] in self.messages:
            self.messages[live["id"]] = live
        self.loaded = True
        self.path_changed.emit()
        self.chat_changed.emit()

    def set_chat(self, chat: Chat) -> None:
        """Title, model or settings changed."""
        self.chat = chat
        self.chat_changed.emit()

    def begin(self, call: int, live: int | None = None) -> None:
        """A request for an answer is on its way; `live` is the answer it continues, if any."""
        self.call, self.live = call, live
        self.progress = Progress("start")
        if live is not None:
            self._set_state(live, state="streaming", error=None)
        self.running_changed.emit()
        self.progress_changed.emit()

    def take_event(self, event: dict[str, Any]) -> None:
        """One event of the running request, see docs/protocol.md."""
        kind = event.get("event")
        if kind == "token":
            self._take_token(event)
        elif kind == "message":
            self._take_message(cast(Message, event["message"]))
        elif kind == "answer":
            self._take_answer(cast(Message, event["message"]))
        elif kind == "load":
            self._set_progress(Progress("load", float(event.get("done", 0)), 1))
        elif kind == "prefill":
            self._set_progress(Progress("prefill", event.get("done", 0), event.get("total", 0), event.get("left_s")))
        elif kind == "passages":
            self._take_found({"hits": event["hits"]})
        elif kind == "dropped":
            self._take_dropped(event)

    def take_result(self, result: dict[str, Any]) -> None:
        """The answer is whole."""
        self.flush()
        message = cast(Message, result["message"])
        self._end_thinking(message["id"])
        self.messages[message["id"]] = message
        self._end()
        if message["id"] in self.path:
            self.message_changed.emit(message["id"])
        else:
            self._show_branch_of(message["id"])

    def take_error(self, error: UserError) -> None:
        """The request failed. What was written stays, marked as failed, or as interrupted if the engine died."""
        self.flush()
        live = self.live
        self._end()
        if live is not None:
            died = error.code == "engine_died"
            self._set_state(live, state="interrupted" if died else "failed", error=None if died else error.to_json())

    def flush(self) -> None:
        """Hand on what has gathered since the last time."""
        text, thinking = "".join(self._text), "".join(self._thinking)
        self._text.clear()
        self._thinking.clear()
        message = self.messages.get(self.live) if self.live is not None else None
        if message is None or not (text or thinking):
            return
        message["text"] += text
        message["thinking"] += thinking
        self.appended.emit(message["id"], text, thinking)

    def enqueue(self, text: str) -> None:
        """Keep a message until the answer being written is whole."""
        self.queue.append(text)
        self.queue_changed.emit()

    def dequeue(self, place: int = 0) -> str:
        """Take a waiting message out; "" if there is none at that place."""
        if place >= len(self.queue):
            return ""
        text = self.queue.pop(place)
        self.queue_changed.emit()
        return text

    def _take_token(self, event: dict[str, Any]) -> None:
        if self.live is None:
            self.live = int(event["message"])
        text, thinking = event.get("text", ""), event.get("thinking", "")
        if thinking and self._thinking_since is None:
            self._thinking_since = time.monotonic()
        if text and self._thinking_since is not None:
            self._end_thinking(self.live)
        self._text.append(text)
        self._thinking.append(thinking)
        if not self._timer.isActive():
            self._timer.start()
        if self.progress.kind != "write":
            self._set_progress(Progress("write"))

    def _end_thinking(self, number: int) -> None:
        if self._thinking_since is not None:
            self.thought_s[number] = time.monotonic() - self._thinking_since
            self._thinking_since = None

    def _take_message(self, message: Message) -> None:
        # A continued answer is announced as it was stored; here it is being written again.
        self.flush()
        answer = message["role"] == "assistant"
        self.messages[message["id"]] = cast(Message, {**message, "state": "streaming"}) if answer else message
        if answer:
            self.live = message["id"]
            if self.pair is not None and len(self.pair) < 2:
                self.pair.append(message["id"])
        else:
            self.pending, self.pending_media = "", []
        self._show_branch_of(message["id"])

    def _take_answer(self, message: Message) -> None:
        """One of several answers is whole."""
        self.flush()
        self._end_thinking(message["id"])
        self.messages[message["id"]] = message
        self.message_changed.emit(message["id"])

    def _show_branch_of(self, number: int | None) -> None:
        path: list[int] = []
        while number is not None and number in self.messages:
            path.append(number)
            number = self.messages[number]["parent"]
        self.path = path[::-1]
        self.path_changed.emit()

    def _take_found(self, found: DocumentAnswer) -> None:
        """What was found in documents, before the answer begins."""
        if self.live is not None and self.live in self.messages:
            self.messages[self.live]["found"] = found
            self.message_changed.emit(self.live)

    def _take_dropped(self, event: dict[str, Any]) -> None:
        if self.live is not None and self.live in self.messages:
            sent = self.messages[self.live]["sent"]
            sent["dropped"], sent["summary"] = list(event.get("dropped", [])), str(event.get("summary") or "")
            self.message_changed.emit(self.live)

    def _set_progress(self, progress: Progress) -> None:
        self.progress = progress
        self.progress_changed.emit()

    def _set_state(self, number: int, **values: Any) -> None:
        if number in self.messages:
            self.messages[number] = cast(Message, {**self.messages[number], **values})
            self.message_changed.emit(number)

    def _end(self) -> None:
        self.call = self.live = None
        self._thinking_since = None
        self.progress = Progress()
        self.running_changed.emit()
        self.progress_changed.emit()


def _fuller(seen: Message | None, stored: Message) -> Message:
    """What is on screen of an answer cut off by the engine's end may be a moment ahead of what was stored."""
    cut_off = stored["state"] == "interrupted" and seen is not None and seen["state"] == "interrupted"
    if seen is None or not cut_off or not seen["text"].startswith(stored["text"]):
        return stored
    return cast(Message, {**stored, "text": seen["text"], "thinking": seen["thinking"]})
