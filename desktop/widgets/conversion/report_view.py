"""What a conversion gave: the verdict in plain words, the figures as bars, before and after, and the next step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QVBoxLayout

from desktop.text import bytes_text, note_words, tr
from desktop.widgets.conversion.quality_chart import QualityChart
from desktop.widgets.conversion.reading import (
    GRADES,
    THRESHOLDS,
    bars,
    figure_text,
    mapping,
    number,
    pair,
    quality_of,
    texts,
    verdict_of,
    verdict_words,
)
from desktop.widgets.flow import Flow
from desktop.widgets.make import button, clear, column, frame, label, restyle, row, tip
from engine.api.report_files import card_file

FOLDERS = ("onnx", "to_hf", "merge", "lowrank")  # jobs that make a folder
NO_WRITERS = ("embedding", "reranker", "projector")
CHECKPOINTS = ("to_hf", "merge", "lowrank")  # … which can be converted in turn


class ReportView(QFrame):
    """`chat_wanted(model id)`, `look_wanted(path)`."""

    chat_wanted = Signal(str)
    look_wanted = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "card")
        self.path, self.model, self.kind, self.said = "", "", "", ""
        self.title, self.badge = label("", "heading", wrap=True), label("", "verdict")
        self.verdict = label("", wrap=True)
        self.body = QVBoxLayout()
        self.body.setSpacing(8)
        self.notes = label("", "faint", wrap=True)
        self.notes.setAccessibleName(tr("convert_page.notes"))
        self.chat_button = button(tr("models.chat_with_it"), lambda: self.chat_wanted.emit(self.model), "main")
        self.look_button = button(tr("convert_page.convert_it"), lambda: self.look_wanted.emit(self.path), "main")
        self.show_button = button(tr("convert_page.show_file"), self.show_file)
        self.card_button = button(tr("convert_page.card"), self.open_card)
        steps = Flow(self.chat_button, self.look_button, self.show_button, self.card_button)
        head = row(self.title, self.badge, spacing=12, grow=0)
        parts = (head, self.verdict, steps, self.body, self.notes)
        self.setLayout(column(*parts, margins=(18, 14, 18, 16), spacing=12))

    def show_report(
        self, report: dict[str, Any], path: str, model: str = "", made: dict[str, Any] | None = None, kind: str = ""
    ) -> None:
        """A report of the file at `path`; `model` is its id if one can chat with it; `made` the job's own result;
        `kind` prune or compare, or what the model is where it does not write."""
        made, self.said = made or {}, kind
        quality = quality_of(report)
        self._begin("report", path, model)
        self.title.setText(tr("convert_page.report_of", name=Path(path).name))
        self._show_verdict(quality, made)
        for figure in THRESHOLDS:
            self._add_figure(figure, quality)
        self._add_facts(_facts(report, quality, made))
        notes = made.get("notes")
        said = [note_words(note) for note in notes] if isinstance(notes, list) else texts(report.get("warnings"))
        self._show_notes([*said, *map(_loss_words, made.get("losses") or [])])

    def show_outcome(self, job: dict[str, Any]) -> None:
        """What a job made that has no quality report: a folder, an adapter, an importance matrix."""
        result = mapping(job["result"])
        kind = "projector" if mapping(job["params"]).get("projector") else str(job["kind"])
        self._begin(kind, str(result.get("path") or result.get("folder") or ""), "")
        self.title.setText(tr(f"convert_page.made_{kind}", name=Path(self.path).name))
        self.badge.hide()
        self.verdict.setText(tr("convert_page.beside_model"))
        self.verdict.setVisible(kind == "projector")
        self._add_facts(_outcome_facts(result))
        notes = result.get("notes")
        said = [note_words(note) for note in notes] if isinstance(notes, list) else texts(result.get("warnings"))
        self._show_notes(said)

    def show_file(self) -> None:
        """Open the folder it lies in."""
        path = Path(self.path)
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(path if self.kind in FOLDERS else path.parent)))

    def open_card(self) -> None:
        """Open the model card that lies beside it."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(card_file(Path(self.path)))))

    def _begin(self, kind: str, path: str, model: str) -> None:
        self.kind, self.path, self.model = kind, path, model
        clear(self.body)
        self.title.setToolTip(tip(path))
        self.chat_button.setVisible(bool(model))
        self.look_button.setVisible(kind in CHECKPOINTS)
        self.card_button.setVisible(kind == "report" or card_file(Path(self.path)).is_file())
        self.show_button.setText(tr("convert_page.show_folder" if kind in FOLDERS else "convert_page.show_file"))

    def _show_verdict(self, quality: dict[str, Any], made: dict[str, Any]) -> None:
        word = verdict_of(quality)
        self.badge.setText(tr(f"quality.{word}") if word else "")
        self.badge.setVisible(bool(word))
        restyle(self.badge, "grade", word)
        parts = len(texts(made.get("files"))) > 1
        unmeasured = "_parts" if parts else "_kind" if self.said in NO_WRITERS else ""
        none = tr(f"convert_page.not_measured{unmeasured}")
        self.verdict.setText(verdict_words(quality, self.said) if word else none)
        self.verdict.show()

    def _add_figure(self, figure: str, quality: dict[str, Any]) -> None:
        if not bars(quality, figure):
            return
        chart = QualityChart(figure, quality)
        name, limits = label(tr(f"quality.figure_{figure}")), label(chart.limit_words(), "faint", wrap=True)
        self.body.addLayout(column(name, limits, spacing=0))
        self.body.addWidget(chart)

    def _add_facts(self, facts: list[tuple[str, str]]) -> None:
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        grid.setVerticalSpacing(4)
        grid.setColumnStretch(1, 1)
        for number_, (name, value) in enumerate(facts):
            grid.addWidget(label(name, "dim"), number_, 0)
            grid.addWidget(_right(label(value, wrap=True)), number_, 1)
        self.body.addLayout(grid)

    def _show_notes(self, notes: list[str]) -> None:
        self.notes.setText("\n".join(note for note in notes if note))
        self.notes.setVisible(bool(self.notes.text()))


