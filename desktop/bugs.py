"""The edge where bugs of the window end up: logged, one dialog with a report to copy, the window stays."""

from __future__ import annotations

import platform
import sys
import time
import traceback
from types import TracebackType

from PySide6.QtCore import qVersion
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from desktop.text import tr
from desktop.widgets.make import button, column, label, row
from engine.api.folders import logs_folder


class BugDialog(QDialog):
    """Says that something went wrong and lets the report be copied."""

    def __init__(self, report: str, parent: QWidget | None) -> None:
        super().__init__(parent)
        self.setWindowTitle(tr("frame.bug_title"))
        self.setAccessibleName(tr("frame.bug_title"))
        self.report = QPlainTextEdit(report, readOnly=True)
        self.report.setAccessibleName(tr("frame.bug_report"))
        self.copy = button(tr("frame.bug_copy"), self._copy, "main")
        self.setLayout(
            column(
                label(tr("frame.bug_title"), "heading"),
                label(tr("frame.bug_text"), wrap=True),
                self.report,
                row(None, button(tr("frame.close"), self.close), self.copy),
                margins=(24, 20, 24, 20),
            )
        )
        self.resize(600, 420)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self.report.toPlainText())
        self.copy.setText(tr("frame.copied"))


class BugCatcher:
    """The excepthook. While one dialog stands, further bugs are only logged."""

    def __init__(self, window: QWidget | None) -> None:
        self._window = window
        self.dialog: BugDialog | None = None

    def __call__(self, kind: type[BaseException], bug: BaseException, trace: TracebackType | None) -> None:
        """Log a bug and show it."""
        if issubclass(kind, KeyboardInterrupt):
            QGuiApplication.quit()
            return
        report = bug_report(kind, bug, trace)
        _log(report)
        if self.dialog is None:
            self.dialog = BugDialog(report, self._window)
            self.dialog.finished.connect(self._closed)
            self.dialog.show()

    def _closed(self) -> None:
        if self.dialog:
            self.dialog.deleteLater()
        self.dialog = None


def catch_bugs(window: QWidget | None) -> BugCatcher:
    """Send every uncaught exception of the process to one dialog."""
    catcher = BugCatcher(window)
    sys.excepthook = catcher
    return catcher


def bug_report(kind: type[BaseException], bug: BaseException, trace: TracebackType | None) -> str:
    """What a developer needs: versions, system, traceback. Nothing of the person's conversations."""
    about = f"Qt {qVersion()} · Python {platform.python_version()} · {platform.platform()}"
    return about + "\n\n" + "".join(traceback.format_exception(kind, bug, trace))


def _log(report: str) -> None:
    logs_folder().mkdir(parents=True, exist_ok=True)
    with (logs_folder() / "window.log").open("a", encoding="utf-8") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}\n{report}\n")
    sys.stderr.write(report)
