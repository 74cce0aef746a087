"""The model card: what a report says, as Markdown for people. Nothing a source wrote can break out of its place."""

from __future__ import annotations

import json
import re
from typing import Any

VERDICTS = {
    "good": "**Good**: hardly to be told from the source.",
    "usable": "**Usable**: noticeably different from the source, still sensible.",
    "damaged": "**Damaged**: it has lost much of what the source can do.",
}


def card(report: dict[str, Any]) -> str:
    """The card as Markdown, front matter first. Texts of the source cannot break out of their places."""
    parts = [_front(report), f"# {_plain(report['result'].get('name', ''))}", _origin(report), _files(report)]
    parts += [_quality(report["quality"]), _matrix(report["imatrix"]), _settings(report), _warnings(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(report: dict[str, Any]) -> str:
    source = report["source"]
    own = source.get("license") or {}
    values = {
        "license": own.get("id"),
        "license_name": own.get("name"),
        "license_link": own.get("link"),
        "base_model": source.get("base"),
        "library_name": "transformers" if report["result"].get("files") else "gguf",
    }
    lines = [f"{key}: {json.dumps(str(value), ensure_ascii=False)}" for key, value in values.items() if value]
    return "\n".join(["---", *lines, "---"])


def _origin(report: dict[str, Any]) -> str:
    source, own = report["source"], report["source"].get("license") or {}
    stated = _plain(own.get("name") or own.get("id") or "")
    where = {"card": "its model card", "header": "its file", "file": "its licence file"}.get(own.get("from", ""), "")
    licensed = f"Licence of the source, by {where}: {stated}." if where else "The source states no licence."
    made = f"Made from {_plain(source.get('name', 'a model'))} by {_plain(report['program'])} on {report['made'][:10]}."
    return f"{made} {licensed} It holds for what was made of it too."


def _files(report: dict[str, Any]) -> str:
    result = report["result"]
    made = result.get("files") or [result]
    lines = [_file("This file", file) for file in made]
    lines += [_file("Source", file) for file in report["source"].get("files", [])]
    kind = f"Type {_plain(result.get('type') or 'unknown')}"
    bits = f", {result['bits']:.2f} bits a weight" if result.get("bits") else ""
    types = ", ".join(f"{count} {_plain(name)}" for name, count in sorted(report["tensors"].items()))
    head = ["## Files", "", "| | name | bytes | sha256 |", "|---|---|---:|---|"]
    return "\n".join([*head, *lines, "", f"{kind}{bits}." + (f" Tensors: {types}." if types else "")])


def _file(what: str, file: dict[str, Any]) -> str:
    name, hashed = _plain(file.get("name", "")), _plain(file.get("sha256") or "not taken")
    return f"| {what} | {name} | {file.get('bytes', 0):,} | {hashed} |"


def _quality(quality: dict[str, Any] | None) -> str:
    if not quality:
        return "## Quality\n\nNot measured."
    told = VERDICTS[quality["verdict"]]
    if not quality.get("sure", True):
        told += f" The text was short: anything from {quality['verdict_low']} to {quality['verdict_high']} is possible."
    head = "| text | tokens | KL mean | KL 99.9 % | same first token | perplexity | source's | ratio |"
    rows = [_row("all", quality), *(_row(name, own) for name, own in sorted(quality["languages"].items()))]
    return "\n".join(
        ["## Quality", "", told, "", head, "|---|---:|---|---|---|---|---|---|", *rows, "", _speeds(quality)]
    )


def _row(name: str, found: dict[str, Any]) -> str:
    def span(figure: str, form: str, factor: float = 1.0) -> str:
        value, low, high = (found[figure + end] * factor for end in ("", "_low", "_high"))
        return f"{value:{form}} ({low:{form}}–{high:{form}})"

    cells = [span("kl_mean", ".4f"), span("kl_p999", ".3f"), span("top1", ".1f", 100.0) + " %"]
    cells += [span("ppl_b", ".2f"), span("ppl_a", ".2f"), span("ppl_ratio", ".3f")]
    return f"| {_plain(name)} | {found['tokens']} | " + " | ".join(cells) + " |"


def _speeds(quality: dict[str, Any]) -> str:
    limits = "; ".join(f"{name} {good} / {usable}" for name, (good, usable) in quality["thresholds"].items())
    text = f"In brackets: 95 % intervals. Limits of good / usable: {limits}."
    speed, memory = quality.get("speed"), quality.get("memory")
    if not speed or not memory:
        return text
    told = [
        f"{who} reads {speed[key]['prefill']:.0f} and writes {speed[key]['decode']:.1f} tokens/s, "
        f"takes {memory[key] / 2**20:.0f} MiB"
        for key, who in (("b", "This file"), ("a", "the source"))
    ]
    return f"{text}\n\nOn the machine it was made on: {'; '.join(told)}."


def _matrix(imatrix: dict[str, Any] | None) -> str:
    if not imatrix:
        return ""
    name, texts = _plain(imatrix.get("name", "")), _plain(", ".join(map(str, imatrix.get("texts", ()))))
    return f"## Importance matrix\n\n{name}: {imatrix.get('chunks', 0)} chunks of {texts}."


def _settings(report: dict[str, Any]) -> str:
    lines = [
        f"- {_plain(key)}: {_plain(json.dumps(value, ensure_ascii=False))}" for key, value in report["settings"].items()
    ]
    return "\n".join(["## Settings", "", *lines]) if lines else ""


def _warnings(report: dict[str, Any]) -> str:
    lines = [f"- {_plain(text)}" for text in report["warnings"]]
    return "\n".join(["## Warnings", "", *lines]) if lines else ""


def _plain(value: object) -> str:
    """A text that stays in its line and its cell, whatever a hostile source put into it."""
    text = re.sub(r"\s+", " ", str(value)).strip()[:500]
    return re.sub(r"([\\`*\[\]<>|#])", r"\\\1", text)
