"""What every test gets: a home of its own, no way out to the network, and the real engine when it asks for one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import network_guard
import pytest
import real_models

from desktop.pipe import EnginePipe

pytest_plugins = ["window_kit", "journey_kit", "server_kit", "clients_kit", "graphics_card", "conversion_kit"]
ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "tests" / "fixtures"
if not any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of this test's own; nothing of the person's is read or written."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("DESKSIDE_HOME", str(folder))
    monkeypatch.setenv("LANG", "C.UTF-8")
    return folder


@pytest.fixture(autouse=True)
def attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file with every way out of this machine that this test's processes tried, each of them refused.

    The guard is a `sitecustomize` on the path of each child process; a test that wants to go out fails.
    """
    record = tmp_path / "network-attempts.txt"
    path = [str(FIXTURES / "at_start"), str(FIXTURES), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(part for part in path if part))
    monkeypatch.setenv(network_guard.RECORD, str(record))
    yield record
    assert not record.exists(), f"went out to the network: {record.read_text(encoding='utf-8')}"


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The starter model's GGUF file: English, 98 MB."""
    return real_models.smollm2()


@pytest.fixture(scope="session")
def qwen_coder() -> Path:
    """Qwen2.5 Coder 0.5B's GGUF file: Chinese and English, 491 MB."""
    return real_models.qwen_coder()


@pytest.fixture
def engine(home: Path) -> Iterator[EnginePipe]:
    """A real engine process of this test's home, spoken to over its pipes."""
    with EnginePipe() as pipe:
        yield pipe


@pytest.fixture
def deskside(home: Path) -> Deskside:
    """The command line as a person calls it: `deskside("chat", "Hi", stdin="")`."""
    return Deskside()


class Deskside:
    """Runs `python -m desktop WORDS` to its end."""

    def __call__(self, *words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "desktop", *words],
            cwd=ROOT,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            env={**os.environ, **environment},
            check=False,
            timeout=240,
        )


def pytest_configure(config: pytest.Config) -> None:
    network_guard.install()
