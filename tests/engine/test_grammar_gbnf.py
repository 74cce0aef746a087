"""Bad grammars are told by line, and nothing that is let through ends or hangs llama.cpp."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from grammar_walks import accepts
from real_models import smollm2

from engine.api.errors import UserError
from engine.api.sampling import Sampling
from engine.generation import Grammar
from engine.grammar.gbnf import check
from engine.grammar.json_schema import to_gbnf
from engine.llama.constraint import Constraint
from engine.llama.load import LoadSettings, load
from engine.llama.model import Model
from engine.llama.sample import Sampler

ROOT = Path(__file__).parents[2]

GOOD = [
    ('root ::= "a" | b # remark\nb ::= [a-z]+\n', ["a", "xyz"], ["", "1"]),
    ('\r\nroot ::=\n  ( "a" |\n "b" )\r\n# end', ["a", "b"], ["ab"]),
    (r'root ::= "\x41\u00e9\U0001F600\n\"\\" [\]\-^]', ['Aé😀\n"\\]', 'Aé😀\n"\\^'], ["A"]),
    ("root ::= [^a-c]{2,3} .?", ["xy", "xyzz"], ["ax", "x"]),
    ('root ::= ("a" "b"?){2}{2} "c"*', ["aaaa", "abaabacc"], ["aaa"]),
    ('root ::= "" | ("x" root)', ["", "xxx"], ["y"]),
    ('root ::= list\nlist ::= "[" (list ("," list)*)? "]"', ["[[],[[]]]"], ["["]),
    ("root ::= ([a-z]? [0-9]?)*", ["a1b2", ""], ["-"]),
    ("root ::= [a-] [-a] [a\\-z]", ["---", "aaz"], ["b--"]),
]

BAD = {
    "": (1, "no rule root"),
    "b ::= root": (1, "there is no rule root"),
    'root ::= "a': (1, "missing"),
    'root ::= "a"\n\nx ::= [a': (3, "missing"),
    'root ::= "a" )': (1, "')'"),
    'root ::= ("a"': (1, ") is missing"),
    "root ::= nothing": (1, "no rule nothing"),
    'root ::= "a"\nroot ::= "b"': (2, "twice"),
    'root "a"': (1, "::="),
    'root ::= "\\q"': (1, "\\q"),
    'root ::= "\\x4"': (1, "\\x"),
    "root ::= []": (1, "empty"),
    "root ::= [z-a]": (1, "range"),
    "root ::= *": (1, "nothing before"),
    'root ::= "a"{3,1}': (1, "below"),
    'root ::= "a"{x}': (1, "repetition"),
    'root ::= "a"{1,100000000}': (1, "repetitions"),
    'root ::= "a"{99999999999999999999}': (1, "repetition"),
    'root ::= ("a"{0,100}){100}': (1, "repetitions"),
    'root ::= "a"\n| "b"': (2, "name of a rule"),
    "root ::= <[5]>": (1, "tokens"),
    "root ::= a_b": (1, "'_'"),
    'root ::= "\0"': (1, "missing"),
    'root ::= root "a" | "b"': (1, "begins with itself"),
    'root ::= a "x" | "y"\na ::= b\nb ::= "" | root': (1, "begins with itself"),
    'root ::= x root "y" | "z"\nx ::= e e\ne ::= ""': (1, "begins with itself"),
    "root ::= " + "(" * 500 + '"a"' + ")" * 500: (1, "inside each other"),
    'root ::= "' + "a" * 1000 + '"{1999}': (1, "too large"),
    'root ::= ("a" | "a")*': (1, "too many ways"),
    'root ::= ("x"?){900}': (1, "too many ways"),
    'root ::= "q" (" "* " "*)*': (1, "too many ways"),
    "root ::= r0\n" + "".join(f"r{n} ::= r{n + 1}\n" for n in range(5000)) + 'r5000 ::= "a"': (1, "chain"),
    "root ::= r0\n" + "".join(f'r{n} ::= r{n + 1} "a" | r{n + 1} "b"\n' for n in range(60)) + 'r60 ::= "a"': (
        1,
        "too many",
    ),
    'root ::= "b" ("a" | "")*': (1, "may be nothing"),
    "x" * 2_000_000: (1, "longer"),
}


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case[0][:40])
def test_good_grammars(case: tuple[str, list[str], list[str]]) -> None:
    gbnf, good, bad = case
    check(gbnf)
    assert [accepts(gbnf, text) for text in good + bad] == [True] * len(good) + [False] * len(bad)


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:40])
def test_bad_grammars_are_told_by_line(text: str) -> None:
    with pytest.raises(UserError) as error:
        check(text)
    line, detail = BAD[text]
    assert error.value.code == "bad_grammar"
    assert (error.value.values["line"], detail in str(error.value.values["detail"])) == (line, True)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    loaded = load(smollm2(), LoadSettings(context_size=512, threads=1))
    yield loaded
    loaded.close()


def taken(model: Model, gbnf: str, text: str) -> bool:
    """Whether llama.cpp's own matcher takes a text, cut into the tokens of a real vocabulary, and then its end."""
    constraint = Constraint(model, Grammar(gbnf))
    try:
        for token in model.tokenize(text, special=False):
            if not constraint.allows(token):
                return False
            constraint.accept(token)
        end = next(token for token in range(model.vocab_size) if model.is_end(token))
        return constraint.allows(end)
    finally:
        constraint.close()


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case[0][:40])
def test_llama_cpp_reads_grammars_as_we_do(model: Model, case: tuple[str, list[str], list[str]]) -> None:
    gbnf, good, bad = case
    assert [taken(model, gbnf, text) for text in good + bad] == [True] * len(good) + [False] * len(bad)


