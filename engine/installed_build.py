"""What the installed llama.cpp can use of this machine and what is in the way: for `deskside doctor`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

Finding = dict[str, Any]  # {code, text, values}; languages/*/doctor.toml has the words of each code

TEXTS = {
    "processor": "llama.cpp {version} computes on {name} with {features}.",
    "processor_unused": "The processor also has {features}, which this build leaves unused: one built here is faster.",
    "gpu": "Layers of a model can go to {names}.",
    "gpu_none_found": "This build can use a graphics card, but finds none: its driver may be missing.",
    "gpu_not_built": "This build cannot use a graphics card: models run on the processor. The README names others.",
    "mapped": "Model files are mapped into memory: they load quickly, and make room when others need it.",
    "copied": "Model files are copied into memory when they load.",
    "lockable": "The system lets models be locked into memory; Deskside leaves that to the system.",
    "not_lockable": "Models cannot be locked into memory here: the system may move them to disk when it runs short.",
    "media": "Images and sound can be read, by models that have a projector.",
    "no_media": "This build was made without images and sound.",
    "little_disk": "Only {free} GB of disk are free in {home}.",
    "no_model": "No model is installed: `deskside models pull {model}` gets the starter model.",
    "database_recovered": "The database was damaged; the old one is kept as {old}.",
    "no_models_folder": "{folder} does not exist.",
}


def findings(llama: dict[str, Any], processor: Collection[str] = ()) -> list[Finding]:
    """What follows from `engine.llama.devices.system_info`; `processor`: the features this processor has."""
    found = [_processor(llama)]
    unused = sorted(set(processor) - set(used_features(llama["features"])))
    if unused:
        found.append(finding("processor_unused", features=", ".join(unused)))
    found.append(_graphics(llama))
    found.append(finding("mapped" if llama["mmap"] else "copied"))
    found.append(finding("lockable" if llama["mlock"] else "not_lockable"))
    found.append(finding("media" if llama["media"] else "no_media"))
    return found


def used_features(told: str) -> list[str]:
    """The processor features in llama.cpp's line "CPU : AVX = 1 | AVX2 = 1 | CUDA : ARCHS = 500 | …"."""
    used, backend = [], "CPU"
    for part in told.split("|"):
        name, colon, rest = part.partition(" : ")
        backend, pair = (name.strip(), rest) if colon else (backend, part)
        feature, _, value = (word.strip() for word in pair.partition("="))
        if backend == "CPU" and value == "1":
            used.append(feature)
    return used


def _processor(llama: dict[str, Any]) -> Finding:
    name = next((device["description"] for device in llama["devices"] if device["type"] == "cpu"), "CPU")
    features = ", ".join(used_features(llama["features"])) or "-"
    return finding("processor", version=llama["llama_cpp"], name=name, features=features)


def _graphics(llama: dict[str, Any]) -> Finding:
    cards = [device for device in llama["devices"] if "gpu" in device["type"]]
    if cards:
        names = ", ".join(f"{card['description']} ({card['total'] / 1e9:.1f} GB)" for card in cards)
        return finding("gpu", names=names)
    return finding("gpu_none_found" if llama["gpu_offload"] else "gpu_not_built")


def finding(code: str, **values: str) -> Finding:
    """One of TEXTS with its values."""
    return {"code": code, "text": TEXTS[code].format(**values), "values": values}
