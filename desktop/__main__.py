"""`deskside`: no argument opens the window; every other word is a file of `commands/`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from types import ModuleType

from desktop.text import error_text, set_language, tr
from engine.api.errors import UserError
from engine.api.folders import logs_folder
from engine.api.parts import load_part, part_names
from engine.api.settings import load_settings

BUG, USER_ERROR, INTERRUPTED = 1, 2, 130


def main(words: list[str] | None = None) -> int:
    """The exit code: 0, 2 for what the person can mend (said on stderr), 1 for a bug (a report is written)."""
    use_utf8()
    set_language(load_settings().language)
    try:
        return start(sys.argv[1:] if words is None else words)
    except UserError as error:
        say_error(error)
        return BUG if error.code == "bug" else USER_ERROR  # the engine's own, whose log has it
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (`| head`) has seen enough. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as bug:  # noqa: BLE001  the outer edge of the command line
        print(tr("commands.bug", path=write_report(bug)), file=sys.stderr)
        return BUG


def use_utf8() -> None:
    """Chinese must come out of a C locale and of a Windows console too."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8", errors="replace")


def start(words: list[str]) -> int:
    """Open the window, or run the command that `words` begin with."""
    if not words:
        return open_window()
    commands = {name: load_part("desktop.commands", name) for name in part_names("desktop.commands")}
    arguments = build_parser(commands).parse_args(words)
    return int(commands[arguments.command.replace("-", "_")].run(arguments))


def build_parser(commands: dict[str, ModuleType]) -> argparse.ArgumentParser:
    """The parser of all commands, each file adding its own arguments."""
    parser = argparse.ArgumentParser(prog="deskside", description=tr("commands.about"), epilog=tr("commands.epilog"))
    parser.add_argument("--version", action=ShowVersion, nargs=0, help=tr("commands.version"))
    adder = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, part in commands.items():
        part.add_arguments(adder.add_parser(name.replace("_", "-"), help=tr(part.HELP), description=tr(part.HELP)))
    return parser


class ShowVersion(argparse.Action):
    """argparse's own action would look the version up for every `--help`."""

    def __call__(self, parser: argparse.ArgumentParser, *unused: object) -> None:
        print(f"deskside {version()}")
        parser.exit()


def version() -> str:
    """The version that is installed; "0" in a bare checkout."""
    import importlib.metadata

    try:
        return importlib.metadata.version("deskside")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def open_window() -> int:
    """The window. Qt would abort without a display, so that is looked at first."""
    linux = sys.platform.startswith("linux")
    if linux and not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")):
        raise UserError("no_display", "There is no display to open a window on.", "Chat in the terminal: deskside chat")
    try:
        import PySide6.QtWidgets  # noqa: F401
    except ImportError as missing:
        raise UserError(
            "no_qt",
            f"The window toolkit cannot be loaded: {missing}.",
            "Install it with: pip install 'deskside[desktop]'",
            reason=str(missing),
        ) from None
    from desktop.window import run_window

    return run_window()


def say_error(error: UserError) -> None:
    for line in error_text(error):
        if line:
            print(line, file=sys.stderr)


def write_report(bug: BaseException) -> str:
    """Write what is needed to find the bug; the path of the report."""
    import platform
    import traceback

    lines = [f"deskside {version()}, Python {sys.version}, {platform.platform()}", f"call: {sys.argv}", ""]
    text = "\n".join(lines) + "".join(traceback.format_exception(bug))
    path = logs_folder() / f"bug-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError:
        print(text, file=sys.stderr)
        return "-"
    return str(path)


if __name__ == "__main__":
    raise SystemExit(main())
