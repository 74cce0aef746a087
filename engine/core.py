"""What the requests share: the store, the models in memory, the jobs, the settings, and everyone who listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from engine.api.folders import conversations_folder, database_file, home, logs_folder, models_folder
from engine.api.job import Cancelled, Job
from engine.api.messages import JobRow
from engine.api.settings import Settings, load_settings, save_settings
from engine.attachments import forget_unused
from engine.chats import Chats
from engine.converting import forget_fetched, publish
from engine.documents.library import Library
from engine.documents.searching import Searching
from engine.prefix_store import PrefixStore
from engine.runner import Runner
from engine.store import Store

Send = Callable[[dict[str, Any]], None]


class Core:
    """One per engine process."""

    def __init__(self) -> None:
        from engine.loading import residents_of

        for folder in (home(), models_folder(), logs_folder()):
            folder.mkdir(parents=True, exist_ok=True)
        self._listeners: list[Send] = []
        self.at_close: list[Callable[[], None]] = []  # what ends before the models do, such as the HTTP server
        self._settings_lock = threading.Lock()
        self.settings: Settings = load_settings()
        self.store = Store(database_file())
        self.chats = Chats(self.store)
        self.chats.recover()
        forget_unused(self.store)
        self.conversations = PrefixStore(conversations_folder(), self.settings.stored_conversations_gb * 2**30)
        self.residents = residents_of(self)
        self.runner = Runner(self.store, self.broadcast)
        self.runner.ended.append(self._job_ended)
        self.runner.given_up.append(forget_fetched)
        self.searching = Searching()
        self.documents = Library(self.runner, self.broadcast, self.searching)
        self.listen(self.documents.heard)
        self.runner.inside["questions"] = self._write_questions

    def listen(self, send: Send) -> None:
        """Have every broadcast sent to `send` too."""
        self._listeners.append(send)

    def forget(self, send: Send) -> None:
        """Undo `listen`."""
        self._listeners.remove(send)

    def broadcast(self, event: str, **data: Any) -> None:
        """Tell every client."""
        for send in list(self._listeners):
            send({"event": event, **data})

    def forget_conversation(self, chat: str) -> None:
        """Nothing of a conversation stays in caches that outlive it."""
        for resident in self.residents.loaded():
            resident.scheduler.slots.forget(chat)
        self.conversations.forget(chat)

    def forget_read(self) -> None:
        """Nothing of what models have read stays in caches that outlive it: documents were deleted."""
        for row in self.store.rows("SELECT id FROM chats"):
            self.forget_conversation(row["id"])
        self.conversations.clear()

    def change_settings(self, values: dict[str, Any]) -> dict[str, Any]:
        """Check, store and announce new settings. Raises UserError."""
        with self._settings_lock:
            self.settings = self.settings.with_values(values)
            save_settings(self.settings)
            self.residents.follow(self.settings)
            self.conversations.limit_bytes = self.settings.stored_conversations_gb * 2**30
            if not self.conversations.limit_bytes:
                self.conversations.clear()
        self.broadcast("settings", values=values)
        return asdict(self.settings)

    def _write_questions(self, params: dict[str, Any], job: Job) -> dict[str, Any]:
        from engine.documents.question_job import run

        return run(self, params, job)

    def _job_ended(self, row: JobRow) -> None:
        if row["state"] == "done" and row["kind"] == "download":
            self.broadcast("models")
        publish(self, row)

    def close(self) -> None:
        """Stop jobs (they can be resumed), free the model, close the database."""
        for close in self.at_close:
            close()
        self.runner.close()
        self.searching.close()
        self.documents.close()
        self.residents.close()
        self.store.close()


class Call:
    """One running request: where its events go, and whether it was cancelled."""

    def __init__(self, identity: object, send: Send) -> None:
        self.identity = identity
        self._send = send
        self.cancelled = threading.Event()

    def emit(self, event: str, **data: Any) -> None:
        """Send an event of this request."""
        self._send({"id": self.identity, "event": event, **data})

    def step(self, done: int, total: int) -> None:
        """Tell how far it is. Raises Cancelled."""
        if self.cancelled.is_set():
            raise Cancelled
        self.emit("step", done=done, total=total)
