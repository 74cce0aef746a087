"""Start of the process to the first paint of the window, and what the window's process holds in memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

from _engine import ROOT, private_home
from _figures import figure

ROUNDS, SECONDS, MEGABYTES = 5, 1.5, 180
# Runs the real window and reports when its first paint is done; `Popen` gives the clock's start.
CHILD = """
import os, sys, time
start = float(sys.argv.pop())
from PySide6.QtCore import QEvent, QObject, QTimer
from PySide6.QtWidgets import QApplication, QMainWindow
import desktop.window as window
import psutil

class Watch(QObject):
    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.Paint and isinstance(watched, QMainWindow) and not hasattr(self, "seen"):
            self.seen = True
            QTimer.singleShot(0, lambda: print(time.time() - start, flush=True))
            QTimer.singleShot(3000, self.end)
        return False

    def end(self):
        print(psutil.Process().memory_info().rss, flush=True)
        for top in QApplication.topLevelWidgets():
            if isinstance(top, QMainWindow):
                top.close()

watch = Watch()
show = window.Window.show
def watched_show(self):
    QApplication.instance().installEventFilter(watch)
    show(self)
window.Window.show = watched_show
sys.exit(window.run_window(["deskside"]))
"""


def once() -> tuple[float, float]:
    """(seconds to first paint, resident megabytes three seconds later)."""
    import time

    call = [sys.executable, "-c", CHILD, str(time.time())]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    seconds, resident = done.stdout.split()
    return float(seconds), int(resident) / 1e6


def main() -> None:
    private_home()
    os.environ.setdefault("QT_QPA_PLATFORM", "" if os.environ.get("DISPLAY") else "offscreen")
    once()
    seen = [once() for _ in range(ROUNDS)]
    seconds, megabytes = (statistics.median(row[i] for row in seen) for i in (0, 1))
    figure("window's first paint, s", f"{seconds:.2f}", f"<= {SECONDS}", seconds <= SECONDS)
    figure("window's process, MB resident", f"{megabytes:.0f}", f"<= {MEGABYTES}", megabytes <= MEGABYTES)


if __name__ == "__main__":
    main()
