"""The command line, as a person calls it: real processes, the real engine, the real starter model."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from desktop.pipe import EnginePipe
from engine.api.errors import UserError

ROOT = Path(__file__).parents[2]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def with_model(deskside: Run, smollm2: Path) -> str:
    """The id of SmolLM2, added to this test's home where it lies."""
    added = deskside("models", "add", str(smollm2), "--json")
    assert added.returncode == 0, added.stderr
    return str(json.loads(added.stdout)[0]["id"])


@pytest.mark.parametrize(
    "words",
    [[], *([name] for name in ("chat", "models", "chats", "doctor")), ["models", "pull"], ["chats", "export"]],
    ids=" ".join,
)
def test_every_command_explains_itself_without_an_engine(deskside: Run, home: Path, words: list[str]) -> None:
    for language in ("C.UTF-8", "zh_CN.UTF-8"):
        done = deskside(*words, "--help", LANG=language)
        assert done.returncode == 0
        assert "commands." not in done.stdout  # a key without words
    assert not (home / "logs").exists()


def test_one_answer_streams_to_stdout(deskside: Run, with_model: str) -> None:
    done = deskside("chat", "What is the capital of France?", "--max-tokens", "12", "--temperature", "0")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 10
    assert done.stderr == ""


def test_json_tells_text_figures_model_and_chat(deskside: Run, with_model: str) -> None:
    asked = ("chat", "Say hello.", "--json", "--max-tokens", "8", "--seed", "7", "--system", "You are brief.")
    answers = [json.loads(deskside(*asked, "--model", with_model).stdout) for _ in range(2)]
    assert answers[0]["text"] == answers[1]["text"] != ""
    assert answers[0]["model"] == with_model
    assert answers[0]["stats"]["tokens"] == 8
    assert answers[0]["stats"]["stop"] == "length"
    assert answers[0]["chat"] != answers[1]["chat"]


def test_a_piped_prompt_is_answered_and_kept(deskside: Run, with_model: str) -> None:
    done = deskside("chat", "--max-tokens", "4", stdin="Name a colour of the rainbow.\n")
    assert done.returncode == 0, done.stderr
    chats = json.loads(deskside("chats", "list", "--json").stdout)
    assert len(chats) == 1
    hits = json.loads(deskside("chats", "search", "rainbow", "--json").stdout)
    assert {hit["chat"] for hit in hits} == {chats[0]["id"]}


def test_conversations_go_out_and_come_in(deskside: Run, with_model: str, tmp_path: Path) -> None:
    deskside("chat", "彩虹有几种颜色？", "--max-tokens", "4")
    markdown = deskside("chats", "export")
    assert "彩虹有几种颜色？" in markdown.stdout
    file = tmp_path / "all.json"
    assert deskside("chats", "export", "--format", "json", "--out", str(file)).returncode == 0
    came = deskside("chats", "import", str(file), "--json", DESKSIDE_HOME=str(tmp_path / "other"))
    assert came.returncode == 0, came.stderr
    assert len(json.loads(came.stdout)["chats"]) == 1
    found = deskside("chats", "search", "彩虹", DESKSIDE_HOME=str(tmp_path / "other"))
    assert "彩虹" in found.stdout


def test_models_are_listed_measured_and_removed(deskside: Run, with_model: str, smollm2: Path) -> None:
    rows = {row["id"]: row for row in json.loads(deskside("models", "list", "--json").stdout)}
    assert rows[with_model]["installed"]
    assert with_model in deskside("models", "list").stdout
    fit = json.loads(deskside("models", "fit", with_model, "--context", "1024", "--json").stdout)
    assert fit["fit"] == "fits"
    assert fit["context"] == 1024
    assert fit["total"] == fit["weights"] + fit["kv_cache"] + fit["compute"]
    assert "llama" in deskside("models", "show", with_model).stdout
    assert deskside("models", "remove", with_model).returncode == 0
    assert smollm2.exists()  # it was used where it lay
    left = json.loads(deskside("models", "list", "--json").stdout)
    assert not any(row["installed"] for row in left)


