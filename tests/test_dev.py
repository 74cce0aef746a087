"""dev.py in checkouts of its own. Where pip would take minutes, a program stands in for the Python of `.venv`."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# Notes every call; "fails" and "dies" in the checkout make its pip do that.
STAND_IN = """#!{python}
import json, os, sys
here = {here!r}
if "pip" not in sys.argv[1:] and sys.argv[1:2] == ["-c"]:
    sys.exit(0)
with open(here + "/calls", "a") as file:
    words = sys.argv[1:]
    told = [os.environ.get(name, "") for name in ("QT_QPA_PLATFORM", "CMAKE_ARGS")]
    file.write(json.dumps([words, *told]) + "\\n")
if words[-2:] == ["cache", "dir"]:
    print(here + "/cache")
if "install" in words and os.path.exists(here + "/fails"):
    print("ERROR: No space left on device")
    sys.exit(1)
if "install" in words and os.path.exists(here + "/dies"):
    os.kill(os.getppid(), 9)
"""


class Checkout:
    """A folder with dev.py, pyproject and engine/api, and a stand-in for the Python of its .venv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("dev.py", "pyproject.toml", "constraints.txt", "qt-libraries.txt"):
            shutil.copy(ROOT / name, folder)
        shutil.copytree(ROOT / "engine" / "api", folder / "engine" / "api")
        (folder / "engine" / "__init__.py").touch()
        self.python = folder / ".venv" / "bin" / "python"
        self.python.parent.mkdir(parents=True)
        self.python.write_text(STAND_IN.format(python=sys.executable, here=str(folder)))
        self.python.chmod(self.python.stat().st_mode | stat.S_IXUSR)

    def run(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """`python3 dev.py WORDS` without a display and without a terminal."""
        clean = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")}
        return subprocess.run(
            [sys.executable, "dev.py", *words],
            cwd=self.folder,
            env={**clean, "PIP_NO_INDEX": "1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self) -> list[list[str]]:
        """What the Python of .venv was asked to do, in order; forgotten once read."""
        file = self.folder / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [json.loads(line)[0] for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    folder = tmp_path / "checkout"
    folder.mkdir()
    return Checkout(folder)


def installs(calls: list[list[str]]) -> list[str]:
    """What was installed: the last word of each call of pip."""
    return [words[-1] for words in calls if words[:3] == ["-m", "pip", "install"]]


def test_help_lists_the_commands() -> None:
    done = subprocess.run([sys.executable, "dev.py"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "run | test | check | bench | build" in done.stdout
    wrong = subprocess.run([sys.executable, "dev.py", "jump"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert wrong.returncode == 2


def test_the_second_start_installs_nothing(checkout: Checkout) -> None:
    checkout.run("run", "chats", "list")
    assert installs(checkout.calls()) == ["llama-cpp-python", f"{checkout.folder}[desktop,documents,convert]"]
    checkout.run("run", "chats", "list")
    assert checkout.calls() == [["-m", "desktop", "chats", "list"]]


def test_other_pins_are_installed(checkout: Checkout) -> None:
    checkout.run("run", "doctor")
    checkout.calls()
    with (checkout.folder / "constraints.txt").open("a") as file:
        file.write("six==1.17.0\n")
    checkout.run("run", "doctor")
    assert len(installs(checkout.calls())) == 2


def test_llama_is_built_without_openmp_and_kept_apart_by_its_flags(checkout: Checkout) -> None:
    def built(**environment: str) -> tuple[str, str]:
        (checkout.folder / ".venv" / "deskside-stamp.json").unlink(missing_ok=True)
        checkout.run("run", "doctor", **environment)
        calls = [json.loads(line) for line in (checkout.folder / "calls").read_text().splitlines()]
        ((words, _, flags),) = [call for call in calls if call[0][-1] == "llama-cpp-python"]
        checkout.calls()
        return words[words.index("--cache-dir") + 1], flags

    plain, cuda = built(CMAKE_ARGS=""), built(CMAKE_ARGS="-DGGML_CUDA=on")
    assert plain == built(CMAKE_ARGS="")
    assert plain[1] == "-DGGML_OPENMP=OFF"
    assert cuda[1] == "-DGGML_OPENMP=OFF -DGGML_CUDA=on"
    assert plain[0].startswith(str(checkout.folder / "cache"))
    assert plain[0] != cuda[0]


def test_tests_add_what_they_need_and_run_offscreen(checkout: Checkout) -> None:
    checkout.run("run", "doctor")
    checkout.calls()
    checkout.run("test", "-k", "name")
    last = json.loads((checkout.folder / "calls").read_text().splitlines()[-1])
    assert last[:2] == [["-m", "pytest", "-k", "name"], "offscreen"]
    assert installs(checkout.calls()) == ["llama-cpp-python", f"{checkout.folder}[desktop,documents,convert,dev]"]
    checkout.run("test")
    assert checkout.calls() == [["tests/halves.py"]]
    checkout.run("run", "doctor")
    assert installs(checkout.calls()) == []


def test_without_a_display_the_terminal_is_offered(checkout: Checkout) -> None:
    done = checkout.run("run")
    assert done.returncode == 0
    assert "no display" in done.stderr
    assert "dev.py run chat" in done.stderr
    assert ["-m", "desktop", "models", "pull", "smollm2-135m-instruct"] in checkout.calls()


def test_an_installed_model_is_not_fetched_again(checkout: Checkout, home: Path) -> None:
    manifest = home / "models" / "some-model" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    checkout.run("run")
    assert not any("pull" in words for words in checkout.calls())


def test_a_failure_of_pip_is_one_clear_message(checkout: Checkout) -> None:
    (checkout.folder / "fails").touch()
    done = checkout.run("run", "doctor")
    assert done.returncode == 2
    assert "disk is full" in done.stderr
    assert "deskside-install.log" in done.stderr
    assert "Traceback" not in done.stderr
    (checkout.folder / "fails").unlink()
    assert checkout.run("run", "doctor").returncode == 0


def test_a_set_up_killed_in_pip_starts_anew(checkout: Checkout) -> None:
    (checkout.folder / "dies").touch()
    assert checkout.run("run", "doctor").returncode == -9
    (checkout.folder / "dies").unlink()
    done = checkout.run("run", "doctor")
    assert "starting it again" in done.stderr
    # .venv is a real one now. Its pip finds nothing without an index, and says of what.
    assert done.returncode == 2
    assert "ERROR: Cannot install llama-cpp-python" in done.stderr
    assert b"STAND" not in checkout.python.read_bytes()[:200]


def test_a_missing_compiler_is_said_before_anything_is_installed(checkout: Checkout, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = checkout.run("run", "doctor", PATH=str(empty), PIP_CACHE_DIR=str(empty))
    # The stand-in offers a ready-made wheel (its pip succeeds), so nothing needs building.
    assert done.returncode == 0
    (checkout.folder / "fails").touch()
    (checkout.folder / ".venv" / "deskside-stamp.json").unlink()
    done = checkout.run("run", "doctor", PATH=str(empty), PIP_CACHE_DIR=str(empty), CXX="")
    assert done.returncode == 2
    assert "install -y g++ cmake" in done.stderr
    assert "abetlen.github.io/llama-cpp-python/whl/cpu" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Qt brings all it needs")
def test_missing_libraries_are_named_with_their_packages(checkout: Checkout) -> None:
    file = checkout.folder / "qt-libraries.txt"
    file.write_text("libnothere.so.7 libnothere7 nothere nothere libnothere7\n" + file.read_text())
    done = checkout.run("test")
    assert done.returncode == 2
    assert "nothere" in done.stderr.splitlines()[-1]
    assert "install" in done.stderr
    assert checkout.calls() == []
