"""A Jinja2 environment for chat templates, which come with model files and are hostile input.

Jinja2's immutable sandbox keeps a template from reaching Python's insides; what it does not bound is work. Here
every loop, call, filter and growing text is charged to a budget of one rendering, so that no template hangs the
engine or fills its memory. Everything else is as Hugging Face sets it up, for the templates are written for that.
"""

from __future__ import annotations

import datetime
import functools
import itertools
import json
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes, pass_eval_context
from jinja2.ext import Extension, loopcontrols
from jinja2.filters import sync_do_join
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

MAX_SECONDS = 8.0  # a long conversation takes the slowest of known templates 2
MAX_STEPS = 10_000_000  # turns of loops, calls, and things put into lists
MAX_TEXT = 32 * 1024 * 1024  # characters of one text
MAX_ITEMS = 100_000  # of a range or a repeated list, and any number given to a filter or method

# What templates in use need; left out are those that make much text out of little.
FILTERS = frozenset(
    """abs attr batch capitalize count d default dictsort e escape first float forceescape groupby indent int items
    join last length list lower map max min reject rejectattr replace reverse round safe select selectattr slice sort
    string striptags sum title trim unique upper wordcount""".split()  # noqa: SIM905
)
REFUSED_METHODS = frozenset(("ljust", "rjust", "center", "zfill", "expandtabs", "format_map", "translate", "maketrans"))


class Refused(Exception):
    """The template itself said no: `raise_exception(…)`."""


class TooMuch(Exception):
    """The template used up its budget."""


class Budget(threading.local):
    """What the rendering in this thread may still do."""

    steps = MAX_STEPS
    until = 0.0

    def spend(self, steps: int = 1) -> None:
        """Charge some steps. Raises TooMuch."""
        self.steps -= steps
        if self.steps < 0 or time.monotonic() > self.until:
            raise TooMuch("it works without end")


budget = Budget()


@contextmanager
def limited() -> Iterator[None]:
    """Give the rendering inside a fresh budget."""
    budget.steps, budget.until = MAX_STEPS, time.monotonic() + MAX_SECONDS
    yield


class Environment(ImmutableSandboxedEnvironment):
    """The sandbox with its budget."""

    intercepted_binops = frozenset(("*", "**", "+", "%"))

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """What macros and `{% set %}` blocks have written."""
        return "".join(_checked(list(pieces)))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree: nodes.Template = _charged(super()._parse(source, name, filename))
        return tree

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Arithmetic on texts, lists and numbers, as long as the result stays small."""
        budget.spend()
        _no_namespaces(left, right)
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%" and isinstance(left, str):
            _check_format(left)
        return _checked(super().call_binop(context, operator, left, right))

    def call(self, context: Any, called: Any, *args: Any, **kwargs: Any) -> Any:
        """A function, macro or method, with its arguments looked at first."""
        budget.spend()
        _check_numbers(*args, *kwargs.values())
        method = getattr(called, "__wrapped__", called)  # the sandbox wraps str.format
        owner, name = getattr(method, "__self__", None), getattr(method, "__name__", "")
        if isinstance(owner, str | bytes):
            _no_namespaces(*args, *kwargs.values())
            _check_method(owner, name, args)
        return _checked(super().call(context, called, *args, **kwargs))


def _charged(node: Any) -> Any:
    """The syntax tree with the budget put in: around lists, what loops run over, and in place of `~`."""
    for name, value in list(node.iter_fields()):
        if isinstance(value, list):
            setattr(node, name, [_charged(v) if isinstance(v, nodes.Node) else v for v in value])
        elif isinstance(value, nodes.Node):
            setattr(node, name, _charged(value))
    if isinstance(node, nodes.For):
        node.iter = _filtered(node.iter, "_counted")
    if isinstance(node, nodes.Concat):
        return _filtered(nodes.List(node.nodes, lineno=node.lineno), "_joined")
    if isinstance(node, nodes.List | nodes.Dict) or (isinstance(node, nodes.Tuple) and node.ctx == "load"):
        return _filtered(node, "_checked")
    return node


def _filtered(node: Any, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno)


class _Generation(Extension):
    """`{% generation %}` marks an assistant's words for training; here it only shows them."""

    tags = {"generation"}  # noqa: RUF012  (Jinja2's own way)

    def parse(self, parser: Parser) -> Any:
        """The block's inside, as if the tag were not there."""
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _counted(items: Any) -> list[Any]:
    budget.spend()
    taken = list(itertools.islice(items, budget.steps + 1))
    budget.spend(len(taken))
    return taken


