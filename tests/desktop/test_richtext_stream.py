"""The parsing of streamed Markdown: wherever it is cut the blocks are the same, and the work stays flat."""

from __future__ import annotations

import random

import pytest

from desktop.widgets.richtext.blocks import BOLD, CODE, ITALIC, Block, Run
from desktop.widgets.richtext.formula import HEAVIEST, formula, weight
from desktop.widgets.richtext.stream import Stream

ANSWER = """# Title *one*

A **bold** word, `code`, a [link](https://example.com), https://example.org/a_b. And $a^2$, \\(b\\); $5 or $6.
Second line

1. First
   - nested **x**
     - deeper

   a paragraph
2. Second

* other list
- [ ] open
- [x] done

| a | b |
|:--|--:|
| 1 | `2` |
| 三 | **四** |
after the table?

```python
def f():
    return "```"

```

> quote
> - in quote
lazy

$$
x = \\frac{1}{2}
$$

Setext
===

---

    indented code

~~~
never closed
"""

SCRAPS = [
    *(
        "- ",
        "1. ",
        "a ",
        "**b** ",
        "*",
        "`",
        "\n",
        "\n\n",
        "```\n",
        "```py\n",
        "> ",
        "# ",
        "| a | b |\n",
        "|---|:-:|\n",
    ),
    *("中文，", "**粗**，", "$x$", "$$", "\\[", "\\]", "    ", "  ", "---\n", "===\n", "~~", "[l](http://x.y)", "\t"),
    *("word " * 150, "https://a.b/c_d ", " $5 ", "![i](u)", "<b>", "\\", "x\n- y\n", "😀", "~~~\n", "[r]: http://x\n"),
]


def whole(text: str) -> list[Block]:
    """The blocks of a text given at once."""
    return Stream().feed(text, final=True)


