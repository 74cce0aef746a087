"""Reports and model cards: whole, hashed, licensed, and safe against what a source wrote."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convert.block_influence import _means, least
from convert.calibration_text import FOLDER, LANGUAGES, Part, chunks, language_of, parts
from convert.compare import Scores
from convert.jobs.compare import summary
from convert.report import Facts, add_quality, bars, front_matter, licence, read, write
from desktop.text import find, set_language
from engine.api.errors import UserError
from engine.api.report_files import card_file, report_file

DRAW = np.random.default_rng(4)


def quality(kl: float = 0.02) -> dict[str, Any]:
    """What the job `compare` gives."""
    scores: list[Scores] = []
    for _ in range(30):
        chunk = np.empty((60, 4), np.float32)
        chunk[:, 0] = DRAW.exponential(kl, 60)
        chunk[:, 1] = DRAW.random(60) < 0.95
        chunk[:, 2] = DRAW.normal(2, 0.4, 60)
        chunk[:, 3] = chunk[:, 2] + kl / 10
        scores.append(chunk)
    found = summary(scores, ["zh", "en"] * 15)
    speed = {"prefill": 812.4, "decode": 31.5}
    return {**found, "speed": {"a": speed, "b": speed}, "memory": {"a": 1 << 30, "b": 1 << 29}, "files": {}}


def facts(name: str = "A model") -> Facts:
    return Facts(
        source={
            "name": name,
            "base": "owner/a-model",
            "files": [{"name": "model.safetensors", "bytes": 1234567, "sha256": "ab" * 32}],
            "license": {"id": "apache-2.0", "name": "", "link": "", "from": "card"},
        },
        result={"name": "A model Q4_K_M", "bytes": 345678, "sha256": "cd" * 32, "type": "Q4_K_M", "bits": 4.85},
        settings={"source": "/home/somebody/models/a-model", "type": "Q4_K_M", "imatrix": "", "merge": ["/x/y.gguf"]},
        tensors={"Q4_K": 120, "F32": 61},
        imatrix={"name": "a.imatrix.gguf", "chunks": 110, "texts": ["deskside-builtin-1"]},
        quality=quality(),
        warnings=["2 values were too large for f16"],
    )


def test_a_report_and_its_card(tmp_path: Path) -> None:
    model = tmp_path / "a-model.Q4_K_M.gguf"
    assert write(model, facts()) == tmp_path / "a-model.Q4_K_M.report.json"
    report, card = read(model), card_file(model).read_text(encoding="utf-8")
    assert report["settings"] == {"source": "a-model", "type": "Q4_K_M", "merge": ["y.gguf"]}
    assert report["quality"]["verdict"] == "good"
    for said in ("ab" * 32, "cd" * 32, "apache-2.0", "4.85 bits", "Good", "120 Q4\\_K", "110 chunks", "| zh |"):
        assert said.replace("\\_", "_") in card, said
    assert "somebody" not in card + report_file(model).read_text(encoding="utf-8")
    assert front_matter(card_file(model)) == {
        "license": "apache-2.0",
        "base_model": "owner/a-model",
        "library_name": "gguf",
    }


def test_quality_comes_later(tmp_path: Path) -> None:
    model, given = tmp_path / "m.gguf", facts()
    given.quality = None
    write(model, given)
    assert "Not measured" in card_file(model).read_text(encoding="utf-8")
    assert bars(read(model)) == []
    add_quality(model, quality(kl=0.3))
    assert "**Usable**" in card_file(model).read_text(encoding="utf-8")
    assert read(model)["quality"]["reasons"] == ["kl_mean"]


def test_a_hostile_source_stays_in_its_place(tmp_path: Path) -> None:
    given = facts('x"\n---\n# Owned\n<script>alert(1)</script> | [click](http://evil) `x`')
    given.source["license"] = {"id": "mit\nbase_model: evil\n---", "name": "", "link": "", "from": "card"}
    write(tmp_path / "m.gguf", given)
    card = card_file(tmp_path / "m.gguf").read_text(encoding="utf-8")
    assert [line for line in card.splitlines() if line.startswith("# ")] == ["# A model Q4_K_M"]
    assert "<script>" not in card.replace("\\<", "")
    assert card.splitlines().count("---") == 2
    assert set(front_matter(card_file(tmp_path / "m.gguf"))) == {"license", "base_model", "library_name"}
    assert front_matter(card_file(tmp_path / "m.gguf"))["base_model"] == "owner/a-model"


def test_the_licence_is_carried_over(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    assert licence(folder)["from"] == ""
    (folder / "LICENSE").write_text("\n  Llama 9 Community License\nmore", encoding="utf-8")
    assert licence(folder)["name"] == "Llama 9 Community License"
    assert licence(folder, "gemma") == {"id": "gemma", "name": "", "link": "", "from": "header"}
    (folder / "README.md").write_text(
        "---\nlicense: other\nlicense_name: llama9\ntags:\n- x\n---\n# Hi", encoding="utf-8"
    )
    assert (licence(folder)["id"], licence(folder)["name"], licence(folder)["from"]) == ("other", "llama9", "card")
    write(tmp_path / "m.gguf", facts(), folder)
    assert (tmp_path / "m.LICENSE.txt").read_text(encoding="utf-8").startswith("\n  Llama 9")


def test_bars_have_words_in_both_languages(tmp_path: Path) -> None:
    write(tmp_path / "m.gguf", facts())
    found = bars(read(tmp_path / "m.gguf"))
    assert len(found) == 3 * 3  # figures times all, zh, en
    for bar in found:
        assert bar["low"] <= bar["value"] <= bar["high"]
    for language in ("en", "zh"):
        set_language(language)
        for bar in found:
            for key in (f"figure_{bar['figure']}", f"language_{bar['language']}", bar["grade"]):
                assert find(f"quality.{key}"), (language, key)
    set_language("en")


@pytest.mark.parametrize("content", [None, "not json", "[]", '{"schema": 99}'])
def test_no_report_is_told(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "m.report.json").write_text(content, encoding="utf-8")
    with pytest.raises(UserError) as caught:
        read(tmp_path / "m.gguf")
    assert caught.value.code == "no_report"


def test_a_report_is_plain_json(tmp_path: Path) -> None:
    text = write(tmp_path / "m.gguf", facts()).read_text(encoding="utf-8")
    said = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert said["result"] == facts().result


# The text ---------------------------------------------------------------------------------------------------------


def test_the_built_in_halves_share_nothing() -> None:
    for name in LANGUAGES:
        halves = [(FOLDER / f"{half}_{name}.txt").read_text(encoding="utf-8") for half in ("calibrate", "measure")]
        paragraphs = [{line for line in half.splitlines() if len(line) > 90} for half in halves]
        assert len(paragraphs[0]) > 20
        assert not paragraphs[0] & paragraphs[1]
    assert sum(file.stat().st_size for file in FOLDER.glob("*.txt")) < 700_000


def test_languages_take_turns() -> None:
    texts = (Part("zh", "z" * 50), Part("en", "e" * 30), Part("code", "c" * 9))
    found = chunks(texts, lambda text: [ord(letter) for letter in text], lambda tokens: "", 10)
    assert [chunk.language for chunk in found] == ["zh", "en", "zh", "en", "zh", "en", "zh", "zh"]
    assert [chunk.language for chunk in chunks(texts, lambda text: [*text.encode()], lambda tokens: "", 10, 3)] == [
        "zh",
        "en",
        "zh",
    ]


@pytest.mark.parametrize("name", LANGUAGES)
def test_languages_are_recognized_in_the_built_in_text(name: str) -> None:
    text = next(part.text for part in parts("builtin", "measure") if part.language == name)
    pieces = [text[start : start + 1500] for start in range(0, len(text) - 1500, 1500)]
    right = sum(language_of(piece) == name for piece in pieces)
    assert right / len(pieces) > 0.85


def test_other_languages_are_neither() -> None:
    assert language_of("Съешь же ещё этих мягких французских булок, да выпей чаю.") == "other"


# Pruning ----------------------------------------------------------------------------------------------------------


def test_blocks_with_least_influence_but_never_the_ends() -> None:
    assert least({0: 0.0, 1: 0.3, 2: 0.1, 3: 0.2, 4: 0.0}, 2) == [2, 3]


def test_influence_needs_every_block() -> None:
    found = _means({0: 1.0, 1: 3.0}, {0: 4, 1: 4}, Path("m.gguf"))
    assert found == {0: 0.75, 1: 0.25}
    with pytest.raises(UserError) as caught:
        _means({0: 1.0, 2: 3.0}, {0: 4, 2: 4}, Path("m.gguf"))
    assert caught.value.code == "no_influence"
