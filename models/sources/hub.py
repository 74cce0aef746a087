"""Models of a Hugging Face Hub or of anything that speaks its language, such as a mirror."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.api.errors import UserError
from models import encoder, gguf_header
from models.catalogue import Entry, File
from models.sources.delivery import Delivery, Fetch
from models.sources.transfer import check_status, offline

DEFAULT_ENDPOINT = "https://huggingface.co"
_NAME = re.compile(
    r"(?:https?://[^/]+/|hf\.co/|hf:)?(?P<owner>[\w][\w.-]*)/(?P<repo>[\w][\w.-]*?)"
    r"(?:/(?:resolve|blob)/[^/]+/(?P<path>[^?#]+)|/tree/[^/]+|:(?P<file>[^:?#]+))?/?(?:\?.*)?"
)
# The first that a repository has is taken: good quality for its size comes first.
_GOOD = ("Q4_K_M", "Q4_K_S", "Q4_K_XL", "UD-Q4_K_XL", "Q5_K_M", "Q5_K_S", "IQ4_XS", "IQ4_NL", "Q4_0", "MXFP4", "Q6_K")
_FAIR = ("Q8_0", "Q5_0", "Q4_1", "Q5_1", "Q3_K_M", "Q3_K_L", "Q3_K_S", "IQ3_M", "Q2_K", "BF16", "F16", "F32")
_LABEL = re.compile(
    r"(?<![A-Z0-9])((?:UD-)?I?Q\d_[A-Z0-9]+(?:_[A-Z0-9]+)*|MXFP4|NVFP4|TQ\d_0|BF16|F16|F32)(?![A-Z0-9])"
)


@dataclass(frozen=True)
class Reference:
    """A model on a hub: `owner/repo`, and the file or kind of numbers after the colon, if any."""

    repo: str
    wanted: str = ""

    def __str__(self) -> str:
        return f"{self.repo}:{self.wanted}" if self.wanted else self.repo

    @property
    def title(self) -> str:
        """A name for people, known without asking the hub."""
        if self.wanted.lower().endswith(".gguf"):
            return gguf_header.plain_stem(self.wanted.rsplit("/", 1)[-1])
        base = re.sub(r"[-_.]?gguf$", "", self.repo.split("/")[1], flags=re.IGNORECASE) or self.repo
        return f"{base}-{self.wanted}" if self.wanted else base


@dataclass(frozen=True)
class Repository:
    """What a hub says of a repository: `files` are path -> (bytes, sha256), "" where git keeps the file itself."""

    name: str
    revision: str
    licence: str
    files: Mapping[str, tuple[int, str]]
    parameters: Mapping[str, int]  # by type of number, {} where the hub does not count them


def parse(name: str) -> Reference | None:
    """Understand `owner/repo`, `owner/repo:file`, `owner/repo:Q8_0` and addresses of pages; None if it is none."""
    match = _NAME.fullmatch(name.strip())
    if not match or ".." in name:
        return None
    return Reference(f"{match['owner']}/{match['repo']}", match["path"] or match["file"] or "")


def endpoint_of(setting: str) -> str:
    """The hub to ask: the setting; while that is the default, the environment's HF_ENDPOINT goes first."""
    wanted = setting.rstrip("/") or DEFAULT_ENDPOINT
    return os.environ.get("HF_ENDPOINT", wanted).rstrip("/") if wanted == DEFAULT_ENDPOINT else wanted


def resolve(reference: Reference, endpoint: str, entry: Entry | None = None) -> Delivery:
    """Ask the hub for files, sizes and hashes. With `entry`, name and licence are the catalogue's.

    Raises UserError offline, no_such_model, gated, no_gguf, no_such_file, http_status.
    """
    info = _info(reference.repo, endpoint)
    sizes = _listing(info.siblings or [])
    folder = _encoder(reference, info, sizes, entry)
    chosen = folder or choose(_still_there(reference.wanted, sizes, entry), sizes, reference.repo)
    chosen = folder or [*chosen, *_projector(chosen[0], sizes)]
    files = tuple(File(name if folder else name.rsplit("/", 1)[-1], *sizes[name]) for name in chosen)
    origin = f"{reference.repo}:{chosen[0]}"
    return Delivery(
        name=entry.name if entry else reference.title if folder else gguf_header.plain_stem(files[0].name),
        licence=entry.licence if entry else _licence(info),
        source="catalogue" if entry else "hub",
        origin=origin,
        main="" if folder else files[0].name,
        files=files,
        fetches=tuple(_fetches(reference.repo, info.sha or "main", endpoint, chosen, files)),
    )


def repository(name: str, endpoint: str) -> Repository:
    """Ask the hub for all that `owner/name` holds. Raises UserError offline, no_such_model, gated, http_status."""
    info = _info(name, endpoint)
    counted = getattr(getattr(info, "safetensors", None), "parameters", None) or {}
    return Repository(name, info.sha or "main", _licence(info), _listing(info.siblings or []), dict(counted))


def delivery(found: Repository, chosen: list[str], endpoint: str) -> Delivery:
    """The fetching of these files of a repository, in this order, each to the path it has there."""
    files = tuple(File(name, *found.files[name]) for name in chosen)
    fetches = tuple(_fetches(found.name, found.revision, endpoint, chosen, files))
    return Delivery(found.name, found.licence, "hub", found.name, "", files, fetches)