def cut(text: str, sizes: list[int]) -> list[Block]:
    """The blocks of a text given in pieces of these sizes, over and over."""
    stream, done, at, turn = Stream(), [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        done += stream.feed(text[at : at + size])
        at, turn = at + size, turn + 1
    return done + stream.feed("", final=True)


@pytest.mark.parametrize("sizes", [[1], [2], [3], [7], [50], [1, 9, 4]])
def test_pieces_of_any_size_give_the_same_blocks(sizes: list[int]) -> None:
    assert cut(ANSWER, sizes) == whole(ANSWER)


def test_a_cut_at_every_place_gives_the_same_blocks() -> None:
    expected = whole(ANSWER)
    for at in range(len(ANSWER)):
        stream = Stream()
        assert stream.feed(ANSWER[:at]) + stream.feed(ANSWER[at:]) + stream.feed("", final=True) == expected


@pytest.mark.parametrize("seed", range(150))
def test_scraps_of_markdown_in_any_order_and_cut_give_the_same_blocks(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choice(SCRAPS) for _ in range(chance.randint(1, 25)))
    sizes = [chance.randint(1, 40) for _ in range(20)]
    assert cut(text, sizes) == whole(text)


def test_final_blocks_never_come_twice_and_open_ones_continue_them() -> None:
    stream = Stream()
    done: list[Block] = []
    for letter in ANSWER:
        done += stream.feed(letter)
        shown = [block.text for block in done + stream.open]
        assert shown[: len(done)] == [block.text for block in whole(ANSWER)][: len(done)]


@pytest.mark.parametrize(
    ("unit", "begin"),
    [
        ("word and **strong** words, ", ""),
        ("合同约定，逾期交货的**违约金**为千分之五。", ""),
        ("- an item with **something** to say\n", ""),
        ("value = compute('text')\n", "```python\n"),
        ("| row | text | 7 |\n", "| a | b | c |\n|---|---|---|\n"),
        ("A paragraph.\n\n", ""),
        ("  - nested item\n", "- top\n"),
        ("> quoted line\n", ""),
        ("stray * star_ and ` tick ", "*"),
    ],
)
def test_characters_parsed_stay_in_proportion_however_long_the_text(unit: str, begin: str) -> None:
    def work(size: int) -> int:
        stream = Stream()
        text = begin + unit * (size // len(unit))
        for at in range(0, len(text), 4):
            stream.feed(text[at : at + 4])
        return stream.parsed

    early, late = work(4000), work(16000)
    assert late - early <= 1.6 * 3 * max(early, 4000)


def runs(text: str) -> tuple[Run, ...]:
    """The runs of a text of one block."""
    (block,) = whole(text)
    return block.runs


@pytest.mark.parametrize(
    ("text", "bold"),
    [
        ("**粗体**，后面", "粗体"),
        ("前面**百分之十（含税）**后面", "百分之十（含税）"),
        ("他说**“你好”**然后走了", "“你好”"),
        ("**注意：**请看", "注意："),
        ("a **b** c", "b"),
    ],
)
def test_bold_beside_chinese_punctuation(text: str, bold: str) -> None:
    assert [run.text for run in runs(text) if run.style == BOLD] == [bold]


def test_emphasis_keeps_to_the_common_rules_elsewhere() -> None:
    assert runs("snake_case_name and 5 * 3 * 2") == (Run("snake_case_name and 5 * 3 * 2"),)
    assert runs("*a* _b_")[0] == Run("a", ITALIC)
    assert runs("`**x**`") == (Run("**x**", CODE),)


def test_html_is_text_and_images_are_links_at_most() -> None:
    assert runs("<script>x</script>") == (Run("<script>x</script>"),)
    assert runs("![alt](https://x.y/z.png)") == (Run("alt", 0, "https://x.y/z.png"),)
    assert runs("![alt](pictures/z.png)") == (Run("alt"),)
    assert not any(run.link for run in runs("![alt](file:///etc/passwd) [x](javascript:y)"))
    assert runs("[a](ftp://x) [b](other.html) [c](mailto:d@e.f)")[-1].link == "mailto:d@e.f"
    assert [run.link for run in runs("[a](ftp://x) [b](other.html)")] == [""]


@pytest.mark.parametrize("text", ["$a$", "\\(a\\)", "$$a$$ b", "\\[a\\] b"])
def test_formulas_in_a_line(text: str) -> None:
    assert runs(text)[0].math == "a"


@pytest.mark.parametrize("text", ["$$\na\n$$", "\\[\na\n\\]", "$$a$$", "\\[ a \\]"])
def test_formulas_on_lines_of_their_own(text: str) -> None:
    (block,) = whole(text)
    assert (block.kind, block.runs[0].math, block.runs[0].display) == ("math", "a", True)


@pytest.mark.parametrize("text", ["$5 and $10", "costs 5$ or 6$", "a $ b $ c", "$$", "\\(", "$" * 500, "\\[" * 500])
def test_prices_and_loose_marks_stay_text(text: str) -> None:
    assert not any(run.math for block in whole(text) for run in block.runs)


def test_lists_number_on_and_nest() -> None:
    blocks = whole("3. c\n3. d\n   - e\n4. f")
    assert [(block.marker, block.indent) for block in blocks] == [("3.", 1), ("4.", 1), ("•", 2), ("5.", 1)]


def test_alignments_of_a_table_are_kept() -> None:
    rows = whole("|a|b|c|\n|:-|-:|:-:|\n|1|2|3|")
    assert rows[1].aligns == ("left", "right", "center")
    assert [row.text for row in rows] == ["a\tb\tc", "1\t2\t3"]


def test_foreign_characters_do_no_harm() -> None:
    (block,) = whole("a\ufdd0b\u2029c\ud800d\ufffce")
    assert "\ufdd0" not in block.text and "\ud800" not in block.text and "\ufffc" not in block.text


@pytest.mark.parametrize("latex", ["\\frac{", "}{", "\\nosuch{", "\\left(", "\\begin{matrix}", "x" * 5000])
def test_bad_formulas_never_raise(latex: str) -> None:
    found = formula(latex, True, 14.0, "#000000")
    assert found is None or found.width > 0


@pytest.mark.parametrize("latex", ["\\frac{1}{" * 40 + "x" + "}" * 40, "\\left(" * 20, "x^{" * 30 + "x" + "}" * 30])
def test_formulas_that_would_take_minutes_are_not_tried(latex: str) -> None:
    assert weight(latex) > HEAVIEST
    assert formula(latex, True, 14.0, "#000000") is None


def test_a_formula_has_a_baseline_inside_its_height() -> None:
    found = formula("\\frac{a}{b}", False, 14.0, "#000000")
    assert found is not None
    assert 0 < found.ascent < found.height
