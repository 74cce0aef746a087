"""The convert page: what it is, what it can become, making it, and how good the result is."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

from PySide6.QtCore import QTimer
from PySide6.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from PySide6.QtWidgets import QBoxLayout, QButtonGroup, QFrame, QPushButton, QVBoxLayout, QWidget

from desktop.actions import Action
from desktop.desk import Desk
from desktop.job_cards import JobCards
from desktop.page import Page, PageWidget
from desktop.text import find, tr
from desktop.widgets.conversion.choosing import home_of
from desktop.widgets.conversion.doors import DoorForm, doors_for
from desktop.widgets.conversion.gguf_form import GgufForm
from desktop.widgets.conversion.lines import Problem, Waiting
from desktop.widgets.conversion.recent import RecentReports
from desktop.widgets.conversion.report_view import FOLDERS, ReportView, explanation
from desktop.widgets.conversion.source import SourceCard, SourceField
from desktop.widgets.conversion.tensors_dialog import TensorsDialog
from desktop.widgets.drop_target import dropped_paths
from desktop.widgets.flow import Flow
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, clear, column, frame, label, row
from engine.api.errors import UserError
from engine.api.folders import home
from engine.api.hub_names import hub_name
from engine.api.messages import JobRow

KINDS = ("convert", "quantize", "imatrix", "compare", "onnx", "adapter", "to_hf", "merge", "prune", "lowrank")
REPORTED = ("convert", "quantize", "prune")  # jobs whose file has a report beside it
WANT_ATTENTION = ("queued", "running", "interrupted", "failed")
AGAIN = ("engine_died", "ask_failed", "ask_took_long", "engine_keeps_dying")
MOST_REPORTS = 40
NARROW = 1000  # px: below this the report stands under what is made


class ConvertPage(PageWidget):
    """`opened` fetches and takes `source` (a path or a hub's name) and `type`; `look` begins with a source."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.source, self.found = "", dict[str, Any]()
        self.shown_job = ""
        self._wanted_type = ""
        self._turn = 0  # answers to an earlier source are not for this one
        self._call = 0
        self.field, self.card, self.form = SourceField(), SourceCard(), GgufForm()
        self.jobs, self.report, self.recent = JobCards(desk, _shows_job), ReportView(), RecentReports()
        self.problem, self.waiting = Problem(), Waiting()
        self.stage, self.explanation = label("", "dim"), explanation()
        self.door: DoorForm | None = None
        self.tabs: dict[str, QPushButton] = {}
        self.setAcceptDrops(True)
        self._build()
        self._connect()

    def opened(self, **args: Any) -> None:
        """Fetch jobs, reports and collections anew; with `source` look at it, `type` is chosen then."""
        self._wanted_type = str(args.get("type") or self._wanted_type)
        if args.get("source") and args["source"] != self.source:
            self.look(str(args["source"]))
        self.fetch()
        if not self.source:
            QTimer.singleShot(0, self, self.field.field.setFocus)

    def state(self) -> dict[str, Any]:
        """What is being looked at survives a change of language."""
        return {"source": self.source, "type": self.form.targets.type}

    def fetch(self) -> None:
        """Ask the engine for jobs, models and collections."""
        call = self.desk.client.call
        call("jobs.list", result=self._take_jobs, owner=self)
        call("models.list", result=self._take_models, owner=self)
        call("docs.collections", result=lambda got: self.form.matrix.show_collections(got["collections"]), owner=self)

    def look(self, source: str) -> None:
        """See what a path or a name is."""
        self.source, self.found = whole(source), {}
        self._turn += 1
        self.problem.hide()
        self._show_parts()
        self.waiting.show_words(tr("convert_page.looking", name=self.source))
        took = partial(self._looked, self._turn)
        params = {"source": self.source}
        self._call = self.desk.client.call("convert.look", params, result=took, error=self._failed, owner=self)

    def change(self) -> None:
        """Choose another source."""
        self._turn += 1
        self.stop_looking()
        self.field.field.setText(self.source)
        self.source, self.found = "", {}
        self._show_parts()
        self.field.field.setFocus()
        self.field.field.selectAll()

    def stop_looking(self) -> None:
        """Nobody waits for the answer any more."""
        if self._call:
            self.desk.client.cancel(self._call)
        self._call = 0
        self.waiting.hide()

    def show_source(self, found: dict[str, Any]) -> None:
        """Show what `convert.look` found, and the doors that are open to it."""
        self.found = found
        self.card.show_source(found)
        self._show_doors()
        self._show_parts()

    def show_targets(self, found: dict[str, Any]) -> None:
        """Show what `convert.targets` found."""
        self.form.show_targets(self.source, found, self._folder(), self._wanted_type)
        self._wanted_type = ""
        self._show_parts()

    def open_door(self, name: str) -> None:
        """Show the form of `gguf`, or of another door."""
        if name in self.tabs:
            self.tabs[name].setChecked(True)
        if self.door:
            self.door.hide()
            self.door.deleteLater()
            self.door = None
        for door in doors_for(self.found) if self.found else []:
            if door.id == name:
                self.door = DoorForm(door, self.source, self.found, self._folder())
                self.door.start_wanted.connect(self.start)
                self._door_box.addWidget(self.door)
        self._show_parts()

    def start(self, kind: str, params: dict[str, Any], title: str) -> None:
        """Begin a job."""
        self.problem.hide()
        folder = kind in FOLDERS and not params.get("of")  # a folder is not replaced
        again = None if folder else partial(self.start, kind, {**params, "replace": True}, title)
        told = {"kind": kind, "params": params, "title": title}
        failed = partial(self.show_error, replace=again)
        self.desk.client.call("convert.start", told, result=self._started, error=failed, owner=self)

    def preview(self, kind: str, params: dict[str, Any]) -> None:
        """Ask for the exact plan."""
        self.problem.hide()
        self.waiting.show_words(tr("convert_page.planning"))
        told, took = {"kind": kind, "params": params}, partial(self._show_preview, params["type"])
        self._call = self.desk.client.call("convert.preview", told, result=took, error=self._failed, owner=self)

    def show_finished(self, job: dict[str, Any]) -> None:
        """Show what a finished job made."""
        self.shown_job = job["job"]
        result, params = job["result"] or {}, job["params"] or {}
        if (job["kind"] in REPORTED or params.get("of")) and not params.get("projector"):
            took = partial(self._show_made, job)
            self.desk.client.call("convert.report", {"path": result["path"]}, result=took, owner=self)
        elif job["kind"] == "compare":
            self._show_report({"quality": result}, str(params.get("b", "")), "", {}, "compare")
        else:
            self.report.show_outcome(job)
            self._show_side()

    def show_error(self, error: UserError, replace: Any = None) -> None:
        """An error of this page stands above it, with what can be done at once."""
        step, words = None, ""
        if error.code == "already_there" and replace:
            step, words = replace, tr("convert_page.replace")
        elif error.code in AGAIN and self.source:
            step, words = partial(self.look, self.source), tr("convert_page.again")
        self.problem.show_error(error, words, step)
        self.area.ensureWidgetVisible(self.problem)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """A model may be dropped anywhere on the page."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Look at what was dropped."""
        event.acceptProposedAction()
        for path in dropped_paths(event)[:1]:
            self.look(path)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """In a narrow window the report stands below."""
        super().resizeEvent(event)
        narrow = self.width() < NARROW
        wanted = QBoxLayout.Direction.TopToBottom if narrow else QBoxLayout.Direction.LeftToRight
        if self._columns.direction() != wanted:
            self._columns.setDirection(wanted)

    def _build(self) -> None:
        self._tabs_flow, self._door_box = Flow(), QVBoxLayout()
        self._tabs = QWidget()
        self._tabs.setLayout(self._tabs_flow)
        running = column(self.stage, self.jobs, spacing=6)
        made = (self.problem, running, self.field, self.card, self.waiting, self._tabs, self.form, self._door_box, None)
        self._side = QWidget()
        self._side.setLayout(column(self.report, self.explanation, self.recent, None, spacing=16))
        left = QWidget()
        left.setLayout(column(*made, spacing=16))
        inner = QWidget()
        self._columns = row(left, self._side, spacing=20, margins=(28, 20, 28, 28))
        self._columns.setStretch(0, 58)
        self._columns.setStretch(1, 42)
        inner.setLayout(self._columns)
        self.area = scrolled(inner, tr("convert.page"))
        self.setLayout(column(_top_bar(), self.area, self.form.footer, spacing=0))
        for part in (self.jobs, self.stage, self.report):
            part.hide()
        self._show_parts()
        self._show_side()

    def _connect(self) -> None:
        self.field.given.connect(self.look)
        self.waiting.stopped.connect(self.stop_looking)
        self.card.change_wanted.connect(self.change)
        self.card.nearest_wanted.connect(lambda name: self.desk.open_page("models", query=name))
        self.form.start_wanted.connect(self.start)
        self.form.preview_wanted.connect(self.preview)
        self.jobs.changed.connect(self._show_jobs)
        self.report.chat_wanted.connect(lambda model: self.desk.open_page("chat", model=model))
        self.report.look_wanted.connect(self.look)
        self.recent.chosen.connect(self._show_recent)
        self.desk.client.broadcast.connect(self._on_broadcast)
        self.desk.client.state_changed.connect(lambda state: self.fetch() if state == "ready" else None)

    def _show_parts(self) -> None:
        """What belongs on the page now."""
        known = bool(self.found)
        main = known and bool({"gguf", "quantize"} & set(self.found["can"]))
        self.field.setVisible(not self.source)
        self.card.setVisible(known)
        self._tabs.setVisible(known and len(self.tabs) > 1)
        self.form.setVisible(main and self.door is None and self.form.source == self.source)
        self.form.footer.setVisible(main and self.door is None and self.form.source == self.source)
        if self.door:
            self.door.setVisible(known)

    def _show_doors(self) -> None:
        """A word for each thing that can be made of it; the first one is open."""
        clear(self._tabs_flow)
        group = QButtonGroup(self._tabs)
        main = ["gguf"] if {"gguf", "quantize"} & set(self.found["can"]) else []
        names = main + [door.id for door in doors_for(self.found)]
        self.tabs = {}
        for name in names:
            tab = button(tr(f"convert_page.door_{name}"), partial(self.open_door, name), "chip")
            group.addButton(tab)
            self._tabs_flow.addWidget(tab)
            self.tabs[name] = tab
        if names:
            self.open_door(names[0])

    def _folder(self) -> str:
        return home_of(self.source, self.found.get("kind") == "hub", home() / "converted")

    def _looked(self, turn: int, found: dict[str, Any]) -> None:
        if turn != self._turn:
            return
        self.show_source(found)
        if not {"gguf", "quantize"} & set(found["can"]):
            self.stop_looking()
            return
        self.waiting.show_words(tr("convert_page.measuring"))
        took, params = partial(self._targeted, turn), {"source": self.source}
        self._call = self.desk.client.call("convert.targets", params, result=took, error=self._failed, owner=self)

    def _targeted(self, turn: int, found: dict[str, Any]) -> None:
        if turn == self._turn:
            self._call = 0
            self.waiting.hide()
            self.show_targets(found)

    def _failed(self, error: UserError) -> None:
        self._call = 0
        self.waiting.hide()
        if not self.found and self.source:
            self.field.field.setText(self.source)
            kept, self.source = self.source, ""
            self._show_parts()
            self.source = kept if error.code in AGAIN else ""
        if error.code != "cancelled":
            self.show_error(error)

    def _started(self, _: dict[str, Any]) -> None:
        self.area.verticalScrollBar().setValue(0)

    def _show_preview(self, kind: str, found: dict[str, Any]) -> None:
        self._call = 0
        self.waiting.hide()
        TensorsDialog(self, found, kind).open()

    def _show_made(self, job: dict[str, Any], report: dict[str, Any]) -> None:
        took = partial(self._show_with_model, report, job)
        self.desk.client.call("models.list", result=took, owner=self)

    def _show_with_model(self, report: dict[str, Any], job: dict[str, Any], listed: dict[str, Any]) -> None:
        self._take_models(listed)
        result = job["result"]
        path = str(result["path"])
        model = next((one for one in listed["models"] if one["path"] == path), None)
        chats = model["id"] if model and _chats(model) else ""
        kind = "" if not model or chats else model["kind"]
        self._show_report(report, path, chats, result, "prune" if job["kind"] == "prune" else kind)

    def _show_recent(self, model: dict[str, Any], report: dict[str, Any]) -> None:
        chats = _chats(model)
        self._show_report(report, model["path"], model["id"] if chats else "", {}, "" if chats else model["kind"])

    def _show_report(self, report: dict[str, Any], path: str, model: str, made: dict[str, Any], kind: str = "") -> None:
        self.report.show_report(report, path, model, made, kind)
        self.report.show()
        self._show_side()

    def _show_side(self) -> None:
        self.report.setVisible(bool(self.report.path))
        self.explanation.setVisible(not self.report.path)

    def _take_jobs(self, result: dict[str, Any]) -> None:
        self.jobs.show_jobs(result["jobs"])
        done = [job for job in result["jobs"] if job["kind"] in KINDS and job["state"] == "done" and job["result"]]
        newest = max(done, key=lambda job: job["created"], default=None)
        if newest and newest["job"] != self.shown_job and not self.report.path:
            self.show_finished(newest)

    def _take_models(self, result: dict[str, Any]) -> None:
        rows = [row for row in result["models"] if row["installed"] and row["path"].endswith(".gguf")]
        self.recent.forget({row["id"] for row in rows})
        self._show_side()
        for model in rows[-MOST_REPORTS:]:
            took = partial(self._take_report, model)
            self.desk.client.call("convert.report", {"path": model["path"]}, result=took, owner=self)

    def _take_report(self, model: dict[str, Any], report: dict[str, Any]) -> None:
        self.recent.take(model, report)
        self._show_side()

    def _show_jobs(self) -> None:
        self.jobs.setVisible(bool(self.jobs.cards))
        if not self.jobs.cards:
            self.stage.hide()

    def _on_broadcast(self, event: dict[str, Any]) -> None:
        if event.get("event") == "job_note" and event.get("job") in self.jobs.cards:
            self._show_stage(event)
        elif event.get("event") == "job" and event.get("kind") in KINDS:
            if event["state"] == "done" and event["job"] != self.shown_job and event.get("result"):
                self.show_finished(event)
            if event["state"] != "running":
                self.stage.hide()

    def _show_stage(self, event: dict[str, Any]) -> None:
        key = f"convert.stage_{event.get('text')}"
        if event.get("level") == "stage" and find(key):
            self.stage.setText(tr("convert_page.stage", stage=tr(key)))
            self.stage.show()


def _top_bar() -> QFrame:
    bar = frame("topbar")
    bar.setFixedHeight(52)
    words = label(tr("convert_page.subtitle"), "dim")
    bar.setLayout(row(label(tr("convert.page"), "title"), words, None, margins=(20, 0, 20, 0), spacing=14))
    return bar


def whole(source: str) -> str:
    """A path as the engine needs it, which may work in another folder; a hub's name as it is."""
    text = source.strip()
    return hub_name(text) or str(Path(text).expanduser().absolute())


def _shows_job(job: JobRow) -> bool:
    return job["kind"] in KINDS and job["state"] in WANT_ATTENTION


def _chats(model: dict[str, Any]) -> bool:
    return model["kind"] in ("chat", "base")


def _choose(method: str, desk: Desk) -> None:
    page = cast(ConvertPage, desk.page("convert"))
    page.change()
    getattr(page.field, method)()


PAGE = Page("convert", "arrow-left-right", 40, ConvertPage, shortcut="Ctrl+4")
ACTIONS = [
    Action("convert.choose_folder", "", partial(_choose, "choose_folder"), page="convert"),
    Action("convert.choose_file", "", partial(_choose, "choose_file"), page="convert"),
]
