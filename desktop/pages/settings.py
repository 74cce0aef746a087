"""The settings page, generated from the fields of `Settings`; its words are in languages/*/settings.toml."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QEvent, QObject, Qt, QTimer
from PySide6.QtWidgets import QCheckBox, QComboBox, QFrame, QLineEdit, QPlainTextEdit, QSpinBox, QWidget

from desktop.desk import Desk
from desktop.page import Page, PageWidget
from desktop.preferences.memory import MemoryCost
from desktop.preferences.model_choice import ModelChoice, draft_words
from desktop.preferences.serving import ServerSwitch
from desktop.text import find, tr
from desktop.widgets.grid import scrolled
from desktop.widgets.make import button, column, frame, label, restyle, row
from engine.api.folders import home
from engine.api.messages import FitReport, ModelRow
from engine.api.settings import Settings

Setting = dataclasses.Field[Any]
CONTROL_WIDTH, CHECK_WIDTH = 220, 22
TYPING_MS = 600


def shown_settings() -> dict[str, list[Setting]]:
    """section -> its settings, in the order of the dataclass; those with `shown=False` left out."""
    sections: dict[str, list[Setting]] = {}
    for setting in dataclasses.fields(Settings):
        if setting.metadata.get("shown", True):
            sections.setdefault(setting.metadata["section"], []).append(setting)
    return sections


class SettingsPage(PageWidget):
    """One card a section, one line a setting. Whatever is changed applies at once."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        self.controls: dict[str, Control] = {}
        self.memory, self.server = MemoryCost(desk), ServerSwitch(desk)
        self.draft_note = label("", "dim", wrap=True)
        self.draft_note.hide()
        self.notes = {"draft_model": self.draft_note}
        self.memory.reported.connect(self._show_draft)
        self.insets: dict[str, QFrame] = {"memory": self.memory, "server": self.server}
        cards = [self._section(name, settings) for name, settings in shown_settings().items()]
        inner = QWidget()
        wide = column(*cards, self._about(), spacing=16)
        holder = QWidget()
        holder.setMaximumWidth(820)
        holder.setLayout(wide)
        inner.setLayout(column(row(holder, None, grow=0), None, margins=(28, 20, 28, 28)))
        self.setLayout(column(self._top_bar(), scrolled(inner, tr("settings.page")), spacing=0))
        desk.settings_changed.connect(self._show_values)
        self._show_values()

    def opened(self, **args: Any) -> None:
        """Ask anew for what changes by itself: free memory, and whether other programs are served."""
        self.memory.fetch()
        self.server.fetch()

    def _top_bar(self) -> QFrame:
        bar = frame("topbar")
        bar.setFixedHeight(52)
        bar.setLayout(row(label(tr("settings.page"), "title"), None, margins=(20, 0, 20, 0)))
        return bar

    def _section(self, name: str, settings: list[Setting]) -> QFrame:
        card = frame("card")
        lines: list[Any] = [label(tr(f"settings.section_{name}"), "heading"), 4]
        if name in self.insets:
            lines.append(self.insets[name])
        for number, setting in enumerate(settings):
            if number:
                lines.append(frame("line"))
            lines.append(self._line(setting))
        card.setLayout(column(*lines, margins=(20, 16, 20, 16), spacing=10))
        return card

    def _line(self, setting: Setting) -> QWidget:
        name = label(tr(f"settings.{setting.name}"))
        hint = find(f"settings.{setting.name}_hint")
        told = [label(hint, "dim", wrap=True)] if hint else []
        words = column(name, *told, *([self.notes[setting.name]] if setting.name in self.notes else []), spacing=2)
        control = Control(setting, lambda value: self.desk.set(**{setting.name: value}))
        control.widget.setAccessibleName(tr(f"settings.{setting.name}"))
        control.widget.setAccessibleDescription(hint or "")
        name.setBuddy(control.widget)
        self.controls[setting.name] = control
        if isinstance(control.widget, ModelChoice):
            self.memory.models_read.connect(control.widget.set_models)
        line = QWidget()
        if setting.metadata.get("lines"):
            line.setLayout(column(words, control.widget, spacing=6))
        else:
            control.widget.setFixedWidth(CONTROL_WIDTH if control.wide else CHECK_WIDTH)
            line.setLayout(row(words, control.widget, spacing=24, grow=0))
        return line

    def _about(self) -> QFrame:
        card = frame("card")
        about = button(tr("settings.about"), lambda: self._run("frame.about"))
        logs = button(tr("settings.logs"), lambda: self._run("frame.logs"))
        where = label(tr("frame.data_folder", folder=home()), "dim", wrap=True)
        title = label(tr("settings.section_about"), "heading")
        card.setLayout(column(title, where, row(about, logs, None), margins=(20, 16, 20, 16), spacing=10))
        return card

    def _run(self, wanted: str) -> None:
        for action in self.desk.actions:
            if action.id == wanted:
                self.desk.run(action)

    def _show_values(self) -> None:
        for name, control in self.controls.items():
            control.show_value(getattr(self.desk.settings, name))
        # A smaller cache turns flash attention on whatever was chosen.
        self.controls["flash_attention"].widget.setEnabled(self.desk.settings.kv_type == "f16")
        self.controls["draft_model"].widget.setEnabled(self.desk.settings.guess_ahead)

    def _show_draft(self, model: ModelRow | None, report: FitReport | None) -> None:
        tone, words = draft_words(model, report)
        self.draft_note.setText(words)
        self.draft_note.setVisible(bool(words))
        restyle(self.draft_note, "kind", tone or "dim")


