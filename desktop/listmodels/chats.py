"""The conversations as a list with sections: pinned, folders, today, this week, older; and search hits."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QAbstractListModel, QMimeData, QModelIndex, QPersistentModelIndex, Qt, Signal

from desktop.text import tr
from engine.api.messages import Chat

ANY_INDEX = QModelIndex | QPersistentModelIndex
CHAT_MIME = "application/x-deskside-chat"


class Roles:
    """What the list's painter asks for, beside the display text."""

    kind = int(Qt.ItemDataRole.UserRole) + 1  # "section", "chat" or "hit"
    second = kind + 1  # the second line
    chat_id = kind + 2
    marks = kind + 3  # [[start, end]] in the second line
    folder = kind + 4  # the folder a section stands for, "" for the others
    message = kind + 5  # the message a hit points at, or None
    live = kind + 6  # an answer is being written there


@dataclass(frozen=True)
class Section:
    """A heading. `folder` is "" for pinned and the days."""

    title: str
    folder: str = ""


Row = Section | Chat


def _day_section(updated: float, today: datetime.date) -> str:
    age = (today - datetime.datetime.fromtimestamp(updated).date()).days
    if age <= 0:
        return "today"
    return "week" if age < 7 else "older"


def sorted_rows(chats: Iterable[Chat], today: datetime.date) -> list[Row]:
    """Section and chat rows in the order of the list: newest first inside each section."""
    groups: dict[str, list[Chat]] = {"pinned": [], "today": [], "week": [], "older": []}
    folders: dict[str, list[Chat]] = {}
    for chat in sorted(chats, key=lambda c: c["updated"], reverse=True):
        if chat["pinned"]:
            groups["pinned"].append(chat)
        elif chat["folder"]:
            folders.setdefault(chat["folder"], []).append(chat)
        else:
            groups[_day_section(chat["updated"], today)].append(chat)
    rows: list[Row] = _block(Section(tr("chat.section_pinned")), groups.pop("pinned"))
    for name in sorted(folders, key=str.casefold):
        rows += _block(Section(name, name), folders[name])
    for key, members in groups.items():
        rows += _block(Section(tr(f"chat.section_{key}")), members)
    return rows


def _block(section: Section, chats: list[Chat]) -> list[Row]:
    return [section, *chats] if chats else []


def _same_shape(old: list[Row], new: list[Row]) -> bool:
    return [_key(row) for row in old] == [_key(row) for row in new]


def _key(row: Row) -> tuple[str, str]:
    return ("section", row.title) if isinstance(row, Section) else ("chat", row["id"])