def _encoder(reference: Reference, info: Any, sizes: Mapping[str, tuple[int, str]], entry: Entry | None) -> list[str]:
    """The files of an encoder in Hugging Face layout; none where there are GGUF files, or the network is another."""
    if _groups(sizes) or (reference.wanted and not entry):
        return []
    config = getattr(info, "config", None)
    kind = str(config.get("model_type") if isinstance(config, dict) else "")
    weights = encoder.weights_of(kind or (entry.architecture if entry else ""), list(sizes))
    return encoder.wanted(weights, list(sizes)) if weights else []


def _still_there(wanted: str, sizes: Mapping[str, tuple[int, str]], entry: Entry | None) -> str:
    """The file the catalogue names; where the hub has renamed it since, the same kind of numbers instead."""
    return entry.quantization if entry and wanted not in sizes else wanted


def choose(wanted: str, sizes: Mapping[str, tuple[int, str]], repo: str) -> list[str]:
    """The files (several for a split model) that `wanted` names: a path, a file name or a kind of numbers.

    "" takes a good default. Raises UserError no_gguf, no_such_file.
    """
    groups = _groups(sizes)
    if not groups:
        raise UserError(
            "no_gguf",
            f"{repo} holds no GGUF file and no encoder for search in documents.",
            "Look for the same model with GGUF in its name.",
            repo=repo,
        )
    for matches in (_by_name, _by_label):
        for first, files in groups.items():
            if wanted and matches(first, wanted, files):
                return files
    if wanted:
        known = ", ".join(sorted({label(first) or first for first in groups}))
        raise UserError(
            "no_such_file",
            f"{repo} has no file '{wanted}'.",
            f"There are: {known}.",
            repo=repo,
            file=wanted,
            known=known,
        )
    return min(groups.items(), key=lambda group: _rank(group[0], sum(sizes[f][0] for f in group[1])))[1]


def _projector(model: str, names: Iterable[str]) -> list[str]:
    """The file beside a model of the hub by which it sees or hears: F16 if there are several kinds of numbers."""
    folder = model.rpartition("/")[0]
    beside = [
        n for n in names if n.rpartition("/")[0] == folder and "mmproj" in n.lower() and n.lower().endswith(".gguf")
    ]
    order = ("F16", "Q8_0", "BF16", "F32")
    return sorted(beside, key=lambda n: (order.index(label(n)) if label(n) in order else len(order), n))[:1]


def label(file: str) -> str:
    """The kind of numbers a file's name tells, such as Q4_K_M; "" if it does not."""
    found = _LABEL.findall(file.rsplit("/", 1)[-1].upper())
    return found[-1] if found else ""


def _rank(file: str, size: int) -> tuple[int, int]:
    order = _GOOD + _FAIR
    kind = label(file)
    return (order.index(kind) if kind in order else len(order), size)


def _by_name(first: str, wanted: str, files: list[str]) -> bool:
    return any(wanted.lower() in (file.lower(), file.rsplit("/", 1)[-1].lower()) for file in files)


def _by_label(first: str, wanted: str, files: list[str]) -> bool:
    return label(first) == wanted.upper()


def _groups(names: Iterable[str]) -> dict[str, list[str]]:
    """First file -> all files of each model; projectors and importance matrices are no models."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names):
        folder, _, file = name.rpartition("/")
        if file.lower().endswith(".gguf") and not re.search(r"mmproj|imatrix", file.lower()):
            groups.setdefault((folder, gguf_header.plain_stem(file)), []).append(name)
    return {files[0]: files for files in groups.values()}


def _fetches(repo: str, revision: str, endpoint: str, chosen: list[str], files: tuple[File, ...]) -> Iterable[Fetch]:
    from huggingface_hub import get_token, hf_hub_url

    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    for name, file in zip(chosen, files, strict=True):
        url = hf_hub_url(repo, name, revision=revision, endpoint=endpoint)
        yield Fetch(url, file.name, file.bytes, file.sha256, (), headers)


def _info(repo: str, endpoint: str) -> Any:
    """The hub's own description of a repository, through huggingface_hub of any version from 0.34 on."""
    _quiet()
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, HFValidationError, RepositoryNotFoundError

    # The library changed its HTTP client twice; its own error derives from that client's.
    transport: tuple[type[BaseException], ...] = (OSError, *HfHubHTTPError.__bases__)
    page = f"{endpoint}/{repo}"
    try:
        return HfApi(endpoint=endpoint).model_info(repo, files_metadata=True, timeout=20)
    except GatedRepoError:
        check_status(403, page)
    except (RepositoryNotFoundError, HFValidationError):
        check_status(404, page)
    except HfHubHTTPError as error:
        answer = getattr(error, "response", None)
        check_status(getattr(answer, "status_code", 0), page)
    except transport as error:
        raise offline(endpoint, error) from None
    raise AssertionError("each of these statuses raises")


def _quiet() -> None:
    """Keep the library from calling huggingface.co on its own account; it reads this once, when imported."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_UPDATE_CHECK", "1")


def _listing(siblings: Iterable[Any]) -> dict[str, tuple[int, str]]:
    """Path -> (bytes, sha256) of a repository's files; "" where git keeps the file itself."""
    found = {}
    for file in siblings:
        large = file.lfs or {}
        found[str(file.rfilename)] = (int(file.size or 0), str(large.get("sha256") or ""))
    return found


def _licence(info: Any) -> str:
    card = getattr(info, "card_data", None)
    licence = card.get("license") if card else None
    if not licence:
        tags = [t for t in info.tags or [] if str(t).startswith("license:")]
        licence = tags[0].split(":", 1)[1] if tags else ""
    return str(licence)
