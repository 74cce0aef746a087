"""What a person can do on the conversation page, with shortcuts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from desktop.actions import Action

if TYPE_CHECKING:
    from desktop.desk import Desk
    from desktop.pages.chat import ChatPage

Do = Callable[["ChatPage"], object]


def _on_page(do: Do) -> Callable[[Desk], None]:
    """`do` with the conversation page, which `Action.page` has opened by then."""

    def run(desk: Desk) -> None:
        from desktop.pages.chat import ChatPage

        page = desk.page("chat")
        if isinstance(page, ChatPage):
            do(page)

    return run


def _action(name: str, shortcut: str, do: Do) -> Action:
    return Action(f"chat.{name}", shortcut, _on_page(do), page="chat")


ACTIONS = [
    _action("new", "Ctrl+N", lambda page: page.new_chat()),
    _action("search", "Ctrl+K", lambda page: page.shelf.list.focus_search()),
    _action("focus", "Ctrl+L", lambda page: page.stage.composer.focus()),
    _action("stop", "Ctrl+.", lambda page: page.stage.stop()),
    _action("regenerate", "Ctrl+R", lambda page: page.stage.do_last("regenerate")),
    _action("compare", "", lambda page: page.stage.compare()),
    _action("continue", "Ctrl+Shift+R", lambda page: page.stage.do_last("continue")),
    _action("copy_answer", "Ctrl+Shift+C", lambda page: page.stage.do_last("copy")),
    _action("edit_last", "Ctrl+Up", lambda page: page.stage.edit_last()),
    _action("sent", "Ctrl+Shift+I", lambda page: page.stage.do_last("sent")),
    _action("panel", "Ctrl+I", lambda page: page.stage.toggle_panel()),
    _action("documents", "Ctrl+Shift+D", lambda page: page.stage.documents.open_menu()),
    _action("rename", "F2", lambda page: page.stage.header.start_renaming()),
    _action("pin", "Ctrl+D", lambda page: page.shelf.toggle_pin(page.chat_id)),
    _action("delete", "Ctrl+Shift+Backspace", lambda page: page.shelf.delete(page.chat_id)),
    _action("next", "Alt+Down", lambda page: page.step(1)),
    _action("previous", "Alt+Up", lambda page: page.step(-1)),
    _action("end", "Alt+End", lambda page: page.stage.view.jump_to_end()),
    _action("export_markdown", "", lambda page: page.export("markdown")),
    _action("export_json", "", lambda page: page.export("json")),
    _action("export_all", "", lambda page: page.shelf.export(None, "json", "deskside")),
    _action("import", "", lambda page: page.shelf.import_chats()),
]
