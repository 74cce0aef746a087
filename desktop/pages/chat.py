"""The conversation page: the list of conversations, and the one on show."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QTimer

from desktop.chat.actions import ACTIONS
from desktop.chat.session import ChatSession, blank_chat
from desktop.chat.shelf import ChatShelf
from desktop.chat.stage import ChatStage
from desktop.desk import Desk
from desktop.page import Page, PageWidget
from desktop.widgets.make import row
from desktop.widgets.richtext.warm import warm_up
from engine.api.messages import Chat

WARM_UP_MS = 800  # once the window is on screen
__all__ = ["ACTIONS", "PAGE", "ChatPage"]


class ChatPage(PageWidget):
    """`opened` takes `chat` (an id) with `message`, `model` or `documents` (for a new conversation), or
    `send` (a text)."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        # Belongs to the desk: answers go on being written while the page is built anew in another language.
        self.session: ChatSession = desk.findChild(ChatSession) or ChatSession(desk.client, desk)
        self.shelf: ChatShelf = ChatShelf(desk, self)
        self.stage: ChatStage = ChatStage(desk, self.session)
        self._wanted_chat = ""
        line = row(self.shelf.list, self.stage, spacing=0)
        line.setStretch(1, 1)
        self.setLayout(line)
        self._connect()
        self.fetch()
        QTimer.singleShot(WARM_UP_MS, self, warm_up)

    @property
    def chat_id(self) -> str:
        """The conversation on show, "" for one that is not stored yet."""
        return self.session.shown.id

    def opened(self, **args: Any) -> None:
        """Come to the front, with what another page asks for."""
        if args.get("chat"):
            self.show_chat(str(args["chat"]), args.get("message"))
        elif args.get("model") or args.get("send") or args.get("documents"):
            self.new_chat(str(args.get("model") or ""))
        if args.get("documents"):
            self.session.update(self.session.shown, documents=args["documents"])
        if args.get("send"):
            self.stage.send(str(args["send"]))
        QTimer.singleShot(0, self, self.stage.composer.focus)

    def state(self) -> dict[str, Any]:
        """Keep what is typed; the session itself outlives the page."""
        self.stage.save_draft()
        return {}

    def fetch(self) -> None:
        """Read conversations and models from the engine."""
        self.shelf.fetch()
        self.fetch_models()

    def fetch_models(self) -> None:
        """Read what can answer."""
        self.desk.client.call("models.list", result=self._take_models, owner=self)

    def new_chat(self, model: str = "") -> None:
        """Begin a conversation; it is stored with its first message."""
        self.session.show_new(blank_chat(self.desk.settings.default_system, model))
        self.stage.composer.focus()

    def show_chat(self, chat_id: str, message: int | None = None) -> None:
        """Show a conversation, as soon as it is known, at one of its messages if given."""
        self._wanted_chat = "" if self.shelf.chats.chat(chat_id) else chat_id
        self.shelf.open(chat_id, message)

    def step(self, by: int) -> None:
        """Go to the next or previous conversation of the list."""
        following = self.shelf.neighbour(self.chat_id, by)
        if following:
            self.show_chat(following)

    def export(self, form: str) -> None:
        """Write the conversation on show to a file."""
        if self.chat_id:
            self.shelf.export([self.chat_id], form, self.session.shown.chat["title"])

    def _connect(self) -> None:
        self.shelf.opened.connect(self._open)
        self.shelf.list.new_wanted.connect(self.new_chat)
        self.shelf.rename_wanted.connect(lambda chat: self.stage.header.start_renaming())
        self.shelf.gone.connect(self._gone)
        self.shelf.listed.connect(self._listed)
        self.session.shown_changed.connect(self._mark)
        self.session.live_changed.connect(self._mark)
        self.desk.client.broadcast.connect(self._broadcast)
        self.desk.client.state_changed.connect(self._engine_state)
        self.desk.settings_changed.connect(self.stage.settings_changed)

    def _open(self, chat: Chat, message: int | None) -> None:
        self._wanted_chat = ""
        if chat["id"] != self.chat_id:
            self.session.show_chat(chat)
        if message is not None:
            self.stage.show_message(message)

    def _listed(self) -> None:
        self._mark()
        if self._wanted_chat:
            self.shelf.open(self._wanted_chat)

    def _mark(self, *_: object) -> None:
        self.shelf.chats.set_live(self.session.live())
        self.shelf.list.set_current(self.chat_id)

    def _gone(self, chat_id: str, following: str) -> None:
        if chat_id != self.chat_id:
            return
        if following:
            self.show_chat(following)
        else:
            self.new_chat()

    def _take_models(self, result: dict[str, Any]) -> None:
        self.shelf.set_models(result["models"])
        self.stage.set_models(result["models"])

    def _broadcast(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "models" or (kind == "job" and event.get("state") == "done"):
            self.fetch_models()
        elif kind == "model_loaded":
            self.stage.header.picker.set_loaded(event["model"])
        elif kind == "chat":
            self._mark()

    def _engine_state(self, state: str) -> None:
        if state == "ready":
            self.fetch()


PAGE = Page("chat", "message-square", 10, ChatPage, shortcut="Ctrl+1")
