"""`deskside merge`: one checkpoint of several, or of a base and a LoRA adapter."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from desktop.conversion_terminal import run_job
from desktop.pipe import EnginePipe
from desktop.text import bytes_text, tr
from engine.api.errors import UserError
from engine.api.hub_names import hub_name

HELP = "convert_shape.help_merge"
METHODS = ("adapter", "linear", "slerp", "ties", "dare")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", choices=METHODS, help=tr("convert_shape.method"))
    parser.add_argument("out", metavar="OUT", help=tr("convert.out_folder"))
    parser.add_argument("models", nargs="+", metavar="FOLDER[:WEIGHT[:DENSITY]]", help=tr("convert_shape.models"))
    parser.add_argument("--base", default="", metavar="FOLDER", help=tr("convert_shape.merge_base"))
    parser.add_argument("--type", default="", choices=["", "f32", "f16", "bf16"], help=tr("convert_shape.merge_type"))
    parser.add_argument("--seed", type=int, default=0, metavar="N", help=tr("convert_shape.seed"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"method": args.method, "out": args.out, "models": [_model(text) for text in args.models]}
    params |= {"type": args.type, "seed": args.seed} | ({"base": args.base} if args.base else {})
    with EnginePipe() as engine:
        made = run_job(engine, "merge", params, args)
    if made and not args.json:
        print(tr("convert_shape.written", path=made["path"], size=bytes_text(made["bytes"])))
    return 0


def _model(text: str) -> dict[str, Any]:
    """A folder or a name on a hub, and after colons its weight and density; a folder's own name may hold colons."""
    path, figures = text, list[str]()
    while len(figures) < 2 and not Path(path).expanduser().exists() and not hub_name(path) and ":" in path:
        path, _, figure = path.rpartition(":")
        figures.insert(0, figure)
    found: dict[str, Any] = {"path": hub_name(path) or str(Path(path).expanduser().absolute())}
    try:
        return found | dict(zip(("weight", "density"), map(float, figures), strict=False))
    except ValueError:
        raise UserError(
            "bad_numbers",
            f"{text!r} is no list of numbers.",
            "Write it as FOLDER:0.7 or FOLDER:0.7:0.5.",
            given=":".join(figures)[:100],
        ) from None
