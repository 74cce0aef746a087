"""All tests, one half of them beside the other: most of them wait more than they compute. Exit code: the first not 0.

The first half speaks at once, the second once it has ended.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
# By the time they take; what is not named here, a new folder too, is in the first half.
SECOND = ["tests/contract", "tests/convert", "tests/documents", "tests/journeys", "tests/models"]
PYTEST = [sys.executable, "-m", "pytest"]


def main(second: list[str] = SECOND, pytest: list[str] = PYTEST) -> int:
    """Run both."""
    first = ["tests", *(f"--ignore={folder}" for folder in second)]
    with tempfile.TemporaryFile() as kept:
        runs = [
            subprocess.Popen([*pytest, *first], cwd=ROOT),
            subprocess.Popen([*pytest, *second], cwd=ROOT, stdout=kept, stderr=kept),
        ]
        codes = [_end_of(run) for run in runs]
        print(f"the other half, {' '.join(second)}:", flush=True)
        kept.seek(0)
        shutil.copyfileobj(kept, sys.stdout.buffer)
        sys.stdout.flush()
    return next((code for code in codes if code), 0)


def _end_of(run: subprocess.Popen[bytes]) -> int:
    """Ctrl-C reaches pytest, too, which tells what it has until then."""
    while True:
        try:
            return run.wait()
        except KeyboardInterrupt:
            continue


if __name__ == "__main__":
    sys.exit(main())
