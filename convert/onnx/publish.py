"""Puts an export together as a folder that others can use, and gives it its name with one rename.

Layout: what describes the model at the top, the graphs in `onnx/`, as on hubs.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.finish import filling, publish_folder
from convert.onnx.four_bits import FOLDER
from convert.onnx.int8 import TRAIL
from convert.report import origin
from engine.api.errors import UserError
from engine.api.folders import write_json
from models.file_hash import sha256

if TYPE_CHECKING:
    from convert.onnx.export import Order
    from engine.api.job import Job

GRAPHS, READY, REPORT, CARD = "onnx", "ready", "report.json", "README.md"
ASIDE = ".rejected"
# What goes with a model: never code, never weights.
BESIDE = (
    "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "vocab.txt", "vocab.json", "merges.txt",
    "chat_template.jinja", "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json",
    "1_Pooling/config.json", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE",
)  # fmt: skip
CODE = ("auto_map", "custom_pipelines")  # names of Python files of a checkpoint, for programs that would run them


def publish(order: Order, config: dict[str, Any], traced: Path, found: dict[str, Any], job: Job) -> dict[str, Any]:
    """Give the folder its name. Raises UserError export_disagrees, with the export kept aside; disk_full_anew."""
    with filling(order.out.name):
        return _published(order, config, traced, found, job)


def _published(order: Order, config: dict[str, Any], traced: Path, found: dict[str, Any], job: Job) -> dict[str, Any]:
    ready = traced.with_name(READY)
    shutil.rmtree(ready, ignore_errors=True)
    _graphs(traced, ready, found)
    _damaged_aside(ready, order.out, found, job)
    _described(order.source, traced, ready, config)
    report = _report(order, ready, found)
    write_json(ready / REPORT, report)
    (ready / CARD).write_text(card(report), encoding="utf-8")
    if not found["agreement"]["holds"]:
        raise _disagrees(order.out, _aside(ready, order.out), found["agreement"])
    job.step(1, 1, "steps", "publish")
    publish_folder(ready, order.out)
    return _result(order.out, report, _registered(order.out, config))


def _graphs(traced: Path, ready: Path, found: dict[str, Any]) -> None:
    """The graphs that the report names; what else the exporter left (unmerged decoders) is not wanted."""
    place = ready / GRAPHS
    place.mkdir(parents=True)
    for name in found["graphs"]:
        for file in (*traced.glob(f"{name}.onnx*"), *traced.glob(f"{name}{TRAIL}.onnx*")):
            file.replace(place / file.name)
    if (traced / FOLDER).is_dir():
        (traced / FOLDER).replace(ready / FOLDER)


def _described(source: Path, traced: Path, ready: Path, config: dict[str, Any]) -> None:
    """Config and tokenizer as the source has them; a tokenizer.json that was made stands in for one it lacks."""
    plain = {name: value for name, value in config.items() if name not in CODE}
    write_json(ready / "config.json", plain)
    for name in BESIDE:
        found = next((place / name for place in (source, traced) if (place / name).is_file()), None)
        if found:
            (ready / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(found, ready / name)


def _report(order: Order, ready: Path, found: dict[str, Any]) -> dict[str, Any]:
    weights = [*order.source.glob("*.safetensors"), *order.source.glob("pytorch_model*.bin")]
    return {
        "kind": "onnx",
        "made": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "source": {
            **origin(order.source, []),  # {"name", "license", and of a hub "base" and "revision"}
            "files": {file.name: sha256(file) for file in sorted([*weights, order.source / "config.json"])},
        },
        "settings": {"int8": order.int8, "int4": order.int4},
        "files": {
            str(file.relative_to(ready).as_posix()): {"bytes": file.stat().st_size, "sha256": sha256(file)}
            for file in sorted(ready.rglob("*"))
            if file.is_file()
        },
        **{name: value for name, value in found.items() if name != "graphs"},
    }


def card(report: dict[str, Any]) -> str:
    """The model card: what it was made of, how, and how close it came."""
    source, agreement = report["source"], report["agreement"]
    own = {"license": "id", "license_name": "name", "license_link": "link"}
    stated = {key: source["license"][name] for key, name in own.items() if source["license"].get(name)}
    front = ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in stated.items())]
    lines = [
        "library_name: onnx",
        "---",
        "",
        f"# {_plain(source['name'])} as ONNX",
        "",
        f"Exported for the task {report['task']} on {report['made'][:10]} and compared with its source over "
        f"{agreement['texts']} English and Chinese texts.",
        "",
        "| | " + " | ".join(_figures(agreement)) + " | |",
        "|---|" + "---|" * (len(_figures(agreement)) + 1),
        *_row("32 bits", agreement, "agrees" if agreement["holds"] else "disagrees"),
        *(_row("8 bits", report["int8"], report["int8"]["verdict"]) if "int8" in report else []),
        *(_row("4 bits", report["int4"], report["int4"]["verdict"]) if "int4" in report else []),
        "",
        "Source files (sha256): "
        + ", ".join(f"{_plain(name)} {value[:16]}" for name, value in source["files"].items()),
        f"Made with {', '.join(f'{name} {version}' for name, version in report['versions'].items())}.",
        "",
    ]
    return "\n".join(front + lines)


def _plain(text: str) -> str:
    """A name that cannot break out of its place in Markdown."""
    return re.sub(r"[^\w .+-]", "_", text)[:100]


def _figures(said: dict[str, Any]) -> list[str]:
    return [name for name, value in said.items() if isinstance(value, float)]


def _row(name: str, said: dict[str, Any], word: str) -> list[str]:
    return [f"| {name} | " + " | ".join(f"{said[figure]:.4g}" for figure in _figures(said)) + f" | {word} |"]


def _damaged_aside(ready: Path, out: Path, found: dict[str, Any], job: Job) -> None:
    """8 or 4 bits that lost too much are not what programs should find first."""
    damaged = [bits for bits in ("int8", "int4") if found.get(bits, {}).get("verdict") == "damaged"]
    if not damaged:
        return
    place = out.with_name(out.name + ASIDE)
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for bits in damaged:
        files = [ready / FOLDER] if bits == "int4" else list((ready / GRAPHS).glob(f"*{TRAIL}.onnx*"))
        for file in files:
            file.replace(place / file.name)
        job.note(f"{bits[3:]} bits lose too much of this model; they lie in {place.name}.", "warning")


def _aside(ready: Path, out: Path) -> Path:
    place = out.with_name(out.name + ASIDE)
    shutil.rmtree(place, ignore_errors=True)
    return ready.replace(place)


def _registered(out: Path, config: dict[str, Any]) -> str:
    """The id in the list of models, "" for a network that this application does not run from ONNX."""
    from models import encoder, registry

    return registry.add_file(out)[0].id if encoder.is_encoder(out) and (out / encoder.TOKENIZER).is_file() else ""


def _result(out: Path, report: dict[str, Any], model: str) -> dict[str, Any]:
    files = [str(file.relative_to(out).as_posix()) for file in sorted(out.rglob("*")) if file.is_file()]
    return {
        "folder": str(out),
        "files": files,
        "bytes": sum((out / name).stat().st_size for name in files),
        "agreement": report["agreement"],
        "int8": report.get("int8"),
        "int4": report.get("int4"),
        "model": model,
        "peak_bytes": report["peak_bytes"],
        "report": str(out / REPORT),
    }


def _disagrees(out: Path, aside: Path, said: dict[str, Any]) -> UserError:
    figures = json.dumps({name: said[name] for name in said["limits"]})
    return UserError(
        "export_disagrees",
        f"The exported {out.name} does not say the same as its source: {figures}.",
        f"It was kept aside in {aside}; do not use it.",
        name=out.name,
        figures=figures,
        path=str(aside),
    )