class Control(QObject):
    """The widget of one setting, chosen by its type and limits; `set_value` is called when the person changed it."""

    def __init__(self, setting: Setting, set_value: Callable[[Any], object]) -> None:
        super().__init__()
        self._set_value, self._showing = set_value, False
        self._typing = QTimer(self, singleShot=True, interval=TYPING_MS)
        self.wide = True
        if "choices" in setting.metadata:
            self.widget: QWidget = self._choices(setting)
        elif setting.metadata.get("installed"):
            self.widget = self._model(setting)
        elif isinstance(setting.default, bool):
            self.widget, self.wide = self._check(), False
        elif isinstance(setting.default, int):
            self.widget = self._number(setting)
        elif setting.metadata.get("lines"):
            self.widget = self._lines(setting)
        else:
            self.widget = self._line()
        self.widget.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.widget.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Scrolling the page over a field does not change it unless it was clicked."""
        if event.type() == QEvent.Type.Wheel and not self.widget.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def show_value(self, value: Any) -> None:
        """Show the setting as it is, without taking that for a change of the person's."""
        self._showing = True
        self._show(value)
        self._showing = False

    def _show(self, value: Any) -> None:
        widget = self.widget
        if isinstance(widget, ModelChoice):
            widget.choose(value)
        elif isinstance(widget, QComboBox):
            widget.setCurrentIndex(widget.findData(value))
        elif isinstance(widget, QCheckBox):
            widget.setChecked(value)
        elif isinstance(widget, QSpinBox):
            widget.setValue(value)
        elif isinstance(widget, QPlainTextEdit) and widget.toPlainText() != value:
            widget.setPlainText(value)
        elif isinstance(widget, QLineEdit) and widget.text() != value:
            widget.setText(value)

    def changed(self, value: Any) -> None:
        """The person chose `value`."""
        if not self._showing:
            self._set_value(value)

    def _choices(self, setting: Setting) -> QComboBox:
        box = QComboBox()
        for choice in setting.metadata["choices"]:
            box.addItem(tr(f"settings.{setting.name}_{choice or 'system'}"), choice)
        box.activated.connect(lambda _: self.changed(box.currentData()))
        return box

    def _model(self, setting: Setting) -> ModelChoice:
        box = ModelChoice(tr(f"settings.{setting.name}_none"))
        box.activated.connect(lambda _: self.changed(box.currentData()))
        return box

    def _check(self) -> QCheckBox:
        box = QCheckBox()
        box.toggled.connect(self.changed)
        return box

    def _number(self, setting: Setting) -> QSpinBox:
        box = QSpinBox()
        low, high = setting.metadata["low"], setting.metadata["high"]
        box.setRange(low, high)
        box.setSingleStep(1024 if high > 100_000 else 1)
        box.setKeyboardTracking(False)
        if field := box.findChild(QLineEdit):
            field.setTextMargins(8, 0, 0, 0)  # the style sheet's padding does not reach it
        if automatic := find(f"settings.{setting.name}_auto"):
            box.setSpecialValueText(automatic)
        box.valueChanged.connect(self.changed)
        return box

    def _lines(self, setting: Setting) -> QPlainTextEdit:
        box = QPlainTextEdit(tabChangesFocus=True)
        box.setFixedHeight(26 * int(setting.metadata["lines"]))
        self._typing.timeout.connect(lambda: self.changed(box.toPlainText()))
        box.textChanged.connect(lambda: None if self._showing else self._typing.start())
        return box

    def _line(self) -> QLineEdit:
        box = QLineEdit()
        box.editingFinished.connect(lambda: self.changed(box.text()))
        return box


PAGE = Page("settings", "settings", 20, SettingsPage, place="bottom", shortcut="Ctrl+,")
