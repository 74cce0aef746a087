"""`deskside chat [PROMPT]`: one answer, or a conversation in the terminal."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from desktop.conversation import Conversation, talk
from desktop.pipe import EnginePipe
from desktop.terminal import print_json
from desktop.text import tr
from engine.api.errors import UserError

HELP = "commands.chat"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help=tr("commands.prompt"))
    parser.add_argument("--model", default="", metavar="NAME", help=tr("commands.model"))
    parser.add_argument("--system", default="", metavar="TEXT", help=tr("commands.system"))
    parser.add_argument("--max-tokens", type=int, metavar="N", help=tr("commands.max_tokens"))
    parser.add_argument("--temperature", type=float, metavar="X", help=tr("commands.temperature"))
    parser.add_argument("--seed", type=int, metavar="N", help=tr("commands.seed"))
    parser.add_argument("--json", action="store_true", help=tr("commands.json"))


def run(args: argparse.Namespace) -> int:
    prompt = read_prompt(args)
    with EnginePipe() as engine:
        conversation = Conversation(engine, model=args.model, system=args.system, sampling=sampling(args))
        if not prompt:
            return talk(conversation)
        answer = conversation.send(prompt, write=(lambda text: None) if args.json else write)
        if args.json:
            print_json(as_json(answer))
        else:
            print()
    return 0


def read_prompt(args: argparse.Namespace) -> str:
    """The prompt, "" for a conversation. Raises UserError no_prompt where there is neither text nor a person."""
    if args.prompt and args.prompt != "-":
        return str(args.prompt)
    if sys.stdin.isatty() and not args.json:
        return ""
    text = sys.stdin.read().strip()
    if not text:
        raise UserError("no_prompt", "There is no prompt to answer.", 'Write it after the command: deskside chat "Hi"')
    return text


def sampling(args: argparse.Namespace) -> dict[str, Any]:
    """What was asked for of the sampler; the engine says which values are possible."""
    asked = {"max_tokens": args.max_tokens, "temperature": args.temperature, "seed": args.seed}
    return {name: value for name, value in asked.items() if value is not None}


def as_json(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as `--json` prints it."""
    names = ("text", "thinking", "model", "chat", "state", "stats", "sent")
    return {"message": answer["id"], **{name: answer.get(name) for name in names}}


def write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
