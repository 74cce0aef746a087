"""The table of benchmarks goes on after a script that breaks or hangs, and leaves no process behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import _table
import psutil
import pytest

ROOT = Path(__file__).parents[1]
LEAVES_ONE = """
import subprocess, sys, time
stays = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
print(f"left\\t{stays.pid}\\t\\t", flush=True)
"""


def script(folder: Path, text: str) -> Path:
    path = folder / "script.py"
    path.write_text(text, encoding="utf-8")
    return path


def test_figures_of_a_script_that_breaks_are_kept_and_its_end_is_told(tmp_path: Path) -> None:
    ran = _table.run("one", script(tmp_path, "print('speed\\t7\\t>= 5\\tok', flush=True)\nprint('noise')\n1 / 0\n"))
    assert ran.rows == [["speed", "7", ">= 5", "ok"]]
    assert ran.wrong == "exit code 1"


@pytest.mark.parametrize(("end", "wrong"), [("", ""), ("time.sleep(300)", "longer than 5 s")])
def test_what_a_script_started_is_gone_after_it(tmp_path: Path, end: str, wrong: str) -> None:
    ran = _table.run("one", script(tmp_path, LEAVES_ONE + end), longest_s=5 if end else 60)
    assert ran.wrong == wrong
    assert not psutil.pid_exists(int(ran.rows[0][1]))


def test_a_name_that_is_none_is_refused_with_all_there_are() -> None:
    call = [sys.executable, str(ROOT / "bench" / "_table.py"), "--only", "nothing_such"]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "throughput" in done.stderr
    assert set(_table.scripts()) >= {"throughput", "memory_over_bare", "python_per_token", "beside_high_level"}
