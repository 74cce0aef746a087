"""Takes the pictures of the README: the real window with the real engine, in both themes and languages.

    xvfb-run -a -s "-screen 0 1280x800x24" .venv/bin/python docs/make_pictures.py MODEL.gguf [MODEL.gguf …]

The last model given answers. Pictures go to docs/pictures/ (`--to FOLDER` names another).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOOKS = (("en", "light"), ("zh", "dark"), ("en", "dark"), ("zh", "light"))
QUESTIONS = {
    "en": "Write a Python function that counts the words of a text, and show how to call it.",
    "zh": "用 Python 写一个统计文本字数的函数，并说明怎样调用。",
}
COLLECTION = {"en": "Contracts", "zh": "采购合同"}
ASKED = {
    "en": "How much does the supplier pay for each day of delay?",
    "zh": "供方逾期交货，每逾期一日支付多少违约金？",
}
ENGLISH = (
    "9.1 Both parties fulfil this agreement with care.",
    "9.2 For each day of delay the supplier pays 0.5 percent of the total price.",
    "9.3 The penalty never exceeds ten percent of the total price.",
    "9.4 Force majeure is to be reported within three days.",
)
CHINESE = (
    "9.1 双方应当全面履行本合同约定的义务。",
    "9.2 供方逾期交货的，每逾期一日，应按合同总价的千分之五向需方支付违约金。",
    "9.3 违约金累计不超过合同总价的百分之十。",
    "9.4 需方逾期付款的，按同期贷款市场报价利率支付利息。",
)
ADAPTERS = {"en": ("Plain language", "Short answers"), "zh": ("平实文风", "简短回答")}
SAMPLING = {"temperature": 0.2, "seed": 7, "max_tokens": 400}
LONGEST_ANSWER_S = 300
REPORT_CHUNKS = 8  # of 512 tokens: enough for a picture


def main(words: list[str] | None = None) -> int:
    """The exit code. Each look is taken by a process of its own, from a fresh home."""
    arguments = _parser().parse_args(words)
    if arguments.look:
        language, theme = arguments.look.split("-")
        return Session(language, theme, arguments.to).run(arguments.models)
    for language, theme in LOOKS:
        with tempfile.TemporaryDirectory() as home:
            settings = {"language": language, "theme": theme, "default_system": ""}
            (Path(home) / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
            again = [sys.executable, __file__, "--look", f"{language}-{theme}", "--to", arguments.to, *arguments.models]
            path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "fixtures"), os.environ.get("PYTHONPATH", "")])
            subprocess.run(again, env={**os.environ, "DESKSIDE_HOME": home, "PYTHONPATH": path}, check=True)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="GGUF files; the last one answers")
    parser.add_argument("--to", default=str(ROOT / "docs" / "pictures"))
    parser.add_argument("--look", help="take only LANGUAGE-THEME, in the home that is set")
    return parser


class Session:
    """One window in one look."""

    def __init__(self, language: str, theme: str, folder: str) -> None:
        from PySide6.QtGui import QCursor
        from PySide6.QtWidgets import QApplication

        from desktop.client import EngineClient
        from desktop.desk import Desk
        from desktop.theme import theme_keeper
        from desktop.window import Window

        self.application = QApplication.instance() or QApplication(["Deskside"])
        self.language, self.look, self.folder = language, f"{language}-{theme}", Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        client = EngineClient()
        client.start()
        self.desk = Desk(client)
        theme_keeper().apply(theme, 14)
        self.window = Window(self.desk)
        self.window.resize(1280, 800)
        self.window.show()
        QCursor.setPos(self.window.mapToGlobal(self.window.rect().bottomRight()))  # nothing is hovered

    def run(self, models: list[str]) -> int:
        """Take every picture, then close the window."""
        try:
            self._take_all(models)
        finally:
            self.window.close()
        return 0

    def _take_all(self, models: list[str]) -> None:
        self._wait_for(lambda: self.desk.client.state == "ready")
        ids = [self._ask("models.add", path=str(Path(model).resolve()))["models"][0]["id"] for model in models]
        self._picture("welcome")
        self.desk.set(first_start_done=True, default_model=ids[-1])
        chat = self._ask("chats.create", model=ids[-1], sampling=SAMPLING)["id"]
        self.desk.open_page("chat", chat=chat)
        self._settle(1500)
        page: Any = self.desk.page("chat")
        page.stage.send(QUESTIONS[self.language])
        self._wait_for(self._answered, LONGEST_ANSWER_S)
        self._picture("chat")
        self._documents()
        self._convert(models[-1])
        for page in ("models", "jobs", "settings"):
            self.desk.open_page(page)
            self._picture(page)
        self._sections()
        self._palette()
        self._panel(models[-1])

    def _documents(self) -> None:
        """A collection of two small contracts: its files, and an answer with the page it stands on."""
        folder = Path(tempfile.mkdtemp()) / COLLECTION[self.language]
        folder.mkdir()
        _write_contracts(folder)
        self.desk.open_page("documents")
        page: Any = self.desk.page("documents")
        self._settle(1000)
        page.add([str(folder)])
        self._wait_for(lambda: page.rows and page.rows[0]["indexed"] == 2 and not page.jobs.cards)
        self._picture("files")
        page.show_tab("ask")
        page.asking.ask(ASKED[self.language])
        self._wait_for(lambda: page.asking.asked[0].result, LONGEST_ANSWER_S)
        asked = page.asking.asked[0]
        asked.body.cited.emit(asked.result["citations"][-1]["number"])
        self._picture("documents")
        shutil.rmtree(folder.parent)

    def _convert(self, model: str) -> None:
        """A checkpoint becomes a small model, and its report is shown beside what else it could have become."""
        home = Path(os.environ["DESKSIDE_HOME"])
        source = home / Path(model).stem.split(".Q")[0].split("-q4")[0]
        self.desk.open_page("convert")
        page: Any = self.desk.page("convert")
        self._picture("convert-empty")
        page.start("to_hf", {"source": str(Path(model).resolve()), "out": str(source)}, source.name)
        self._wait_for(source.is_dir, LONGEST_ANSWER_S)
        page.look(str(source))
        self._wait_for(page.form.isVisible)
        page.form.targets.choose("Q4_K_M")
        page.form.place.folder.setText(str(home / "converted"))
        page.start("convert", page.form.params() | {"report_chunks": REPORT_CHUNKS}, page.form.title())
        self._wait_for(lambda: page.report.kind == "report", LONGEST_ANSWER_S)
        self._picture("convert")

    def _panel(self, base: str) -> None:
        """What one conversation is answered with, adapters among it. They are made here, and have learnt nothing."""
        import tiny_adapter
        from gguf import GGUFReader

        field = GGUFReader(base).get_field("general.architecture")
        architecture = str(field.contents()) if field else ""
        for seed, name in enumerate(ADAPTERS[self.language]):
            file = Path(os.environ["DESKSIDE_HOME"]) / f"{name}.gguf"
            tiny_adapter.write(file, Path(base), seed=seed, architecture=architecture)
            self._ask("models.add", path=str(file))
        self.desk.open_page("chat")
        page: Any = self.desk.page("chat")
        stage = page.stage
        stage.toggle_panel()
        self._settle(1500)
        stage.panel.settings.adapters.lines[0].box.click()
        self._picture("panel")
        stage.toggle_panel()

    def _sections(self) -> None:
        """Two sections of the settings that are far down: what memory is needed, and the door for other programs."""
        page: Any = self.desk.page("settings")
        page.server.switch()
        self._settle(1500)
        for name in ("memory", "server"):
            card = page.insets[name].parentWidget()
            card.grab().save(str(self.folder / f"{name}-{self.look}.png"))
        page.server.switch()

    def _answered(self) -> bool:
        chats = self._ask("chats.list")["chats"]
        messages = self._ask("chats.get", chat=chats[0]["id"])["messages"] if chats else []
        return len(messages) > 1 and messages[-1]["state"] not in ("streaming", "interrupted")

    def _palette(self) -> None:
        from desktop.palette import Palette

        palette = Palette(self.desk, self.window)
        palette.show()
        self._settle(300)
        palette.grab().save(str(self.folder / f"palette-{self.look}.png"))
        palette.close()

    def _picture(self, name: str) -> None:
        self._settle(1500)
        self.window.grab().save(str(self.folder / f"{name}-{self.look}.png"))

    def _ask(self, call: str, **params: Any) -> dict[str, Any]:
        """A request's result, waited for. Raises UserError, as the engine answers."""
        got: list[dict[str, Any]] = []
        errors: list[Exception] = []
        self.desk.client.call(call, params, result=got.append, error=errors.append)
        self._wait_for(lambda: bool(got or errors))
        if errors:
            raise errors[0]
        return got[0]

    def _wait_for(self, happened: Callable[[], bool], seconds: float = 30.0) -> None:
        for _ in range(int(seconds * 10)):
            if happened():
                return
            self._settle(100)
        raise TimeoutError(f"waited {seconds:.0f} s in vain")

    def _settle(self, milliseconds: int) -> None:
        from PySide6.QtCore import QEventLoop, QTimer

        loop = QEventLoop()
        QTimer.singleShot(milliseconds, loop.quit)
        loop.exec()


def _write_contracts(folder: Path) -> None:
    import pdf_kit

    lines = [(25.0, 35.0 + 9 * place, 12.0, text) for place, text in enumerate(ENGLISH, 1)]
    pdf_kit.plain(folder / "supply agreement.pdf", [[(25, 32, 17, "9  Delays"), *lines]])
    rows = [(60.0, 90.0 + 30 * place, 13.0, text) for place, text in enumerate(CHINESE, 1)]
    pdf_kit.chinese(folder / "设备采购合同.pdf", [(60, 85, 18, "第九条 违约责任"), *rows])


if __name__ == "__main__":
    sys.exit(main())
