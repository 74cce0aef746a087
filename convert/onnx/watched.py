"""Runs a command and ends it when stdin does: a job that is killed leaves no installer behind.

`python watched.py COMMAND …`; standard library only, run by whatever Python is at hand.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def main() -> int:
    """The command's own exit status."""
    process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    threading.Thread(target=_end_with_stdin, args=(process,), daemon=True).start()
    return process.wait()


def _end_with_stdin(process: subprocess.Popen[bytes]) -> None:
    while os.read(0, 4096):
        pass
    process.kill()


if __name__ == "__main__":
    sys.exit(main())
