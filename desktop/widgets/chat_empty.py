"""What stands where a conversation will be: three prompts to begin with, or the way to a model."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from desktop.icons import pixmap
from desktop.text import tr
from desktop.widgets.make import button, column, label, row

SAMPLES = ("sample_1", "sample_2", "sample_3")
WIDTH = 520


class ChatEmpty(QWidget):
    """`sample_chosen(text)` or, without a model, `model_wanted`."""

    sample_chosen = Signal(str)
    model_wanted = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._picture = label("")
        self.heading = label("", "title", wrap=True)
        self.words = label("", "dim", wrap=True)
        self.samples = [self._sample(tr(f"chat.{name}")) for name in SAMPLES]
        self.get_model = button(tr("chat.get_model"), self.model_wanted.emit, "main")
        inside = QWidget()
        inside.setFixedWidth(WIDTH)
        samples = column(*self.samples, spacing=8)
        get_model = row(self.get_model, None)
        inside.setLayout(column(self._picture, self.heading, self.words, 10, samples, get_model))
        self._inside = inside
        self.setLayout(column(None, row(None, inside, None), None, margins=(20, 20, 20, 20)))
        self.show_state(has_model=True)

    def show_state(self, *, has_model: bool) -> None:
        """With a model: the samples. Without: how to get one."""
        self.heading.setText(tr("chat.empty_title" if has_model else "chat.no_model_title"))
        self.words.setText(tr("chat.empty_text" if has_model else "chat.no_model_text"))
        for sample in self.samples:
            sample.setVisible(has_model)
        self.get_model.setVisible(not has_model)
        self.apply_theme()

    def apply_theme(self) -> None:
        """Colours changed."""
        self._picture.setPixmap(pixmap("message-square", "accent", 32))

    def set_width(self, width: int) -> None:
        """Take less room in a narrow window."""
        self._inside.setFixedWidth(max(200, min(WIDTH, width - 40)))

    def _sample(self, text: str) -> QWidget:
        made = button(text, lambda: self.sample_chosen.emit(text), "sample")
        made.setLayoutDirection(Qt.LayoutDirection.LeftToRight)
        return made