def _joined(values: list[Any]) -> str:
    return "".join([str(value) for value in _checked(values)])


def _guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter that is charged for, with its numbers and its result looked at."""

    @functools.wraps(function)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        budget.spend()
        _no_namespaces(*args)
        _check_numbers(*args, *kwargs.values())
        return _checked(function(*args, **kwargs))

    return guarded


@pass_eval_context
def _join(context: Any, value: Any, d: str = "", attribute: str | int | None = None) -> str:
    items = _checked(_counted(value))
    if len(str(d)) * len(items) > MAX_TEXT:
        raise TooMuch("its text grows without end")
    return str(sync_do_join(context, items, d, attribute))


def _replace(text: Any, old: Any, new: Any, count: int | None = None) -> str:
    _check_method(str(text), "replace", (str(old), str(new)))
    return str(text).replace(str(old), str(new), -1 if count is None else count)


def _check_method(owner: str | bytes, name: str, args: tuple[Any, ...]) -> None:
    """Methods of text that can make much out of little."""
    if name in REFUSED_METHODS:
        raise TooMuch(f"it uses {name}()")
    if name == "format" and isinstance(owner, str):
        _check_format(owner)
    elif name == "replace" and len(args) > 1 and owner.count(args[0]) * len(args[1]) > MAX_TEXT:
        raise TooMuch("its text grows without end")
    elif name == "join" and args and not isinstance(args[0], str):
        items = _checked(_counted(args[0]))
        if len(items) * len(owner) > MAX_TEXT:
            raise TooMuch("its text grows without end")


def _no_namespaces(*values: Any) -> None:
    """A namespace holds whatever was put into it, itself too: it is never written out as text."""
    if any(isinstance(value, Namespace) for value in values):
        raise TooMuch("it writes out a namespace")


def _check_numbers(*values: Any) -> None:
    if any(isinstance(value, int) and abs(value) > MAX_ITEMS for value in values):
        raise TooMuch("it asks for a very large number")


def _check_product(left: Any, right: Any) -> None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, int) and isinstance(other, str | bytes | list | tuple) and one * len(other) > MAX_ITEMS:
            raise TooMuch("it repeats a text without end")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 256:
        raise TooMuch("it counts without end")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * max(right, 1) > 256:
        raise TooMuch("it counts without end")


def _check_format(text: str) -> None:
    """Widths like `%1000000000d` or `{:>1000000000}`, also those taken from an argument."""
    if re.search(r"\d{4,}|\*|\{[^{}]*:[^{}]*\{", text):
        raise TooMuch("it formats a very wide text")


def _checked(value: Any) -> Any:
    """The value, once its texts and everything inside its lists were weighed and charged."""
    if isinstance(value, int | float | None):
        return value
    waiting, size = [value], 0
    while waiting:
        one = waiting.pop()
        if isinstance(one, str | bytes):
            size += len(one)
        elif isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list | tuple | set):
            waiting += one
        elif isinstance(one, Namespace) and one is not value:
            raise TooMuch("it puts namespaces into each other")
        if size > MAX_TEXT:
            raise TooMuch("its text grows without end")
        budget.spend()
    return value


def _written(value: Any) -> Any:
    _no_namespaces(value)
    return value


def _range(*bounds: int) -> range:
    numbers = range(*bounds)
    if len(numbers) > MAX_ITEMS:
        raise TooMuch("it counts without end")
    return numbers


def _refuse(text: object = "") -> None:
    raise Refused(str(text))


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None, **rest: Any) -> str:
    """As Hugging Face does it: letters stay letters, and nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **rest)


@functools.cache
def environment() -> Environment:
    """The one environment; compiled templates are kept by the caller."""
    made = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols, _Generation], finalize=_written)
    kept = {name: _guarded(made.filters[name]) for name in FILTERS & made.filters.keys()}
    made.filters = {**kept, "_counted": _counted, "_joined": _joined, "_checked": _checked}
    made.filters |= {"tojson": _guarded(_to_json), "join": _join, "replace": _replace}
    made.globals = {"range": _range, "namespace": made.globals["namespace"], "dict": dict, "raise_exception": _refuse}
    made.globals["strftime_now"] = lambda form: datetime.datetime.now().strftime(str(form)[:200])
    return made