def test_doctor_reports(deskside: Run, home: Path) -> None:
    report = json.loads(deskside("doctor", "--json").stdout)
    assert str(home) in json.dumps(report)
    assert [problem["code"] for problem in report["problems"] if problem["code"] != "little_disk"] == ["no_model"]
    assert "deskside models pull smollm2-135m-instruct" in deskside("doctor").stdout
    assert str(home) in deskside("doctor").stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["chat", "Hi"], "model"),
        (["chat", "Hi", "--model", "nothing-like-it"], "nothing-like-it"),
        (["chat", "Hi", "--temperature", "9"], "temperature"),
        (["models", "show", "nothing-like-it"], "nothing-like-it"),
        (["models", "add", "/no/such/file.gguf"], "/no/such/file.gguf"),
        (["chats", "import", "/no/such/file.json"], "/no/such/file.json"),
        (["chats", "export", "--out", "/no/such/folder/x.md"], "/no/such/folder/x.md"),
        (["chat", "--json"], "prompt"),
        (["juggle"], "juggle"),
        (["chat", "Hi", "--seed", "x"], "--seed"),
    ],
)
def test_what_a_person_can_mend_is_said_and_exits_with_2(deskside: Run, words: list[str], said: str) -> None:
    done = deskside(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_errors_speak_the_language_of_the_person(deskside: Run) -> None:
    assert "终端" in deskside(DISPLAY="", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="", LANG="zh_CN.UTF-8").stderr


def test_a_bug_writes_a_report_and_exits_with_1(tmp_path: Path, home: Path) -> None:
    """A command with a bug in it, in a copy of the command line."""
    code = (
        "import desktop.commands, sys; desktop.commands.__path__.append(sys.argv.pop(1));"
        "from desktop.__main__ import main; raise SystemExit(main())"
    )
    (tmp_path / "broken.py").write_text(
        "HELP = 'x'\ndef add_arguments(parser): pass\ndef run(args): return 1 // 0\n", encoding="utf-8"
    )
    call = [sys.executable, "-c", code, str(tmp_path), "broken"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    report = next((home / "logs").glob("bug-*.txt"))
    assert str(report) in done.stderr
    assert "ZeroDivisionError" in report.read_text(encoding="utf-8")


def test_a_data_folder_that_cannot_be_is_said(deskside: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("a file where the folder should be")
    done = deskside("chats", "list", DESKSIDE_HOME=str(file))
    assert done.returncode == 2
    assert str(file) in done.stderr
    assert file.read_text() == "a file where the folder should be"


def test_an_engine_that_is_killed_is_said(engine: EnginePipe, home: Path) -> None:
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(UserError) as caught:
        engine.ask("engine.hello")
    assert caught.value.code == "engine_ended"
    assert str(home) in str(caught.value)


class Terminal:
    """A command in a real pseudo-terminal."""

    def __init__(self, *words: str) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execv(sys.executable, [sys.executable, "-m", "desktop", *words])
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, text: str, seconds: float = 120) -> None:
        """Read until `text` shows up after what was waited for before."""
        until = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < until, f"{text!r} did not come; there is: {self.seen[-2000:]!r}"
            if select.select([self.fd], [], [], 0.2)[0]:
                self.seen += os.read(self.fd, 65536).decode("utf-8", "replace")
        self.seen = self.seen.split(text, 1)[1]

    def end(self) -> int:
        """The exit code."""
        while True:
            try:
                if not os.read(self.fd, 65536):
                    break
            except OSError:
                break
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(*words: str) -> Terminal:
        started.append(Terminal(*words))
        return started[-1]

    yield start
    for one in started:
        os.close(one.fd)


def test_a_conversation_in_the_terminal(with_model: str, terminal: Callable[..., Terminal], deskside: Run) -> None:
    talk = terminal("chat", "--temperature", "0", "--max-tokens", "3000")
    talk.wait_for("/help")
    talk.wait_for("> ")
    talk.type("/help\n")
    talk.wait_for("/regenerate")
    talk.type("/regenerate\n")
    talk.wait_for("no answer yet")
    talk.type("/system You are brief.\n")
    talk.wait_for("next answer")
    talk.type("/model\n")
    talk.wait_for(with_model)
    talk.wait_for("> ")
    talk.type("Write the numbers from 1 to 300 in words, each on a line of its own.\n")
    talk.wait_for("own.\r\n")
    talk.wait_for("3")  # the answer has begun
    os.kill(talk.pid, signal.SIGINT)
    talk.wait_for("stopped")
    talk.wait_for("> ")
    talk.type("/new\n")
    talk.wait_for("new conversation")
    talk.wait_for("> ")
    talk.type("\x04")
    assert talk.end() == 0
    chat = json.loads(deskside("chats", "list", "--json").stdout)[0]
    assert chat["system"] == "You are brief."
    assert "numbers from 1 to 300" in deskside("chats", "export", chat["id"]).stdout