def explanation() -> QFrame:
    """What a report will say; stands there until there is one."""
    made, lines = frame("card"), QGridLayout()
    lines.setHorizontalSpacing(12)
    lines.setColumnStretch(1, 1)
    for number_, word in enumerate(GRADES):
        badge = label(tr(f"quality.{word}"), "verdict")
        badge.setProperty("grade", word)
        lines.addWidget(badge, number_, 0)
        lines.addWidget(label(tr(f"convert_page.explain_{word}"), wrap=True), number_, 1)
    title, local = (
        label(tr("convert_page.explain"), "heading"),
        label(tr("convert_page.explain_local"), "faint", wrap=True),
    )
    text = label(tr("convert_page.explain_text"), "dim", wrap=True)
    made.setLayout(column(title, text, lines, local, margins=(18, 14, 18, 16), spacing=12))
    return made


def _right(made: QLabel) -> QLabel:
    made.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignTop)
    return made


def _facts(report: dict[str, Any], quality: dict[str, Any], made: dict[str, Any]) -> list[tuple[str, str]]:
    """Before and after, in words."""
    result = mapping(report.get("result"))
    size, bits, both = number(result.get("bytes")), number(result.get("bits")), tr("convert_page.before_after")
    found = []
    if result.get("type"):
        found.append((tr("convert_page.column_type"), str(result["type"])))
    if size:
        told = tr("convert_page.size_bits", size=bytes_text(size), bits=f"{bits:.2f}") if bits else bytes_text(size)
        found.append((tr("convert_page.column_size"), told))
    perplexity = tuple(number(quality.get(f"ppl_{side}")) for side in "ab")
    if all(perplexity):
        a, b = (figure_text("ppl", value or 0.0) for value in perplexity)
        found.append((tr("convert_page.perplexity"), both.format(a=a, b=b)))
    for name in ("prefill", "decode"):
        if speeds := pair(quality, "speed", name):
            a, b = (f"{value:,.0f}" if value >= 10 else f"{value:.1f}" for value in speeds)
            found.append((tr(f"convert_page.speed_{name}"), tr("convert_page.tokens_s", a=a, b=b)))
    if memory := pair(quality, "memory"):
        found.append((tr("convert_page.memory"), both.format(a=bytes_text(memory[0]), b=bytes_text(memory[1]))))
    return found + _vocabulary(made)


def _vocabulary(made: dict[str, Any]) -> list[tuple[str, str]]:
    told = mapping(made.get("vocabulary"))
    lines, equal = number(told.get("lines")), number(told.get("equal"))
    if not lines or equal is None:
        return []
    words = tr("convert_page.lines_agree", equal=f"{equal:,.0f}", lines=f"{lines:,.0f}")
    return [(tr("convert_page.vocabulary"), words)]


def _loss_words(loss: Any) -> str:
    told = mapping(loss)
    values = {"infinite": told.get("not_finite"), "large": told.get("too_large")}
    return tr("convert.lost", name=told.get("name", ""), **values)


def _outcome_facts(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What there is to say of what has no report."""
    found = []
    if size := number(result.get("bytes")):
        found.append((tr("convert_page.column_size"), bytes_text(size)))
    if files := texts(result.get("files")):
        found.append(
            (tr("convert_page.fact_files"), tr("convert_page.comma").join(Path(file).name for file in files[:6]))
        )
    for name in ("chunks", "tensors", "family"):
        value = result.get(name)
        if isinstance(value, int | str) and value:
            found.append((tr(f"convert_page.fact_{name}"), str(value)))
    if result.get("complete") is False:
        names = tr("convert_page.comma").join(texts(result.get("missing"))[:4])
        found.append((tr("convert_page.fact_missing"), names))
    for name, value in mapping(result.get("agreement")).items():
        if isinstance(value, int | float | str):
            found.append((str(name), f"{value:.6g}" if isinstance(value, float) else str(value)))
    return found
