"""`deskside docs` as a person calls it: real processes, exit codes, JSON, both languages."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from index_kit import write_folder

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_every_action_explains_itself(deskside: Run) -> None:
    for language in ("C.UTF-8", "zh_CN.UTF-8"):
        done = deskside("docs", "--help", LANG=language)
        assert done.returncode == 0
        assert "import-corpus" in done.stdout
        assert "prove-deleted" in done.stdout
        assert "docs." not in done.stdout


def test_from_new_to_removed(deskside: Run, tmp_path: Path, home: Path) -> None:
    folder = write_folder(tmp_path / "in", 3)
    (folder / "bad.pdf").write_bytes(b"%PDF-1.4 and no more")
    made = json.loads(deskside("docs", "new", "My files", "--json").stdout)
    assert (made["name"], made["files"]) == ("My files", 0)
    added = deskside("docs", "add", "My files", str(folder), "--json")
    assert added.returncode == 0, added.stderr
    told = json.loads(added.stdout)
    assert (told["files"], told["result"]["indexed"], told["result"]["failed"]) == (4, 3, 1)
    assert told["failures"][0]["path"].endswith("bad.pdf")
    assert told["failures"][0]["error"]["code"] == "unreadable_document"
    rows = json.loads(deskside("docs", "list", "My files", "--json").stdout)
    assert sorted(row["name"] for row in rows) == ["bad.pdf", *(f"machine{n:04}.txt" for n in range(3))]
    listed = deskside("docs", "list", LANG="zh_CN.UTF-8").stdout
    assert "My files" in listed
    assert "仅按词检索" in listed
    (folder / "machine0000.txt").write_text("All about pelicans now.", encoding="utf-8")
    (folder / "bad.pdf").unlink()
    synced = json.loads(deskside("docs", "sync", "My files", "--json").stdout)
    assert synced["result"]["changes"] == {"new": 0, "changed": 1, "renamed": 0, "deleted": 1}
    assert deskside("docs", "prove-deleted", "All about pelicans now.").returncode == 1
    deleted = deskside("docs", "delete", "My files", str(folder / "machine0000.txt"), "--prove")
    assert deleted.returncode == 0, deleted.stderr
    assert "Nothing of it was found" in deleted.stdout
    assert deskside("docs", "prove-deleted", "All about pelicans now.").returncode == 0
    removed = deskside("docs", "remove", "My files", "--prove", "--json")
    assert removed.returncode == 0
    assert json.loads(removed.stdout)["found"] == []
    assert json.loads(deskside("docs", "list", "--json").stdout) == []


def test_a_corpus_comes_in(deskside: Run, tmp_path: Path) -> None:
    file = tmp_path / "corpus.jsonl"
    rows = [{"_id": f"d{n}", "title": f"Title {n}", "text": f"第{n}篇文章讲机器。"} for n in range(50)]
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    deskside("docs", "new", "Corpus")
    done = deskside("docs", "import-corpus", "Corpus", str(file), "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["added"], told["bad"], told["result"]["indexed"]) == (50, 0, 50)
    names = {row["name"] for row in json.loads(deskside("docs", "list", "Corpus", "--json").stdout)}
    assert names == {row["_id"] for row in rows}


def test_many_searches_show_how_far_they_are(deskside: Run, tmp_path: Path) -> None:
    deskside("docs", "new", "Machines")
    deskside("docs", "add", "Machines", str(write_folder(tmp_path / "in", 2)))
    queries, out = tmp_path / "queries.jsonl", tmp_path / "run.tsv"
    queries.write_text("".join(json.dumps({"_id": f"q{n}", "text": "machine"}) + "\n" for n in range(3)), "utf-8")
    done = deskside("docs", "run", "Machines", str(queries), "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    assert "100%  3 / 3" in done.stderr and json.loads(done.stdout)["queries"] == 3
    rows = [line.split("\t") for line in out.read_text("utf-8").splitlines()]
    assert sorted({row[0] for row in rows}) == ["q0", "q1", "q2"] and all(row[1].endswith(".txt") for row in rows)


def test_what_the_person_can_mend_is_said_in_their_language(deskside: Run, tmp_path: Path) -> None:
    deskside("docs", "new", "One")
    for words, language, text in (
        (("list", "Nope"), "C.UTF-8", "There is no collection"),
        (("new", "One"), "zh_CN.UTF-8", "已经有名为“One”的文档集"),
        (("add", "One", str(tmp_path / "nowhere")), "C.UTF-8", "There is no"),
        (("delete", "One", "what.txt"), "zh_CN.UTF-8", "没有 what.txt"),
    ):
        done = deskside("docs", *words, LANG=language)
        assert (done.returncode, done.stdout) == (2, "")
        assert text in done.stderr
