"""The conversations that are open: which one is on show, and the requests made for each. No widgets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast

from PySide6.QtCore import QObject, Signal

from desktop.chat.conversation import Conversation
from desktop.client import EngineClient
from engine.api.errors import UserError
from engine.api.messages import Attachment, Chat, ChatTree

KEPT = 8  # conversations kept in memory beside those in which an answer is being written


def blank_chat(system: str = "", model: str = "") -> Chat:
    """A conversation that the engine does not know yet; it is stored with its first message."""
    return Chat(
        id="",
        title="",
        folder="",
        pinned=False,
        system=system,
        model=model,
        sampling={},
        adapters=[],
        documents=[],
        leaf=None,
        created=0.0,
        updated=0.0,
    )


def _message(talk: Conversation) -> dict[str, Any]:
    """The parameters of `chat.send` for what is on its way."""
    media = {"media": talk.pending_media} if talk.pending_media else {}
    return {"chat": talk.id, "text": talk.pending, **media}


class ChatSession(QObject):
    """Answers go on being written in conversations that are not on show; coming back shows them live."""

    shown_changed = Signal()  # another conversation is on show
    live_changed = Signal(object)  # set of the chats in which an answer is being written
    finished = Signal(object, object)  # Conversation, Message: an answer is whole
    send_failed = Signal(object, str, object)  # Conversation, the text to be kept, UserError
    failed = Signal(object)  # UserError of anything else
    removed = Signal(object)  # a ChatTree request took a message out: the message id, to be restored

    def __init__(self, client: EngineClient, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._open: dict[str, Conversation] = {}
        self.shown = self._new(blank_chat())
        client.broadcast.connect(self._broadcast)
        client.state_changed.connect(self._engine_state)

    def show_new(self, chat: Chat) -> None:
        """Show a conversation that is not stored yet."""
        self._show(self._new(chat))

    def show_chat(self, chat: Chat) -> None:
        """Show a stored conversation; its messages follow as soon as the engine has them."""
        known = self._open.pop(chat["id"], None) or self._new(chat)
        self._open[chat["id"]] = known  # the newest is the last
        self._show(known)
        if not known.loaded:
            self.reload(known)
        self._forget_old()

    def conversation(self, chat_id: str) -> Conversation | None:
        """An open conversation by its id."""
        return self._open.get(chat_id)

    def reload(self, talk: Conversation) -> None:
        """Read a conversation from the engine."""
        self._client.call("chats.get", {"chat": talk.id}, result=partial(self._take_tree, talk), error=self.failed.emit)

    def live(self) -> set[str]:
        """The chats in which an answer is being written."""
        return {chat_id for chat_id, talk in self._open.items() if talk.running}

    def send(self, talk: Conversation, text: str, parent: int | None = None, media: Sequence[Attachment] = ()) -> None:
        """Send a message, or let it wait while an answer is being written."""
        if talk.running and parent is None:
            talk.enqueue(text)
            return
        talk.pending, talk.pending_media = text, list(media)
        if talk.id:
            self._ask(talk, "chat.send", _message(talk) | ({} if parent is None else {"parent": parent}))
        else:
            self._create_and_send(talk)

    def edit(self, talk: Conversation, message: int, text: str) -> None:
        """Send another wording of a question: a new branch beside it."""
        old = talk.messages[message]
        self.send(talk, text, old["parent"] or 0, old["media"])

    def regenerate(self, talk: Conversation, message: int) -> None:
        """Another answer to the same question."""
        self._ask(talk, "chat.regenerate", {"message": message})

    def compare(self, talk: Conversation, message: int) -> None:
        """Two more answers to the same question: without the adapters, and with them."""
        self._ask(talk, "chat.compare", {"message": message})
        talk.pair = []

    def go_on(self, talk: Conversation, message: int) -> None:
        """Make an answer longer that was stopped or cut off."""
        self._ask(talk, "chat.continue", {"message": message}, live=message)

    def stop(self, talk: Conversation) -> None:
        """End the answer being written."""
        if talk.call is not None:
            self._client.cancel(talk.call)

    def switch(self, talk: Conversation, message: int) -> None:
        """Show another branch."""
        params = {"chat": talk.id, "message": message}
        self._client.call("chats.switch", params, result=partial(self._take_tree, talk), error=self.failed.emit)

    def delete_message(self, talk: Conversation, message: int) -> None:
        """Delete a message and what follows it; `removed` offers the way back."""
        done = partial(self._message_deleted, talk, message)
        self._client.call("messages.delete", {"message": message}, result=done, error=self.failed.emit)

    def restore_message(self, talk: Conversation, message: int) -> None:
        """Undo `delete_message`."""
        done = partial(self._take_tree, talk)
        self._client.call("messages.restore", {"message": message}, result=done, error=self.failed.emit)

    def update(self, talk: Conversation, **values: Any) -> None:
        """Change title, model, system prompt, sampling, adapters or documents of a conversation."""
        if talk.id:
            self._client.call("chats.update", {"chat": talk.id, **values}, error=self.failed.emit)
        talk.set_chat(cast(Chat, {**talk.chat, **values}))

    def _new(self, chat: Chat) -> Conversation:
        return Conversation(chat, self)

    def _show(self, talk: Conversation) -> None:
        self.shown = talk
        self.shown_changed.emit()

    def _create_and_send(self, talk: Conversation) -> None:
        chat = talk.chat
        values = {
            name: chat[name] for name in ("title", "system", "model", "folder", "sampling", "adapters", "documents")
        }
        done = partial(self._created, talk)
        talk.begin(self._client.call("chats.create", values, result=done, error=partial(self._take_error, talk)))

    def _created(self, talk: Conversation, chat: dict[str, Any]) -> None:
        talk.set_chat(cast(Chat, chat))
        talk.loaded = True
        self._open[talk.id] = talk
        self._ask(talk, "chat.send", _message(talk))

    def _ask(self, talk: Conversation, name: str, params: dict[str, Any], live: int | None = None) -> None:
        call = self._client.call(
            name,
            params,
            result=partial(self._take_result, talk),
            error=partial(self._take_error, talk),
            event=talk.take_event,
        )
        talk.begin(call, live)
        self.live_changed.emit(self.live())

    def _take_result(self, talk: Conversation, result: dict[str, Any]) -> None:
        message = result["message"] if "message" in result else result["messages"][-1]
        talk.take_result({"message": message})
        self.live_changed.emit(self.live())
        self.finished.emit(talk, message)
        if text := talk.dequeue():
            self.send(talk, text)

    def _take_error(self, talk: Conversation, error: UserError) -> None:
        stored = talk.live is not None
        talk.take_error(error)
        self.live_changed.emit(self.live())
        waiting = [talk.pending] if talk.pending else []
        talk.attachments = [*talk.pending_media, *talk.attachments]
        talk.pending, talk.pending_media = "", []
        while text := talk.dequeue():
            waiting.append(text)
        if waiting or not stored:
            self.send_failed.emit(talk, "\n\n".join(waiting), error)

    def _take_tree(self, talk: Conversation, tree: dict[str, Any]) -> None:
        talk.set_tree(cast(ChatTree, tree))

    def _message_deleted(self, talk: Conversation, message: int, tree: dict[str, Any]) -> None:
        talk.set_tree(cast(ChatTree, tree))
        self.removed.emit(message)

    def _forget_old(self) -> None:
        idle = [c for c, talk in self._open.items() if not talk.running and not talk.draft and talk is not self.shown]
        for chat_id in idle[: max(0, len(idle) - KEPT)]:
            self._open.pop(chat_id).deleteLater()

    def _broadcast(self, event: dict[str, Any]) -> None:
        if event.get("event") == "chat" and (talk := self._open.get(event["chat"]["id"])):
            talk.set_chat(event["chat"])
        elif event.get("event") == "chat_deleted":
            self._open.pop(event["chat"], None)

    def _engine_state(self, state: str) -> None:
        """After a restart the store has the last word on what was written."""
        if state == "ready":
            for talk in self._open.values():
                if talk.loaded or talk is self.shown:
                    self.reload(talk)