def test_llama_cpp_takes_valid_json_of_real_schemas(model: Model) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 700},
            "when": {"type": "string", "format": "date-time"},
            "degrees": {"type": "number", "minimum": -80, "maximum": 60},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}, "maxItems": 1500},
            "more": {},
        },
        "required": ["city"],
        "additionalProperties": False,
    }
    gbnf = to_gbnf(schema)
    value = {"city": '北京 "x" 😀 \\', "when": "2024-02-29T12:30:00Z", "degrees": -3.25, "tags": ["ab"] * 40}
    assert taken(model, gbnf, json.dumps(value, ensure_ascii=False))
    assert taken(model, gbnf, json.dumps({**value, "more": {"a": [1.5e3, None, {}]}}, indent=None))
    assert not taken(model, gbnf, json.dumps({**value, "degrees": 61}))
    assert not taken(model, gbnf, json.dumps({**value, "city": "x" * 701}))


# Each that our check lets through is given to llama.cpp in a process of its own, which must live, and read as we do.
ATOMS = ['"a"', '"ab"', '("" | "b")', "[a-c]", "[^a]", ".", "x", '("c" y)', '(" " root)', '"é"']
TIMES = ["", "", "", "", "", "*", "+", "?", "{2}", "{0,3}", "{1,}", "{2}?"]
WORDS = ("aaaaaaaa", "abcabc", "a b", "\n\n", "ca", "éa", "", "        x")
STRANGE = """
import json, sys
from pathlib import Path
from engine.api.errors import UserError
from engine.generation import Grammar
from engine.llama.constraint import Constraint
from engine.llama.load import LoadSettings, load

def taken(gbnf, tokens):
    constraint = Constraint(model, Grammar(gbnf))
    try:
        for token in tokens:
            if not constraint.allows(token):
                return False
            constraint.accept(token)
        return constraint.allows(2)
    finally:
        constraint.close()

model = load(Path(sys.argv[1]), LoadSettings(context_size=64, threads=1))
given = json.loads(Path(sys.argv[2]).read_text("utf-8"))
words = [model.tokenize(text) for text in given["words"]]
told = []
for gbnf in given["grammars"]:
    try:
        told.append([taken(gbnf, tokens) for tokens in words])
    except UserError as error:
        told.append(error.text)
print(json.dumps(told))
"""


def test_no_grammar_ends_the_process(tmp_path: Path) -> None:
    chance = random.Random(7)
    grammars = [_strange(chance) for _ in range(900)] + list(BAD)
    (tmp_path / "given").write_text(json.dumps({"grammars": grammars, "words": WORDS}), "utf-8")
    call = [sys.executable, "-c", STRANGE, str(smollm2()), str(tmp_path / "given")]
    done = subprocess.run(call, capture_output=True, text=True, cwd=ROOT, timeout=240, check=False)
    assert (done.returncode, done.stderr[-2000:] if done.returncode else "") == (0, "")
    told = dict(zip(grammars, json.loads(done.stdout), strict=True))
    taken = {gbnf: answers for gbnf, answers in told.items() if isinstance(answers, list)}
    assert len(taken) > 150
    assert not set(taken) & set(BAD)
    assert not [gbnf for gbnf, answer in told.items() if "does not understand" in str(answer)]
    assert taken == {gbnf: [accepts(gbnf, word) for word in WORDS] for gbnf in taken}


def _strange(chance: random.Random) -> str:
    return "\n".join(f"{name} ::= {_either(chance, 2)}" for name in ("root", "x", "y"))


def _either(chance: random.Random, depth: int) -> str:
    return " | ".join(
        " ".join(_item(chance, depth) for _ in range(chance.randint(1, 3))) for _ in range(chance.randint(1, 2))
    )


def _item(chance: random.Random, depth: int) -> str:
    grouped = depth > 0 and chance.random() < 0.3
    return (f"({_either(chance, depth - 1)})" if grouped else chance.choice(ATOMS)) + chance.choice(TIMES)


def test_a_sampler_refuses_bad_grammars_and_lives_on(model: Model) -> None:
    for text in ("root ::= (", 'root ::= "a"{100000000}'):
        with pytest.raises(UserError, match="line 1"):
            Sampler(model, Sampling(), [], Grammar(text))
    Sampler(model, Sampling(), [], Grammar('root ::= "a"')).close()
