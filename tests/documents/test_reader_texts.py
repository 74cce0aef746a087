"""Formats that are text: their structure is kept, their marks are not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.api.errors import UserError
from engine.documents.block import Document, Limits, assemble
from engine.documents.formats import reader_for
from engine.documents.reading import read_document

MARKDOWN = """---
title: "Field notes"
---
# Top

Some **bold** and a [link](http://example.org) text
that goes on. 中文段落
继续写。

3. third
4. fourth
   - inner one
     more of it

| a | b |
|---|---|
| 1 | 2 |

```python
x = 1

y = 2
```

<div>raw <b>html</b></div>
"""
RST = """=====
Title
=====

Intro with ``code`` and :ref:`Some label <lab>` here::

    literal block

Section
-------

- item one
  continues
- item two

+------+-------+
| City | Pop   |
+======+=======+
| Gent | 265   |
|      | 086   |
+------+-------+

===== =====
A     B
===== =====
1     two
===== =====

.. note:: This is noted.
"""
ORG = """#+TITLE: Org title
* Head one :tag:
Text here with [[http://x][a link]].
More text.
** Sub
- item a
  goes on
- item b

| a | b |
|---+---|
| 1 | 2 |

#+BEGIN_SRC python
x = 1

y = 2
#+END_SRC
end.
"""
TEX = r"""\documentclass{article}
\title{On \emph{Bridges}}
\begin{document}
\section{Introduction}\label{sec:i}
The bridge is 42\,m long~\cite{smith2001}. % a comment
It costs 30\% more.

\begin{itemize}
\item First thing
\item Second thing
\end{itemize}
\begin{tabular}{lr}
City & Pop \\
Ghent & 265 \\
\end{tabular}
\begin{verbatim}
code here
\end{verbatim}
\end{document}"""


def read(folder: Path, name: str, text: str) -> Document:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return assemble(reader_for(path).read(path, Limits()))


def kinds(document: Document) -> list[tuple[str, str]]:
    return [(block.kind, block.text) for block in document.blocks]


def test_markdown(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, "a.md", MARKDOWN)) == [
        ("note", 'title: "Field notes"'),
        ("heading", "Top"),
        ("text", "Some bold and a link text that goes on. 中文段落继续写。"),
        ("list", "3. third"),
        ("list", "4. fourth"),
        ("list", "  - inner one more of it"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", "x = 1\n\ny = 2"),
        ("text", "raw  html"),
    ]


def test_the_title_of_front_matter_is_the_documents(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(MARKDOWN, encoding="utf-8")
    assert read_document(tmp_path / "a.md").title == "Field notes"


def test_rst(tmp_path: Path) -> None:
    document = read(tmp_path, "a.rst", RST)
    assert [(block.text, block.level) for block in document.blocks if block.kind == "heading"] == [
        ("Title", 1),
        ("Section", 2),
    ]
    assert kinds(document)[1:3] == [("text", "Intro with code and Some label here"), ("code", "    literal block")]
    assert kinds(document)[4:] == [
        ("list", "- item one continues"),
        ("list", "- item two"),
        ("table", "| City | Pop |\n| --- | --- |\n| Gent | 265 086 |"),
        ("table", "| A | B |\n| --- | --- |\n| 1 | two |"),
        ("note", "This is noted."),
    ]


def test_org(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, "a.org", ORG))[1:] == [
        ("heading", "Head one"),
        ("text", "Text here with a link. More text."),
        ("heading", "Sub"),
        ("list", "- item a goes on"),
        ("list", "- item b"),
        ("table", "| a | b |\n| --- | --- |\n| 1 | 2 |"),
        ("code", "x = 1\n\ny = 2"),
        ("text", "end."),
    ]


def test_tex(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, "a.tex", TEX)) == [
        ("heading", "Introduction"),
        ("text", "The bridge is 42 m long [smith2001]. It costs 30% more."),
        ("list", "- First thing"),
        ("list", "- Second thing"),
        ("table", "| City | Pop |\n| --- | --- |\n| Ghent | 265 |"),
        ("code", "code here"),
    ]


def test_json_values_stand_with_their_keys(tmp_path: Path) -> None:
    data = [{"name": "Ada", "born": 1815, "tags": ["x", "y"], "at": {"city": "伦敦"}}, {"name": "王", "born": None}]
    document = read(tmp_path, "a.json", json.dumps(data))
    assert [block.text for block in document.blocks] == [
        "name: Ada\nborn: 1815\ntags: x, y\nat.city: 伦敦",
        "name: 王\nborn: null",
    ]


def test_json_lines_are_records(tmp_path: Path) -> None:
    document = read(tmp_path, "a.jsonl", '{"_id": "1", "text": "one"}\n{"_id": "2", "text": "two"}\n')
    assert [block.text for block in document.blocks] == ["_id: 1\ntext: one", "_id: 2\ntext: two"]


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000, "9" * 10_000, '{"a": 1} trailing', "NaN"])
def test_what_is_no_json_is_text_all_the_same(tmp_path: Path, text: str) -> None:
    document = read(tmp_path, "a.json", text)
    assert document.text.replace("\n", "")[:4] == text[:4]


def test_a_notebook_has_words_code_and_results(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Study\n", "We **measure**."]},
        {"cell_type": "code", "source": "6 * 7", "outputs": [{"data": {"text/plain": ["42"]}}, {"text": "printed"}]},
    ]
    document = read(tmp_path, "a.ipynb", json.dumps({"cells": cells}))
    assert kinds(document) == [
        ("heading", "Study"),
        ("text", "We measure."),
        ("code", "6 * 7"),
        ("code", "42"),
        ("code", "printed"),
    ]


def test_programs_are_cut_between_definitions(tmp_path: Path) -> None:
    one = "def one():\n" + "\n".join(f"    a{n} = {n}" for n in range(8))
    two = "def two():\n    return 2"
    document = read(tmp_path, "a.py", f"{one}\n\n\n{two}\n")
    assert kinds(document) == [("code", one), ("code", two)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.srt",
            "1\n00:00:05,000 --> 00:00:07,000\nHello <i>there</i>,\nGeneral.\n\n"
            "2\n00:03:05,000 --> 00:03:07,000\nBye.\n",
            ["[00:00:05] Hello there, General.", "[00:03:05] Bye."],
        ),
        (
            "a.vtt",
            "WEBVTT\n\n00:05.000 --> 00:07.000\nHello there\n\n01:00:05.000 --> 01:00:07.000\n<v Bob>Bye now.\n",
            ["[00:05] Hello there", "[01:00:05] Bye now."],
        ),
        (
            "a.ass",
            "[Events]\nFormat: Layer\nDialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,{\\b1}你好\\N世界\n",
            ["[0:00:01] 你好世界"],
        ),
    ],
)
def test_subtitles_keep_their_times(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    assert [block.text for block in read(tmp_path, name, text).blocks] == expected


def test_a_log_is_cut_between_entries(tmp_path: Path) -> None:
    entries = [f"2024-01-{n % 28 + 1:02} entry {n} {'x' * 80}\n  at line {n}" for n in range(60)]
    document = read(tmp_path, "a.log", "\n".join(entries))
    assert len(document.blocks) > 2
    assert all(block.text.startswith("2024") for block in document.blocks)
    assert document.text.replace("\n\n", "\n") == "\n".join(entries)


def test_xml_gives_values_with_their_names(tmp_path: Path) -> None:
    text = (
        '<catalog><book id="b1"><title>Sea</title><price currency="EUR">12.5</price></book>'
        "<chapter><title>First</title><p>Some <b>mixed</b> text.</p></chapter></catalog>"
    )
    assert kinds(read(tmp_path, "a.xml", text)) == [
        ("text", "id: b1\ntitle: Sea\nprice: currency: EUR 12.5"),
        ("heading", "First"),
        ("text", "Some mixed text."),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><l>&b;</l>',
        '<!DOCTYPE l [<!ENTITY f SYSTEM "file:///etc/passwd">]><l>&f;</l>',
        "<open><never>closed",
        "",
    ],
)
def test_xml_that_attacks_or_breaks_off_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError) as failure:
        read(tmp_path, "a.xml", text)
    assert failure.value.code == "unreadable_document"


@pytest.mark.parametrize("name", ["a.md", "a.rst", "a.org", "a.tex", "a.json", "a.py", "a.srt", "a.log", "a.txt"])
def test_hostile_text_is_refused_or_read(tmp_path: Path, name: str) -> None:
    """No text, an empty file, and text that nests or repeats without end."""
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 20)
    with pytest.raises(UserError) as failure:
        list(reader_for(path).read(path, Limits()))
    assert failure.value.code == "unsupported_document"
    assert read(tmp_path, name, "").blocks == ()
    for text in ("[" * 3000, "{" * 3000, "* " * 3000, "\\begin{tabular}" * 300, "|" * 3000, "> " * 3000, "==\n" * 500):
        assert len(read(tmp_path, name, text).text) < 20_000


@pytest.mark.parametrize("name", ["a.md", "a.txt", "a.json", "a.tex", "a.log"])
def test_text_beyond_the_limit_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("word " * 1000, encoding="utf-8")
    with pytest.raises(UserError) as failure:
        list(reader_for(path).read(path, Limits(characters=1000)))
    assert failure.value.code == "too_large_document"
