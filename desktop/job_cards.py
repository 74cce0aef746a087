"""Jobs as cards: what is being done, how far it is, how long it will take, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QVBoxLayout, QWidget

from desktop.desk import Desk
from desktop.text import bytes_text, duration_text, error_text, find, part_text, speed_text, tr
from desktop.widgets.make import button, clear, column, label, restyle, row
from engine.api.errors import UserError
from engine.api.folders import logs_folder
from engine.api.messages import JobRow

STEPS = 1000
BUTTONS: dict[str, tuple[str, ...]] = {
    "queued": ("cancel",),
    "running": ("pause", "cancel"),
    "interrupted": ("resume", "cancel"),
    "failed": ("resume", "delete"),
    "cancelled": ("delete",),
    "done": ("delete",),
}


class JobCard(QFrame):
    """One job. `detailed` adds what it cost and where its log lies."""

    def __init__(self, desk: Desk, job: JobRow, *, detailed: bool) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.row = job
        self._desk, self._detailed = desk, detailed
        self.title, self.words = label("", "heading"), label("", "dim", wrap=True)
        self.bar = QProgressBar(textVisible=False, maximum=STEPS)
        self.problem = label("", "red", wrap=True)
        self.log = label("", "faint", wrap=True)
        self._buttons: QHBoxLayout = row()
        self._buttons_of: tuple[str, ...] | None = None
        head = row(self.title, self.words, self._buttons, spacing=12, grow=1)
        self.setLayout(column(head, self.bar, self.problem, self.log, margins=(18, 14, 18, 16)))
        self.show_job(job)

    def show_job(self, job: JobRow) -> None:
        """Show the job as it is now."""
        self.row = job
        state = job["state"]
        self.title.setText(job["title"])
        self.words.setText(job_words(job))
        self.bar.setVisible(state in ("queued", "running", "interrupted", "failed") and job["total"] > 0)
        self.bar.setValue(STEPS * job["done"] // job["total"] if job["total"] else 0)
        self.bar.setAccessibleName(f"{job['title']}: {job_words(job)}")
        restyle(self.bar, "kind", {"failed": "red", "interrupted": "amber"}.get(state, ""))
        self._show_problem(job)
        self._show_buttons(state)

    def _show_problem(self, job: JobRow) -> None:
        failed = job["state"] == "failed" and job["error"] is not None
        error = UserError.from_json(job["error"] or {})
        self.problem.setText("\n".join(part for part in error_text(error) if part) if failed else "")
        self.problem.setVisible(failed)
        path = logs_folder() / f"job-{job['job']}.log"
        self.log.setText(tr("jobs.log", path=path) if failed or self._detailed else "")
        self.log.setVisible(failed)

    def _show_buttons(self, state: str) -> None:
        wanted = BUTTONS[state]
        if wanted == self._buttons_of:
            return
        self._buttons_of = wanted
        clear(self._buttons)
        for name in wanted:
            self._buttons.addWidget(self._button(name))
        if state == "done" and self.row["kind"] == "download":
            self._buttons.addWidget(self._next_step())

    def _button(self, name: str) -> QPushButton:
        words = tr(f"jobs.{name}")
        return button(words, partial(self._ask, name), "small", name=f"{words}: {self.row['title']}")

    def _next_step(self) -> QPushButton:
        model = model_of(self.row)
        return button(tr("models.chat_with_it"), lambda: self._desk.open_page("chat", model=model), "main")

    def _ask(self, name: str) -> None:
        self._desk.client.call(f"jobs.{name}", {"job": self.row["job"]}, error=self._desk.toast_error, owner=self)


class JobCards(QWidget):
    """Cards of all jobs that `shown` lets through, the newest first; kept up to date by the engine's broadcasts."""

    changed = Signal()
    finished = Signal(dict)

    def __init__(self, desk: Desk, shown: Callable[[JobRow], bool], *, detailed: bool = False) -> None:
        super().__init__()
        self.cards: dict[str, JobCard] = {}
        self._desk, self._shown, self._detailed = desk, shown, detailed
        self._box = QVBoxLayout(self)
        self._box.setContentsMargins(0, 0, 0, 0)
        self._box.setSpacing(12)
        desk.client.broadcast.connect(self._on_broadcast)

    def fetch(self) -> None:
        """Ask the engine for all jobs."""
        self._desk.client.call("jobs.list", result=self._take_list, error=self._desk.toast_error, owner=self)

    def show_jobs(self, jobs: list[JobRow]) -> None:
        """Show exactly these jobs."""
        for gone in set(self.cards) - {job["job"] for job in jobs}:
            self._drop(gone)
        for job in reversed(jobs):
            self.take(job)

    def take(self, job: JobRow) -> None:
        """Show what is new about one job."""
        known = self.cards.get(job["job"])
        if not self._shown(job):
            self._drop(job["job"])
        elif known is None:
            self.cards[job["job"]] = card = JobCard(self._desk, job, detailed=self._detailed)
            self._box.insertWidget(0, card)
            self.changed.emit()
        else:
            before = known.row["state"]
            known.show_job(job)
            if before != job["state"] == "done":
                self.finished.emit(dict(job))

    def _take_list(self, result: dict[str, Any]) -> None:
        self.show_jobs(result["jobs"])

    def _on_broadcast(self, event: dict[str, Any]) -> None:
        if event.get("event") == "job":
            self.take(cast(JobRow, event))
        elif event.get("event") == "job_deleted":
            self._drop(event["job"])

    def _drop(self, job: str) -> None:
        card = self.cards.pop(job, None)
        if card:
            self._box.removeWidget(card)
            card.hide()
            card.deleteLater()
            self.changed.emit()


def job_words(job: JobRow) -> str:
    """ "Downloading 1.42 / 2.50 GB · 8.1 MB/s · 2 min 13 s left"."""
    state = job["state"]
    verb = tr(f"jobs.{job['kind']}_running") if state == "running" and find(f"jobs.{job['kind']}_running") else ""
    parts = [f"{verb or tr(f'jobs.state_{state}')} {_amount(job)}".strip()]
    if state == "running" and job["text"] and not verb:
        parts.append(job["text"])
    if state == "running" and job["speed"]:
        parts.append(_speed(job))
    if state == "running" and job["left_s"] is not None:
        parts.append(tr("jobs.left", time=duration_text(max(1, round(job["left_s"])))))
    if state == "done" and job["seconds"]:
        parts.append(tr("jobs.took", time=duration_text(job["seconds"])))
    return " · ".join(parts)


def model_of(job: JobRow) -> str:
    """The model a finished download brought, "" if it does not say."""
    result, params = job["result"] or {}, job["params"] or {}
    return str(result.get("model") or result.get("id") or params.get("model") or params.get("id") or "")


def _amount(job: JobRow) -> str:
    if not job["total"] or job["state"] == "queued":
        return ""
    if job["unit"] in ("bytes", ""):
        return bytes_text(job["total"]) if job["state"] == "done" else part_text(job["done"], job["total"])
    return f"{job['done']} / {job['total']} {tr('jobs.unit_' + job['unit'])}"


def _speed(job: JobRow) -> str:
    speed = job["speed"] or 0.0
    if job["unit"] == "bytes":
        return speed_text(speed)
    return tr("jobs.speed", count=f"{speed:.1f}", unit=tr("jobs.unit_" + job["unit"]))
