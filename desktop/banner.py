"""The line at the top when the engine is not well, or had to start with a fresh database."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame

from desktop.desk import Desk
from desktop.text import error_text, tr
from desktop.widgets.make import button, clear, icon_button, label, row
from engine.api.errors import UserError


class Banner(QFrame):
    """Hidden while all is well."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.setProperty("kind", "banner")
        self._desk = desk
        self._box = row(margins=(20, 8, 12, 8))
        self.setLayout(self._box)
        self._dismissed = False
        desk.client.state_changed.connect(self._show_state)
        self._show_state(desk.client.state)

    def speak_anew(self) -> None:
        """Say the same in another language."""
        self._show_state(self._desk.client.state)

    def text(self) -> str:
        """What it says now, "" while hidden."""
        return "" if self.isHidden() else self._words.text()

    def _show_state(self, state: str) -> None:
        client = self._desk.client
        if state == "restarting":
            self._say(tr("frame.engine_restarting"))
        elif state == "dead":
            problem = client.problem or UserError("engine_died", "The engine stopped.")
            self._say(" ".join(part for part in error_text(problem) if part), restart=True)
        elif state == "ready" and client.greeting.get("recovered") and not self._dismissed:
            recovered = client.greeting["recovered"]
            self._say(tr("frame.recovered", old=recovered.get("old", "")), dismiss=True)
        elif state != "starting":
            self.hide()

    def _say(self, text: str, *, restart: bool = False, dismiss: bool = False) -> None:
        clear(self._box)
        self._words = label(text, wrap=True)
        self._box.addWidget(self._words, 1)
        if restart:
            self._box.addWidget(button(tr("frame.restart"), self._desk.client.restart))
        if dismiss:
            self._box.addWidget(icon_button("x", tr("frame.dismiss"), self._dismiss))
        self.show()

    def _dismiss(self) -> None:
        self._dismissed = True
        self.hide()