class ChatsModel(QAbstractListModel):
    """All conversations. Fed by `chats.list` and by the broadcasts `chat` and `chat_deleted`."""

    moved = Signal(str, str)  # a conversation was dropped on a folder ("" = none)

    def __init__(
        self, model_name: Callable[[str], str] = str, today: Callable[[], datetime.date] = datetime.date.today
    ) -> None:
        super().__init__()
        self._chats: dict[str, Chat] = {}
        self._rows: list[Row] = []
        self._live: set[str] = set()
        self._model_name = model_name
        self._today = today

    def set_chats(self, chats: list[Chat]) -> None:
        """Replace everything."""
        self._chats = {chat["id"]: chat for chat in chats}
        self._refresh()

    def put(self, chat: Chat) -> None:
        """Add a conversation or replace what is known of it."""
        self._chats[chat["id"]] = chat
        self._refresh()

    def remove(self, chat_id: str) -> None:
        """Take a conversation out; an unknown id is no error, the broadcast may come twice."""
        if self._chats.pop(chat_id, None):
            self._refresh()

    def set_live(self, live: Iterable[str]) -> None:
        """The conversations in which an answer is being written."""
        self._live = set(live)
        self._announce_all()

    def refresh(self) -> None:
        """Words or the day changed."""
        self._refresh()

    def chat(self, chat_id: str) -> Chat | None:
        """One conversation, None if it is not there."""
        return self._chats.get(chat_id)

    def chat_ids(self) -> list[str]:
        """Ids in the order on screen."""
        return [row["id"] for row in self._rows if not isinstance(row, Section)]

    def folders(self) -> list[str]:
        """Names of all folders, sorted."""
        return sorted({c["folder"] for c in self._chats.values() if c["folder"]}, key=str.casefold)

    def in_folder(self, folder: str) -> list[str]:
        """Ids of the conversations of a folder, pinned ones too."""
        return [c["id"] for c in self._chats.values() if c["folder"] == folder]

    def index_of(self, chat_id: str) -> QModelIndex:
        """The place of a conversation in the list; invalid if it is not there."""
        for number, row in enumerate(self._rows):
            if _key(row) == ("chat", chat_id):
                return self.index(number)
        return QModelIndex()

    def _refresh(self) -> None:
        rows = sorted_rows(self._chats.values(), self._today())
        if _same_shape(self._rows, rows):
            self._rows = rows
            self._announce_all()
            return
        self.beginResetModel()
        self._rows = rows
        self.endResetModel()

    def _announce_all(self) -> None:
        if self._rows:
            self.dataChanged.emit(self.index(0), self.index(len(self._rows) - 1))

    def rowCount(self, parent: ANY_INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    def data(self, index: ANY_INDEX, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not index.isValid() or index.row() >= len(self._rows):
            return None
        row = self._rows[index.row()]
        return self._section_data(row, role) if isinstance(row, Section) else self._chat_data(row, role)

    @staticmethod
    def _section_data(row: Section, role: int) -> Any:
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.AccessibleTextRole):
            return row.title
        return {Roles.kind: "section", Roles.folder: row.folder}.get(role)

    def _chat_data(self, chat: Chat, role: int) -> Any:
        title = chat["title"] or tr("chat.untitled")
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole):
            return title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{title}, {self._second_line(chat)}"
        if role == Roles.second:
            return self._second_line(chat)
        return {Roles.kind: "chat", Roles.chat_id: chat["id"], Roles.live: chat["id"] in self._live}.get(role)

    def _second_line(self, chat: Chat) -> str:
        return self._model_name(chat["model"]) if chat["model"] else ""

    def flags(self, index: ANY_INDEX) -> Qt.ItemFlag:
        if not index.isValid():
            return Qt.ItemFlag.ItemIsDropEnabled
        if isinstance(self._rows[index.row()], Section):
            return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsDropEnabled
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsDragEnabled

    def mimeTypes(self) -> list[str]:
        return [CHAT_MIME]

    def mimeData(self, indexes: Sequence[QModelIndex]) -> QMimeData:
        data = QMimeData()
        ids = [str(self.data(index, Roles.chat_id) or "") for index in indexes]
        data.setData(CHAT_MIME, "\n".join(ids).encode())
        return data

    def dropMimeData(self, data: QMimeData, action: Qt.DropAction, row: int, column: int, parent: ANY_INDEX) -> bool:
        """Ask for the move; the row moves when the engine says so. Returns False so that Qt removes nothing."""
        target = self._rows[parent.row()] if parent.isValid() else None
        folder = "" if target is None else target.folder if isinstance(target, Section) else target["folder"]
        for chat_id in bytes(data.data(CHAT_MIME).data()).decode().split("\n"):
            if chat_id in self._chats and self._chats[chat_id]["folder"] != folder:
                self.moved.emit(chat_id, folder)
        return False


@dataclass(frozen=True)
class Hit:
    """One find of a search: where, and the words around it with what matched."""

    chat: str
    title: str
    message: int | None
    snippet: str
    marks: list[list[int]]


class HitsModel(QAbstractListModel):
    """What `chats.search` found."""

    def __init__(self) -> None:
        super().__init__()
        self._hits: list[Hit] = []

    def set_hits(self, hits: list[dict[str, Any]]) -> None:
        """Replace the finds by those of a reply."""
        self.beginResetModel()
        self._hits = [Hit(**{name: hit[name] for name in Hit.__dataclass_fields__}) for hit in hits]
        self.endResetModel()

    def rowCount(self, parent: ANY_INDEX = QModelIndex()) -> int:  # noqa: B008 - Qt's signature
        return 0 if parent.isValid() else len(self._hits)

    def data(self, index: ANY_INDEX, role: int = int(Qt.ItemDataRole.DisplayRole)) -> Any:
        if not index.isValid() or index.row() >= len(self._hits):
            return None
        hit = self._hits[index.row()]
        title = hit.title or tr("chat.untitled")
        if role == Qt.ItemDataRole.DisplayRole:
            return title
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{title}: {hit.snippet}"
        known = {Roles.kind: "hit", Roles.second: hit.snippet, Roles.chat_id: hit.chat}
        return {**known, Roles.marks: hit.marks, Roles.message: hit.message}.get(role)
