"""The jobs page: everything long that runs or ran, and what it cost."""

from __future__ import annotations

from typing import Any

from PySide6.QtWidgets import QFrame, QWidget

from desktop.desk import Desk
from desktop.job_cards import JobCards
from desktop.page import Page, PageWidget
from desktop.text import tr
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, column, frame, label, row
from engine.api.messages import JobRow

ENDED = ("done", "cancelled")


class JobsPage(PageWidget):
    """Jobs as cards, the newest first."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.jobs = JobCards(desk, lambda job: True, detailed=True)
        self.empty = self._empty_words()
        self.tidy = button(tr("jobs.tidy"), self._tidy)
        inner = QWidget()
        inner.setLayout(column(self.empty, self.jobs, None, margins=(28, 20, 28, 28)))
        self.setLayout(column(self._top_bar(), scrolled(inner, tr("jobs.page")), spacing=0))
        self.jobs.changed.connect(self._show_empty)
        self.jobs.finished.connect(self._show_empty)
        self._show_empty()

    def opened(self, **args: Any) -> None:
        """Fetch the list anew."""
        self.jobs.fetch()

    def show_jobs(self, rows: list[JobRow]) -> None:
        """Show these jobs."""
        self.jobs.show_jobs(rows)

    def _top_bar(self) -> QFrame:
        bar = frame("topbar")
        bar.setFixedHeight(52)
        bar.setLayout(row(label(tr("jobs.page"), "title"), None, self.tidy, margins=(20, 0, 20, 0)))
        return bar

    def _empty_words(self) -> QWidget:
        """What goes here, and the one way to begin."""
        made = QWidget()
        begin = button(tr("jobs.begin"), lambda: self.desk.open_page("models"), "main")
        words = label(tr("jobs.empty_hint"), "dim", wrap=True)
        made.setLayout(column(label(tr("jobs.empty"), "heading"), words, row(begin, None), margins=(0, 24, 0, 0)))
        return made

    def _show_empty(self, *_: object) -> None:
        cards = self.jobs.cards.values()
        self.empty.setVisible(not cards)
        self.tidy.setVisible(any(card.row["state"] in ENDED for card in cards))

    def _tidy(self) -> None:
        """Forget the jobs that ended well or were stopped for good."""
        for job, card in list(self.jobs.cards.items()):
            if card.row["state"] in ENDED:
                self.desk.client.call("jobs.delete", {"job": job}, error=self.desk.toast_error, owner=self)


PAGE = Page("jobs", "clock", 10, JobsPage, place="bottom", shortcut="Ctrl+J")
