"""A collection's name and settings."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QCheckBox, QComboBox, QDialog, QLineEdit, QPlainTextEdit, QWidget

from desktop.desk import Desk
from desktop.text import error_text, tr
from desktop.widgets.make import button, column, label, row
from engine.api.errors import UserError
from engine.api.messages import ModelRow

WIDTH = 460


class CollectionDialog(QDialog):
    """Makes a collection, or changes the one given; `done(collection)` once the engine has it."""

    finished_with = Signal(dict)

    def __init__(self, desk: Desk, parent: QWidget, collection: dict[str, Any] | None = None) -> None:
        super().__init__(parent)
        self._desk, self._collection = desk, collection
        self._settings = collection["settings"] if collection else {}
        self.setWindowTitle(tr("documents.settings_of" if collection else "documents.new"))
        self.setMinimumWidth(WIDTH)
        self.name = QLineEdit(collection["name"] if collection else "")
        self.name.setAccessibleName(tr("documents.name"))
        self.embedder, self.model = QComboBox(), QComboBox()
        self.system = QPlainTextEdit(self._settings.get("system", ""))
        self.system.setPlaceholderText(tr("documents.system_hint"))
        self.rerank = QCheckBox(tr("documents.rerank"))
        self.questions = QCheckBox(tr("documents.questions_index"))
        self.problem = label("", "red", wrap=True)
        self.problem.hide()
        self._build()
        if collection:
            desk.client.call("models.list", result=self._take_models, owner=self)

    def save(self) -> None:
        """Give it to the engine; an error is told here, and what was typed stays."""
        if self._collection:
            params = {"collection": self._collection["id"], "values": self._values()}
            name = "docs.update"
        else:
            params, name = {"name": self.name.text()}, "docs.create"
        self._desk.client.call(name, params, result=self._saved, error=self._failed, owner=self)

    def _build(self) -> None:
        save = button(tr("documents.save" if self._collection else "documents.make"), self.save, "main")
        cancel = button(tr("frame.cancel"), self.reject)
        fields = column(label(tr("documents.name"), "faint"), self.name, spacing=4)
        whole = column(fields, margins=(24, 20, 24, 20), spacing=14)
        if self._collection:
            self._add_settings(whole)
        whole.addWidget(self.problem)
        whole.addLayout(row(None, cancel, save))
        self.setLayout(whole)
        self.name.returnPressed.connect(self.save)
        save.setDefault(True)

    def _add_settings(self, whole: Any) -> None:
        self.rerank.setChecked(self._settings.get("rerank") != "off")
        self.questions.setChecked(bool(self._settings.get("questions")))
        self.system.setFixedHeight(84)
        self.system.setTabChangesFocus(True)
        self.system.setAccessibleName(tr("documents.system"))
        parts = (("embedder", self.embedder), ("model", self.model), ("system", self.system))
        for name, field in parts:
            field.setAccessibleName(tr(f"documents.{name}"))
            whole.addLayout(column(label(tr(f"documents.{name}"), "faint"), field, spacing=4))
        self.embedder.setToolTip(tr("documents.embedder_hint"))
        whole.insertWidget(2, label(tr("documents.embedder_hint"), "dim", wrap=True))
        whole.addLayout(column(self.rerank, self.questions, spacing=8))
        self._fill(self.embedder, [], "embedder", tr("documents.embedder_auto"))
        self._fill(self.model, [], "chat_model", tr("documents.model_auto"))

    def _take_models(self, result: dict[str, Any]) -> None:
        installed: list[ModelRow] = [one for one in result["models"] if one["installed"]]
        embedders = [one for one in installed if one["kind"] == "embedding" and "reranker" not in one["tags"]]
        chats = [one for one in installed if one["kind"] in ("chat", "base")]
        self._fill(self.embedder, embedders, "embedder", tr("documents.embedder_auto"))
        self._fill(self.model, chats, "chat_model", tr("documents.model_auto"))

    def _fill(self, box: QComboBox, models: list[ModelRow], setting: str, usual: str) -> None:
        chosen = box.currentData() if box.count() else self._settings.get(setting, "")
        box.clear()
        box.addItem(usual, "")
        for model in models:
            box.addItem(model["name"], model["id"])
        if chosen and box.findData(chosen) < 0:
            box.addItem(chosen, chosen)
        box.setCurrentIndex(max(0, box.findData(chosen)))

    def _values(self) -> dict[str, Any]:
        return {
            "name": self.name.text(),
            "embedder": self.embedder.currentData() or "",
            "chat_model": self.model.currentData() or "",
            "system": self.system.toPlainText(),
            "rerank": "auto" if self.rerank.isChecked() else "off",
            "questions": self.questions.isChecked(),
        }

    def _saved(self, collection: dict[str, Any]) -> None:
        self.finished_with.emit(collection)
        self.accept()

    def _failed(self, error: UserError) -> None:
        self.problem.setText(" ".join(part for part in error_text(error) if part))
        self.problem.show()
