"""System prompt and every sampling value of a conversation; the common ones first, the rest behind a word."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QDoubleSpinBox, QLineEdit, QPlainTextEdit, QSpinBox, QWidget

from desktop.text import tr
from desktop.widgets.make import button, column, label, row
from engine.api.errors import UserError
from engine.api.sampling import BOUNDS, Sampling

COMMON = ("temperature", "top_p", "top_k", "min_p", "max_tokens", "seed")
GROUPS = {
    "penalties": ("repeat_penalty", "repeat_last_n", "frequency_penalty", "presence_penalty"),
    "dry": ("dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"),
    "xtc": ("xtc_probability", "xtc_threshold"),
    "mirostat": ("mirostat", "mirostat_tau", "mirostat_eta"),
}
SPIN_MAX = 2_147_483_647
QUIET_MS = 500  # typing rests this long before a change is stored


class WholeNumber(QSpinBox):
    """Scrolling the panel over a field does not change it unless it was clicked."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


class Number(QDoubleSpinBox):
    """As WholeNumber, with decimals; also whole numbers above the 32 bits of a QSpinBox."""

    def wheelEvent(self, event: QWheelEvent) -> None:
        if self.hasFocus():
            super().wheelEvent(event)
        else:
            event.ignore()


def number_field(name: str) -> QSpinBox | QDoubleSpinBox:
    """A field for one sampling value within its bounds."""
    low, high = BOUNDS[name]
    whole = isinstance(getattr(Sampling, name), int)
    field: QSpinBox | QDoubleSpinBox
    if whole and high <= SPIN_MAX:
        field = WholeNumber()
        field.setRange(int(low), int(high))
    else:
        field = Number()
        field.setDecimals(0 if whole else 2)
        field.setSingleStep(1 if whole else 0.05)
        field.setRange(low, high)
    field.setFixedWidth(112)
    field.lineEdit().setTextMargins(8, 0, 0, 0)
    field.setAccessibleName(tr(f"chat.sampling_{name}"))
    field.setToolTip(tr(f"chat.sampling_{name}_hint"))
    field.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    return field


class SamplingForm(QWidget):
    """All sampling values. `changed(values)` carries only what differs from the defaults."""

    changed = Signal(dict)
    failed = Signal(object)  # UserError

    def __init__(self) -> None:
        super().__init__()
        self.fields = {name: number_field(name) for name in BOUNDS}
        self.stop = QPlainTextEdit()
        self.stop.setFixedHeight(64)
        self.stop.setTabChangesFocus(True)
        self.stop.setAccessibleName(tr("chat.sampling_stop"))
        self.bias = QLineEdit(placeholderText='{"123": -100}')
        self.bias.setAccessibleName(tr("chat.sampling_logit_bias"))
        self.problem = label("", "red", wrap=True)
        self.problem.hide()
        self._rest = QTimer(self, singleShot=True, interval=QUIET_MS)
        self._rest.timeout.connect(self._emit)
        self._build()
        self.set_values({})
        self._listen()

    def set_values(self, values: dict[str, Any]) -> None:
        """Show these values, defaults for the rest, without announcing a change."""
        self._rest.stop()
        sampling = Sampling.from_json(values)
        parts: list[QObject] = [*self.fields.values(), self.stop, self.bias]
        for part in parts:
            part.blockSignals(True)
        for name, field in self.fields.items():
            field.setValue(getattr(sampling, name))
        self.stop.setPlainText("\n".join(sampling.stop))
        self.bias.setText(json.dumps(sampling.logit_bias) if sampling.logit_bias else "")
        for part in parts:
            part.blockSignals(False)
        self.problem.hide()

    def values(self) -> dict[str, Any]:
        """What differs from the defaults. Raises UserError for a logit bias that is not understood."""
        found: dict[str, Any] = {}
        for name, field in self.fields.items():
            whole = isinstance(getattr(Sampling, name), int)
            found[name] = int(field.value()) if whole else round(field.value(), 4)
        found["stop"] = [line for line in self.stop.toPlainText().splitlines() if line]
        found["logit_bias"] = _parsed(self.bias.text())
        kept = Sampling.from_json(found).to_json()
        return {**kept, "stop": list(kept["stop"])} if "stop" in kept else kept

    def reset(self) -> None:
        """Back to the defaults, announced at once."""
        self.set_values({})
        self._emit()

    def flush(self) -> None:
        """Announce a change that still waits for typing to rest."""
        if self._rest.isActive():
            self._rest.stop()
            self._emit()

    def _listen(self) -> None:
        for field in self.fields.values():
            field.valueChanged.connect(self._rest.start)
        self.stop.textChanged.connect(self._rest.start)
        self.bias.textChanged.connect(self._rest.start)

    def _emit(self) -> None:
        try:
            values = self.values()
        except UserError:
            self.problem.setText(tr("chat.sampling_bias_wrong"))
            self.problem.show()
            return
        self.problem.hide()
        self.changed.emit(values)

    def _build(self) -> None:
        self.more = QWidget()
        inside = column(spacing=6)
        for group, names in GROUPS.items():
            inside.addSpacing(6)
            inside.addWidget(label(tr(f"chat.sampling_group_{group}"), "dim"))
            for name in names:
                inside.addLayout(self._line(name))
        inside.addSpacing(6)
        for words, field in (("stop", self.stop), ("logit_bias", self.bias)):
            inside.addWidget(label(tr(f"chat.sampling_{words}"), "dim"))
            inside.addWidget(field)
        inside.addWidget(self.problem)
        self.more.setLayout(inside)
        self.more.hide()
        self.more_button = button(tr("chat.sampling_more"), self._toggle_more, "word")
        common = column(*(self._line(name) for name in COMMON), spacing=6)
        reset = button(tr("chat.sampling_reset"), self.reset, "word", name=tr("chat.sampling_reset_name"))
        self.setLayout(column(common, row(self.more_button, None, reset), self.more, spacing=8))

    def _line(self, name: str) -> Any:
        words = label(tr(f"chat.sampling_{name}"))
        words.setToolTip(tr(f"chat.sampling_{name}_hint"))
        words.setBuddy(self.fields[name])
        return row(words, None, self.fields[name])

    def _toggle_more(self) -> None:
        self.more.setVisible(self.more.isHidden())
        self.more_button.setText(tr("chat.sampling_more" if self.more.isHidden() else "chat.sampling_less"))


def _parsed(text: str) -> dict[int, float]:
    if not text.strip():
        return {}
    try:
        return {int(token): float(bias) for token, bias in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        raise UserError("bad_sampling", "logit_bias must map token ids to numbers.", name="logit_bias") from None
