"""The models page: the catalogue and what is installed, downloads, adding files."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QKeySequence, QResizeEvent, QShortcut
from PySide6.QtWidgets import (
    QFileDialog,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from desktop.actions import Action
from desktop.desk import Desk
from desktop.job_cards import JobCards
from desktop.model_card import ModelCard
from desktop.model_panel import ModelPanel
from desktop.model_words import FILTERS, hub_name, is_hub_name, passes
from desktop.page import Page, PageWidget
from desktop.remote_dialog import RemoteDialog
from desktop.text import bytes_text, error_text, tr
from desktop.widgets.flow import Flow
from desktop.widgets.grid import CardGrid, scrolled
from desktop.widgets.make import button, clear, column, frame, icon_button, label, row
from engine.api.errors import UserError
from engine.api.messages import JobRow, ModelRow


class ModelsPage(PageWidget):
    """`show_models`, `show_found` and `show_hardware` draw; `opened` fetches."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.cards: dict[str, ModelCard] = {}
        self._rows: list[ModelRow] = []
        self._opens_next = ""  # a model whose details are shown once it is in the list
        self._found: list[dict[str, Any]] = []
        self.setAcceptDrops(True)
        self.search = QLineEdit(placeholderText=tr("models.search"), clearButtonEnabled=True)
        self.search.setAccessibleName(tr("models.search"))
        self.filters: dict[str, QPushButton] = {}
        self.grid = CardGrid()
        self.jobs = JobCards(desk, self._shows_job)
        self.panel = ModelPanel(desk)
        self.problem = frame("problem")
        self.problem.hide()
        self.hub = self._hub_offer()
        self.empty = label(tr("models.nothing"), "dim", wrap=True)
        self.found_box = QVBoxLayout()
        self.hardware = self._hardware_chip()
        self._drop_mark = self._make_drop_mark()
        self._build()
        self._connect()

    def opened(self, **args: Any) -> None:
        """Fetch the models, jobs, other programs' models and the hardware anew. `query` searches at once."""
        if "query" in args:
            self.search.setText(str(args["query"]))
        self.fetch()
        self.jobs.fetch()
        call = self.desk.client.call
        call("models.found", result=lambda result: self.show_found(result["found"]), owner=self)
        call("engine.doctor", result=lambda result: self.show_hardware(result["hardware"]), owner=self)

    def state(self) -> dict[str, Any]:
        """What was searched for survives a change of language."""
        return {"query": self.search.text()}

    def fetch(self) -> None:
        """Ask the engine for all models."""
        self.desk.client.call(
            "models.list", result=lambda result: self.show_models(result["models"]), error=self.show_error, owner=self
        )

    def show_models(self, rows: list[ModelRow]) -> None:
        """Show these models, installed ones first."""
        self._rows = sorted(rows, key=lambda row: not row["installed"])
        for card in self.cards.values():
            card.deleteLater()
        self.grid.set_cards([])
        self.cards = {row["id"]: self._card(row) for row in self._rows}
        self.problem.hide()
        self._filter()
        self._keep_panel()
        if self._opens_next in self.cards:
            self._open_panel(self._opens_next)
            self._opens_next = ""

    def show_found(self, found: list[dict[str, Any]]) -> None:
        """Offer models of other programs on this disk: [{path, name, bytes, where}]."""
        clear(self.found_box)
        self._found = found
        if found:
            self.found_box.addWidget(label(tr("models.found"), "heading"))
            self.found_box.addWidget(label(tr("models.found_hint"), "dim", wrap=True))
        for one in found:
            self.found_box.addWidget(self._found_card(one))

    def show_hardware(self, hardware: dict[str, Any]) -> None:
        """ "This computer: 2 cores · 24 GB memory · no graphics card"."""
        devices = [str(device["name"]) for device in hardware.get("devices") or []]
        graphics = ", ".join(devices) or tr("models.no_gpu")
        memory = f"{hardware['total'] / 2**30:.0f} GB"
        self._hardware_words.setText(tr("models.hardware", cores=hardware["cores"], memory=memory, graphics=graphics))
        self.hardware.show()

    def show_error(self, error: UserError) -> None:
        """An error of this page stands above its models."""
        clear(self._problem_box)
        words = label("\n".join(part for part in error_text(error) if part), wrap=True)
        self._problem_box.addWidget(words, 1)
        self._problem_box.addWidget(icon_button("x", tr("frame.dismiss"), self.problem.hide))
        self.problem.show()

    def pull(self, model: str) -> None:
        """Download a model of the catalogue, or `owner/repo[:file]`."""
        self.desk.client.call("models.pull", {"model": model}, error=self.show_error, owner=self)

    def add_file(self, path: str) -> None:
        """Add a GGUF file, an encoder's folder, or a folder of them where it lies."""
        self.desk.client.call("models.add", {"path": path}, result=self._added, error=self.show_error, owner=self)

    def add_remote(self) -> RemoteDialog:
        """Ask for an address whose models are to be in the list."""
        dialog = RemoteDialog(self.desk, self.window())
        dialog.added.connect(self._remote_added)
        dialog.open()
        return dialog

    def choose_file(self) -> None:
        """Let the person choose a GGUF file, or the weights of an encoder, which stand for its folder."""
        dialog = QFileDialog(
            self, tr("models.add_file"), "", f"{tr('models.gguf_files')} (*.gguf *.safetensors *.onnx)"
        )
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(self.add_file)
        dialog.open()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Files may be dropped anywhere on the page."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()
            self._place_drop_mark()
            self._drop_mark.show()
            self._drop_mark.raise_()

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        """The mark goes when the file is carried away."""
        self._drop_mark.hide()

    def dropEvent(self, event: QDropEvent) -> None:
        """Add what was dropped."""
        self._drop_mark.hide()
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.add_file(url.toLocalFile())
        event.acceptProposedAction()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """The drop mark covers the page."""
        self._place_drop_mark()
        super().resizeEvent(event)

    def _build(self) -> None:
        self._problem_box: QHBoxLayout = row(margins=(14, 8, 8, 8))
        self.problem.setLayout(self._problem_box)
        for name in FILTERS:
            self.filters[name] = button(tr(f"models.filter_{name}"), self._filter, "chip")
        tools = Flow(self.search, *self.filters.values(), first_width=340)
        inner = QWidget()
        inner.setLayout(
            column(
                tools, self.problem, self.hub, self.jobs, self.empty, self.grid, self.found_box, None,
                spacing=14, margins=(28, 20, 28, 28),
            )
        )  # fmt: skip
        body = row(scrolled(inner, tr("models.page")), self.panel, spacing=0)
        self.setLayout(column(self._top_bar(), body, spacing=0))
        self.jobs.setVisible(False)
        self.empty.hide()

    def _top_bar(self) -> QFrame:
        bar = frame("topbar")
        bar.setFixedHeight(52)
        add = button(tr("models.add_file"), self.choose_file)
        remote = button(tr("remote.open_button"), self.add_remote, name=tr("remote.open_dialog"))
        bar.setLayout(row(label(tr("models.page"), "title"), None, self.hardware, remote, add, margins=(20, 0, 20, 0)))
        return bar

    def _connect(self) -> None:
        self.search.textChanged.connect(self._filter)
        self.search.returnPressed.connect(self._return_pressed)
        self.jobs.changed.connect(lambda: self.jobs.setVisible(bool(self.jobs.cards)))
        self.jobs.finished.connect(self.fetch)
        self.panel.closed.connect(self._panel_closed)
        self.panel.wanted.connect(self.pull)
        self.desk.client.broadcast.connect(self._on_broadcast)
        escape = QShortcut(QKeySequence(Qt.Key.Key_Escape), self)
        escape.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
        escape.activated.connect(self.panel.put_away)

    def _on_broadcast(self, event: dict[str, Any]) -> None:
        done = event.get("event") == "job" and event.get("kind") == "download" and event.get("state") == "done"
        if (event.get("event") == "models" or done) and self.isVisible():
            self.fetch()

    def _shows_job(self, job: JobRow) -> bool:
        """Downloads that want attention; a finished one stays, with its next step, if it was seen finishing."""
        seen = job["state"] == "done" and job["job"] in self.jobs.cards
        return job["kind"] == "download" and (seen or job["state"] in ("queued", "running", "interrupted", "failed"))

    def _card(self, model: ModelRow) -> ModelCard:
        card = ModelCard(model)
        card.opened.connect(self._open_panel)
        card.wanted.connect(self.pull)
        return card

    def _filter(self, *_: object) -> None:
        chosen = {name for name, chip in self.filters.items() if chip.isChecked()}
        query = self.search.text()
        hub = is_hub_name(query)
        shown = [row for row in self._rows if passes(row, chosen, "" if hub else query)]
        self.grid.set_cards([self.cards[row["id"]] for row in shown])
        self.empty.setVisible(not shown and bool(self._rows))
        self.hub.setVisible(hub)
        self._hub_words.setText(tr("models.hub_offer", name=hub_name(query)))

    def _return_pressed(self) -> None:
        if is_hub_name(self.search.text()):
            self._pull_hub()

    def _pull_hub(self) -> None:
        self.pull(hub_name(self.search.text()))
        self.search.clear()

    def _open_panel(self, model: str) -> None:
        for name, card in self.cards.items():
            card.select(name == model)
        self.panel.show_model(self.cards[model].row)

    def _panel_closed(self) -> None:
        for card in self.cards.values():
            card.select(False)

    def _keep_panel(self) -> None:
        """What is open in the panel stays open when the list is fetched again."""
        shown = self.panel.shown
        if shown and shown["id"] in self.cards:
            self._open_panel(shown["id"])
        elif shown:
            self.panel.put_away()

    def _added(self, result: dict[str, Any]) -> None:
        names = tr("models.list_comma").join(row["name"] for row in cast(list[ModelRow], result["models"]))
        self.desk.toast(tr("models.added", names=names))
        self.fetch()
        self.show_found([one for one in self._found if one["path"] not in {r["path"] for r in result["models"]}])

    def _remote_added(self, remote: dict[str, Any]) -> None:
        names = tr("models.list_comma").join(model["id"] for model in remote["models"][:3])
        self.desk.toast(tr("remote.added", names=names + ("…" if len(remote["models"]) > 3 else "")))
        self._opens_next = remote["models"][0]["model"]
        self.fetch()

    def _hub_offer(self) -> QFrame:
        offer = frame("card")
        self._hub_words = label("", wrap=True)
        pull = button(tr("models.download"), self._pull_hub, "main")
        offer.setLayout(row(self._hub_words, pull, margins=(18, 12, 18, 12), grow=0))
        offer.hide()
        return offer

    def _found_card(self, one: dict[str, Any]) -> QFrame:
        card = frame("card")
        where = " · ".join(part for part in (str(one.get("where", "")), bytes_text(one["bytes"])) if part)
        add = button(
            tr("models.add"), partial(self.add_file, one["path"]), "small", name=f"{tr('models.add')}: {one['name']}"
        )
        card.setLayout(row(label(one["name"]), label(where, "dim"), None, add, margins=(16, 10, 16, 10), spacing=12))
        card.setToolTip(one["path"])
        return card

    def _hardware_chip(self) -> QFrame:
        chip = frame("chip")
        self._hardware_words = label("", "dim")
        chip.setLayout(row(self._hardware_words, margins=(10, 6, 10, 6)))
        chip.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        chip.hide()
        return chip

    def _make_drop_mark(self) -> QFrame:
        mark = frame("drop")
        mark.setParent(self)
        words = label(tr("models.drop"), "heading")
        words.setAlignment(Qt.AlignmentFlag.AlignCenter)
        mark.setLayout(column(words))
        mark.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        mark.hide()
        return mark

    def _place_drop_mark(self) -> None:
        self._drop_mark.setGeometry(self.rect().adjusted(16, 16, -16, -16))


def _add(desk: Desk) -> None:
    page = desk.page("models")
    if isinstance(page, ModelsPage):
        page.choose_file()


def _add_remote(desk: Desk) -> None:
    page = desk.page("models")
    if isinstance(page, ModelsPage):
        page.add_remote()


PAGE = Page("models", "box", 30, ModelsPage, shortcut="Ctrl+3")
ACTIONS = [
    Action("models.add_file", "Ctrl+Shift+O", _add, page="models"),
    Action("models.add_remote", "", _add_remote, page="models"),
]
