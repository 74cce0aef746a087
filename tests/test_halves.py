"""Every test is in one of the two halves, and a failure of either is a failure."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import halves
import pytest

# Stands in for pytest: says which half it is, and fails in the one that is named.
STAND_IN = """
import sys
first = sys.argv[2] == "tests"
print("first" if first else "second", flush=True)
sys.exit(3 if sys.argv[1] == ("first" if first else "second") else 0)
"""


def test_the_second_half_is_folders_that_are_there() -> None:
    assert all((halves.ROOT / folder).is_dir() for folder in halves.SECOND)


def test_each_test_is_in_one_half(tmp_path: Path) -> None:
    def collected(*words: str) -> set[str]:
        call = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *words]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=True)
        return {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}

    for name in ("tests/models/test_a.py", "tests/new/test_b.py", "tests/test_c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("def test_it(): pass\n", encoding="utf-8")
    there = [folder for folder in halves.SECOND if (tmp_path / folder).is_dir()]
    second, first = collected(*there), collected("tests", *(f"--ignore={folder}" for folder in halves.SECOND))
    assert not first & second and first | second == {"tests/models/test_a.py", "tests/new/test_b.py", "tests/test_c.py"}


@pytest.mark.parametrize("fails", ["first", "second", "none"])
def test_a_failure_of_either_half_counts(fails: str, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    code = halves.main(pytest=[sys.executable, "-c", STAND_IN, fails])
    told = capfdbinary.readouterr().out.decode()
    assert code == (0 if fails == "none" else 3)
    assert told.index("first") < told.index("the other half") < told.rindex("second")
