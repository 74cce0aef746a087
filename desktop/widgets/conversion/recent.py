"""Reports of models that were made here, the newest first."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QFrame, QListWidget, QListWidgetItem

from desktop.listmodels.targets import DOT, GRADE_TONES, dot
from desktop.text import bytes_text, tr
from desktop.theme import theme_keeper
from desktop.widgets.conversion.reading import mapping, number, quality_of, verdict_of
from desktop.widgets.make import column, label, tip

LINE, MOST_LINES = 36, 6
Report = dict[str, Any]


class RecentReports(QFrame):
    """`chosen(model row, report)`."""

    chosen = Signal(dict, dict)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.reports: dict[str, tuple[dict[str, Any], Report]] = {}
        self.list = QListWidget()
        self.list.setAccessibleName(tr("convert_page.recent"))
        self.list.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setIconSize(QSize(DOT, DOT))
        self.list.itemActivated.connect(self._open)
        self.list.itemClicked.connect(self._open)
        self.setLayout(column(label(tr("convert_page.recent"), "heading"), self.list, margins=(14, 14, 14, 12)))
        theme_keeper().changed.connect(self._show)
        self.hide()

    def forget(self, keep: set[str]) -> None:
        """Models that are gone have no report here any more."""
        self.reports = {model: told for model, told in self.reports.items() if model in keep}
        self._show()

    def take(self, model: dict[str, Any], report: Report) -> None:
        """A model of the list has this report."""
        self.reports[model["id"]] = (model, report)
        self._show()

    def _show(self) -> None:
        told = sorted(self.reports.values(), key=lambda each: str(each[1].get("made", "")), reverse=True)
        self.list.clear()
        for model, report in told:
            item = QListWidgetItem(QIcon(dot(GRADE_TONES[verdict_of(quality_of(report))])), report_line(model, report))
            item.setToolTip(tip(model["path"]))
            item.setData(Qt.ItemDataRole.UserRole, model["id"])
            self.list.addItem(item)
        self.list.setFixedHeight(min(MOST_LINES, max(1, len(told))) * LINE + 4)
        self.setVisible(bool(told))

    def _open(self, item: QListWidgetItem) -> None:
        model = item.data(Qt.ItemDataRole.UserRole)
        if model in self.reports:
            self.chosen.emit(*self.reports[model])


def report_line(model: dict[str, Any], report: Report) -> str:
    """ "SmolLM2 · Q8_0 · 145 MB · Good"."""
    result = mapping(report.get("result"))
    size = number(result.get("bytes"))
    word = verdict_of(quality_of(report))
    parts = [str(model["name"]), str(result.get("type") or ""), bytes_text(size) if size else ""]
    return " · ".join(part for part in [*parts, tr(f"quality.{word}") if word else tr("quality.none")] if part)
