"""One answer from the question to the last stored token: prompt, streaming, journal, figures."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.messages import AdapterUse, DocumentAnswer, Message, MessageState, Stats
from engine.api.sampling import Sampling
from engine.attachments import media_of, with_parts
from engine.chats import index_message
from engine.chosen_adapters import choices
from engine.context import Plan, make_room, start_plan
from engine.conversation_prompt import prompt_of
from engine.core import Call, Core
from engine.generation import Generation
from engine.loading import using
from engine.remotes.addresses import is_remote
from engine.resident import Resident
from engine.summary import summarize
from engine.thinking import ThinkSplitter, opened_by

JOURNAL_EVERY_S = 0.4  # kill -9 loses at most this much text
WINDOW = "window"  # the owner of its requests
EMIT_EVERY_S = 0.04  # smooth to read, and the cores are left to the model
LEAST_ROOM = 512  # tokens kept free for an answer without a length of its own, at most a quarter of the context


class Answer:
    """The answer `row` to the conversation `path` (root first, ending with the question).

    `sampling` and `adapters` are the conversation's unless given; an answer that goes on keeps those it began with.
    """

    def __init__(
        self,
        core: Core,
        call: Call,
        row: Message,
        path: list[Message],
        sampling: Sampling | None = None,
        adapters: list[AdapterUse] | None = None,
    ) -> None:
        self.core, self.call, self.row = core, call, row
        chat = core.chats.get(row["chat"])
        self.sampling = sampling or Sampling.from_json(chat["sampling"])
        self.plan = start_plan(chat["system"], path)
        began = row["sent"].get("adapters") if row["text"] else None
        self.adapters = adapters if adapters is not None else chat["adapters"] if began is None else began
        self._told = bool(self.adapters) or began is not None or adapters is not None  # in the record of what was sent
        self.documents = [] if row["text"] else chat["documents"]  # an answer that goes on only goes on
        self._checked: tuple[str, DocumentAnswer] | None = None  # the text after its check, and what it rests on
        self.splitter = ThinkSplitter()
        self._unsent = ["", ""]  # text, thinking
        self._unstored = ["", ""]
        self._begun = False
        self._thought: tuple[float, float] | None = None  # when reasoning began, and its last word so far
        self._lock, self._over = threading.Lock(), threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="answer ticker", daemon=True)

    def generate(self, model: str) -> Message:
        """Have the model write; returns the stored answer. A UserError is stored with the answer and raised."""
        self.core.store.run("UPDATE messages SET state = 'streaming', error = NULL WHERE id = ?", self.row["id"])
        self._ticker.start()
        try:
            stats = self._ask(model)
        except Cancelled:
            return self._finish("stopped", {"stop": "cancelled"})
        except UserError as error:
            self._finish("failed", {}, error.to_json())
            raise
        except BaseException:
            self._finish("failed", {}, UserError("bug", "Something went wrong inside Deskside.").to_json())
            raise
        return self._finish("stopped" if stats["stop"] == "cancelled" else "done", stats)

    def prefill(self, done: int, total: int, left_s: float | None) -> None:
        """The prompt is being read: tokens done, tokens in all, seconds left."""
        self.call.emit("prefill", done=done, total=total, left_s=left_s)

    def text(self, piece: str) -> None:
        """The model wrote `piece`."""
        self._take(*self.splitter.feed(piece))

    def _ask(self, model: str) -> Stats:
        if self.documents:
            stats = self._write_from_documents(model)
        elif is_remote(model):
            stats = self._write_elsewhere(model)
        else:
            with using(self.core, self.call, model) as resident:
                stats = self._write(resident)
        if self._thought:
            stats["thinking_s"] = self._thought[1] - self._thought[0]
        return stats

    def _write_from_documents(self, model: str) -> Stats:
        from engine.documents.in_chat import answer

        self._keep_sent()
        done = answer(self, model)
        self._checked = done.text, done.found
        self._keep_sent(done.sent)
        return done.stats

    def _write_elsewhere(self, model: str) -> Stats:
        from engine.remotes.addresses import find
        from engine.remotes.answering import answer_remotely
        from engine.remotes.room import make_room_there

        self.adapters, self._told = [], False
        size = find(model)[1].context
        if size:
            make_room_there(self.plan, self.row["text"], size, self._reserve(size))
            self._tell_dropped()
        self._keep_sent()
        turns, begun = with_parts(self.plan.turns()), self.row["text"]
        return answer_remotely(model, turns, begun, self.sampling, self._take, self.call.cancelled)

    def _keep_sent(self, turns: list[dict[str, Any]] | None = None) -> None:
        sent = self.plan.sent()
        if turns is not None:
            sent["turns"] = turns
        if self._told:
            sent["adapters"] = self.adapters
        self.core.store.run("UPDATE messages SET sent = ? WHERE id = ?", json.dumps(sent), self.row["id"])

    def _write(self, resident: Resident) -> Stats:
        self._make_room(resident)
        self._keep_sent()
        turns = self.plan.turns()
        prompt, media = prompt_of(resident, turns, self.row["text"]), media_of(turns)
        self.splitter = ThinkSplitter(starts_inside=(not self.row["text"] and opened_by(prompt)) or False)
        adapters = choices(self.adapters)
        chat = self.row["chat"]
        request = Generation(prompt, self.sampling, None, adapters, media, conversation=chat, owner=WINDOW)
        stats = resident.generate(request, self, self.call.cancelled)
        self._take(*self.splitter.rest())
        return stats

    def _make_room(self, resident: Resident) -> None:
        size = resident.info.context_size
        reserve = self._reserve(size)

        def tokens(plan: Plan) -> int:
            turns = plan.turns()
            return resident.count(prompt_of(resident, turns, self.row["text"]), media_of(turns))

        newly = make_room(self.plan, tokens, size, reserve)
        if newly and self.core.settings.when_full == "summarize":
            self.plan.summary = summarize(resident, self.plan.summary, newly, self.call.cancelled)
            make_room(self.plan, tokens, size, reserve)
        self._tell_dropped()

    def _reserve(self, size: int) -> int:
        """Tokens of the context that are left to the answer."""
        return min(self.sampling.max_tokens or LEAST_ROOM, size // 4)

    def _tell_dropped(self) -> None:
        if self.plan.dropped:
            self.call.emit("dropped", dropped=[m["id"] for m in self.plan.dropped], summary=self.plan.summary)

    def _take(self, text: str, thinking: str) -> None:
        if thinking:
            now = time.monotonic()
            self._thought = (self._thought or (now, now))[0], now
        with self._lock:
            for waiting in (self._unsent, self._unstored):
                waiting[0] += text
                waiting[1] += thinking
        if not self._begun:
            self._begun = bool(text or thinking)
            self._emit()  # the first word is waited for; the others may come in handfuls

    def _tick(self) -> None:
        """Runs beside the model, so that neither the pipe nor the disk is waited for between two tokens."""
        stored = time.monotonic()
        while not self._over.wait(EMIT_EVERY_S):
            self._emit()
            if time.monotonic() - stored >= JOURNAL_EVERY_S:
                self._store()
                stored = time.monotonic()

    def _emit(self) -> None:
        with self._lock:
            (text, thinking), self._unsent = self._unsent, ["", ""]
        if text or thinking:
            self.call.emit("token", message=self.row["id"], text=text, thinking=thinking)

    def _store(self) -> None:
        with self._lock:
            unstored, self._unstored = self._unstored, ["", ""]
        if any(unstored):
            sql = "UPDATE messages SET text = text || ?, thinking = thinking || ? WHERE id = ?"
            self.core.store.run(sql, *unstored, self.row["id"])

    def _finish(self, state: MessageState, stats: Stats, error: dict[str, Any] | None = None) -> Message:
        self._over.set()
        self._ticker.join()
        self._emit()
        with self.core.store.transaction() as db:
            self._store()
            if self._checked:
                text, found = self._checked
                db.execute(
                    "UPDATE messages SET text = ?, found = ? WHERE id = ?", (text, json.dumps(found), self.row["id"])
                )
            db.execute(
                "UPDATE messages SET state = ?, stats = ?, error = ? WHERE id = ?",
                (state, json.dumps(stats), json.dumps(error) if error else None, self.row["id"]),
            )
            db.execute("UPDATE chats SET updated = ? WHERE id = ?", (time.time(), self.row["chat"]))
            index_message(db, self.row["id"])
        return self.core.chats.message(self.row["id"])
