#!/usr/bin/env python3
"""The one entry point of a checkout: `python3 dev.py run | test | check | bench | build`.

Standard library only. Every command first makes `.venv` with what it needs; a second start finds the stamp
of the first and installs nothing. Arguments after the command are passed on.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = str(VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
CONSTRAINTS = str(ROOT / "constraints.txt")
STAMP = VENV / "deskside-stamp.json"
UNFINISHED = VENV / "deskside-unfinished"  # there while pip writes: found at the start, it means pip was cut off
LOG = VENV / "deskside-install.log"
STARTER = "smollm2-135m-instruct"
PARTS = ["desktop", "documents", "convert"]
EXTRAS = {"run": PARTS, "bench": [*PARTS, "dev", "bench"]}
TESTS = [*PARTS, "dev"]
LLAMA_WHEELS = "https://abetlen.github.io/llama-cpp-python/whl/cpu"
LLAMA_FLAGS = "-DGGML_OPENMP=OFF"  # threads that sleep between two steps: docs/decisions/042

QT_LIBRARIES = ROOT / "qt-libraries.txt"
PACKAGE_TOOLS = ("apt-get install -y", "dnf install -y", "pacman -S --needed", "zypper install -y")
COMPILER = ("g++ cmake", "gcc-c++ cmake", "gcc cmake", "gcc-c++ cmake")
PIP_CAUSES = (
    (("No space left on device",), "The disk is full. Free some space and call this again."),
    (
        ("NewConnectionError", "Temporary failure in name", "ConnectTimeout", "ProxyError"),
        "The package index cannot be reached. Check the network (or PIP_INDEX_URL) and call this again.",
    ),
    (("Failed building wheel", "CMake Error"), "A package could not be built; the compiler's words are in the log."),
)


def say(text: str) -> None:
    print(f"deskside: {text}", file=sys.stderr, flush=True)


def stop(text: str) -> NoReturn:
    """End with a message the person can act on."""
    say(text)
    raise SystemExit(2)


# What the machine lacks -----------------------------------------------------------------------------------------


def need_python() -> None:
    """Go on under a newer Python where the one that was called is too old."""
    if sys.version_info >= (3, 11):  # noqa: UP036
        return
    for name in ("python3.13", "python3.12", "python3.11", "python3.14"):
        newer = shutil.which(name)
        if newer:
            raise SystemExit(subprocess.call([newer, *sys.argv]))
    stop(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}. {install_line(['python3.11'])}")


def package_tool() -> int:
    """Which package tool this Linux has, as an index into PACKAGE_TOOLS; apt-get where none is found."""
    names = [line.split()[0] for line in PACKAGE_TOOLS]
    return next((i for i, name in enumerate(names) if shutil.which(name)), 0)


def install_line(packages: list[str]) -> str:
    """The command that installs `packages` on this system."""
    if sys.platform == "darwin":
        return "brew install " + " ".join(packages)
    root = "" if os.name == "nt" or os.geteuid() == 0 else "sudo "
    return root + PACKAGE_TOOLS[package_tool()] + " " + " ".join(dict.fromkeys(packages))


def loads(soname: str) -> bool:
    try:
        ctypes.CDLL(soname)
    except OSError:
        return False
    return True


def missing_libraries(window: bool) -> list[str]:
    """Packages with the system libraries that Qt lacks on this Linux; [] elsewhere."""
    if not sys.platform.startswith("linux"):
        return []
    base, x11 = QT_LIBRARIES.read_text(encoding="utf-8").split("\n\n")
    table = base.splitlines() + (x11.splitlines() if window and os.environ.get("DISPLAY") else [])
    wanted = [line.split() for line in table if not line.startswith("#")]
    return [row[1 + package_tool()] for row in wanted if not loads(row[0])]


def has_display() -> bool:
    if not sys.platform.startswith("linux"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"))


def need_libraries(window: bool) -> None:
    packages = missing_libraries(window)
    if packages:
        stop(f"The window toolkit lacks system libraries. Install them:\n  {install_line(packages)}")


def need_venv_module() -> None:
    """Debian keeps venv in a package of its own."""
    if importlib.util.find_spec("ensurepip") is None:
        name = f"python3.{sys.version_info.minor}-venv"
        stop(f"Python's venv module is not installed. Install it:\n  {install_line([name])}")


def has_compiler() -> bool:
    if sys.platform == "win32":
        # Visual Studio's compiler is not on the PATH; cmake finds it by itself.
        return shutil.which("cmake") is not None
    compilers = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    return any(shutil.which(name) for name in compilers if name) and shutil.which("cmake") is not None


def cmake_args() -> str:
    """How llama.cpp is built; what a person has set comes last, and counts."""
    return f"{LLAMA_FLAGS} {os.environ.get('CMAKE_ARGS', '')}".strip()


def llama_cache() -> list[str]:
    """Where pip keeps the llama-cpp-python built here: of its own cache it would take one built in another way."""
    told = subprocess.run([PYTHON, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False)
    name = "deskside-" + hashlib.sha256(cmake_args().encode()).hexdigest()[:8]
    return ["--cache-dir", str(Path(told.stdout.strip()) / name)] if told.stdout.strip() else []


def has_llama_wheel() -> bool:
    """Whether llama-cpp-python is installed, was built before (pip's cache), or is offered built by an index."""
    if any(VENV.glob("lib/python*/site-packages/llama_cpp_python-*")):
        return True
    pins = Path(CONSTRAINTS).read_text(encoding="utf-8").split()
    listing = [PYTHON, "-m", "pip", "cache", "list", "llama_cpp_python", *llama_cache()]
    cached = subprocess.run(listing, capture_output=True, text=True, check=False)
    versions = [word.split("-")[1] for word in cached.stdout.split() if word.startswith("llama_cpp_python-")]
    if any(f"llama_cpp_python=={version}" in pins for version in versions):
        return True
    offered = [PYTHON, "-m", "pip", "install", "--dry-run", "--no-deps", "--only-binary", ":all:", "-c", CONSTRAINTS]
    return subprocess.run([*offered, "llama-cpp-python"], capture_output=True, check=False).returncode == 0


def need_compiler() -> None:
    """llama-cpp-python is built on this machine unless a wheel is at hand: say so before minutes are spent."""
    if has_compiler() or has_llama_wheel():
        return
    tools = COMPILER[package_tool()].split() if sys.platform != "darwin" else ["cmake"]
    stop(
        "A C++ compiler and cmake are needed to build llama.cpp. Install them:\n"
        f"  {install_line(tools)}\nor take the project's ready-made wheel:\n"
        f"  PIP_EXTRA_INDEX_URL={LLAMA_WHEELS} {Path(sys.executable).name} dev.py {' '.join(sys.argv[1:])}"
    )


def hint_chinese_font() -> None:
    if not shutil.which("fc-list"):
        return
    found = subprocess.run(["fc-list", ":lang=zh", "family"], capture_output=True, text=True, check=False)
    if not found.stdout.strip():
        say(f"no Chinese font is installed; to see Chinese: {install_line(['fonts-noto-cjk'])}")


# The environment ------------------------------------------------------------------------------------------------


def fingerprint() -> str:
    """Changes when what is to be installed, or where, changes."""
    parts = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    parts.append(str(VENV).encode())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def is_ready(extras: list[str]) -> bool:
    try:
        stamp = json.loads(STAMP.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    current = stamp.get("fingerprint") == fingerprint() and set(extras) <= set(stamp.get("extras", []))
    return current and Path(PYTHON).exists() and not UNFINISHED.exists()


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let two calls set up one after the other. The lock goes with its process, so a kill leaves nothing behind."""
    with (ROOT / ".dev.lock").open("a") as file:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def works(python: str) -> bool:
    if not Path(python).exists():
        return False
    code = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", code], capture_output=True, check=False).returncode == 0


def make_venv() -> None:
    """A working .venv. One that pip was killed in is made anew: what it holds cannot be trusted."""
    if works(PYTHON) and not UNFINISHED.exists():
        return
    if VENV.exists():
        say("the earlier set-up was cut off; starting it again")
    need_venv_module()
    made = subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], capture_output=True, text=True, check=False)
    if made.returncode:
        stop(f"The environment {VENV} could not be made:\n{(made.stdout + made.stderr).strip()}")


def set_up(command: str) -> None:
    """Everything that `command` needs is installed afterwards."""
    extras = EXTRAS.get(command, TESTS)
    if is_ready(extras):
        return
    with one_at_a_time():
        if is_ready(extras):
            return
        began = time.monotonic()
        say("setting up .venv (once)")
        make_venv()
        need_compiler()
        install(extras)
        hint_chinese_font()
        say(f"ready after {time.monotonic() - began:.0f} s")


def install(extras: list[str]) -> None:
    STAMP.unlink(missing_ok=True)
    UNFINISHED.touch()
    pip = [PYTHON, "-m", "pip", "install", "--no-input", "--progress-bar", "off", "-c", CONSTRAINTS]
    llama = [*pip, *llama_cache(), "--no-deps", "llama-cpp-python"]
    if run_pip(llama) or run_pip([*pip, "-e", f"{ROOT}[{','.join(extras)}]"]):
        log = LOG.read_text(encoding="utf-8", errors="replace")
        if "Installing collected packages" not in log:
            UNFINISHED.unlink()  # pip failed before it touched anything
        stop(pip_failure(log))
    stamp = {"fingerprint": fingerprint(), "extras": extras}
    UNFINISHED.unlink()
    STAMP.write_text(json.dumps(stamp), encoding="utf-8")


def run_pip(call: list[str]) -> int:
    """pip's exit code; its words go to the log, and a short line of them to the person."""
    with LOG.open("w", encoding="utf-8") as log:
        pip = subprocess.Popen(
            call,
            cwd=ROOT,
            env={**os.environ, "CMAKE_ARGS": cmake_args()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
        for line in pip.stdout or ():
            log.write(line)
            show_step(line.split())
        return pip.wait()


def show_step(words: list[str]) -> None:
    if words[:1] == ["Collecting"] and sys.stderr.isatty():
        print(f"\r\033[K  getting {words[1]}\r", end="", file=sys.stderr, flush=True)
    elif words[:3] == ["Building", "wheel", "for"] and words[3].startswith("llama") and words[-1] == "started":
        say("building llama.cpp; this takes some minutes, once")
    elif words[:2] == ["Installing", "collected"] and len(words) > 4:  # llama.cpp alone has had its line
        say(f"installing {len(words) - 3} packages")


def pip_failure(log: str) -> str:
    """One clear message out of pip's log."""
    errors = [line.strip() for line in log.splitlines() if "ERROR" in line or "Error: " in line]
    cause = next((text for signs, text in PIP_CAUSES if any(sign in log for sign in signs)), "pip's last words:")
    return "\n  ".join([f"The set-up failed. {cause}", *errors[-3:], f"Everything pip said: {LOG}"])


# The commands ---------------------------------------------------------------------------------------------------


def call(*words: str | Path, **environment: str) -> int:
    """Run in the checkout; Ctrl-C is left to the child, which knows what to do with it."""
    child = subprocess.Popen([str(w) for w in words], cwd=ROOT, env={**os.environ, **environment})
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue


def run(arguments: list[str]) -> int:
    """Start Deskside: the window, or a command of its command line."""
    window = not arguments
    if window and has_display():
        need_libraries(window=True)
    set_up("run")
    if window or arguments == ["chat"]:
        fetch_starter()
    if window and not has_display():
        return run_without_display()
    return call(PYTHON, "-m", "desktop", *arguments)


def fetch_starter() -> None:
    """The first model, unless there is one already. Without it the window still opens and offers it."""
    from engine.api.folders import models_folder

    if any(models_folder().glob("*/manifest.json")):
        return
    say("fetching the starter model (98 MB)")
    if call(PYTHON, "-m", "desktop", "models", "pull", STARTER):
        say(f"no starter model yet; get it later with: python3 dev.py run models pull {STARTER}")


def run_without_display() -> int:
    say("there is no display here (DISPLAY and WAYLAND_DISPLAY are not set), so no window can open")
    if sys.stdin.isatty():
        say("starting the chat in this terminal instead")
        return call(PYTHON, "-m", "desktop", "chat")
    say("chat in a terminal instead: python3 dev.py run chat")
    return 0


def offscreen() -> dict[str, str]:
    return {} if has_display() else {"QT_QPA_PLATFORM": "offscreen"}


def test(arguments: list[str]) -> int:
    need_libraries(window=False)
    set_up("test")
    return call(PYTHON, *(["-m", "pytest", *arguments] if arguments else ["tests/halves.py"]), **offscreen())


def check(arguments: list[str]) -> int:
    """Every checker runs, so that one call shows all there is to mend."""
    set_up("check")
    checks = {
        "format": ["-m", "ruff", "format", "--check", "."],
        "lint": ["-m", "ruff", "check", "."],
        "types": ["-m", "mypy"],
        "imports": ["-c", "from importlinter.cli import lint_imports_command as c; c()"],
        "layout": ["tests/contract/layout_rules.py", "."],
    }
    chosen = {name: words for name, words in checks.items() if not arguments or name in arguments}
    failed = [name for name, words in chosen.items() if call(PYTHON, *words)]
    say(f"check failed: {', '.join(failed)}" if failed else "check passed")
    return 1 if failed else 0


def bench(arguments: list[str]) -> int:
    """Run bench/*.py (or those named, `--only NAME` too) and print their figures as one table."""
    set_up("bench")
    return call(PYTHON, ROOT / "bench" / "_table.py", *arguments, **offscreen())


def build(arguments: list[str]) -> int:
    """The wheel, in dist/."""
    set_up("build")
    return call(PYTHON, "-m", "build", "--wheel", "--outdir", ROOT / "dist", *arguments)


COMMANDS = {"run": run, "test": test, "check": check, "bench": bench, "build": build}


def main(words: list[str]) -> int:
    if not words or words[0] not in COMMANDS:
        print(f"{__doc__}\nusage: python3 dev.py {' | '.join(COMMANDS)} [arguments]")
        return 0 if words in ([], ["--help"], ["-h"]) else 2
    need_python()
    return COMMANDS[words[0]](words[1:])


if __name__ == "__main__":
    try:
        raise SystemExit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
