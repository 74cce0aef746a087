"""The report of a made folder of weights, asked of the engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desktop.pipe import EnginePipe
from engine.api.errors import UserError


def test_a_folder_has_its_report_inside(engine: EnginePipe, tmp_path: Path) -> None:
    folder = tmp_path / "made"
    folder.mkdir()
    with pytest.raises(UserError) as caught:
        engine.ask("convert.report", path=str(folder))
    assert caught.value.code == "no_report"
    (folder / "report.json").write_text(json.dumps({"schema": 1}), encoding="utf-8")
    assert engine.ask("convert.report", path=str(folder)) == {"schema": 1}
