"""A checkpoint or an adapter that lies on a hub: what it is without its weights, what it would become, its way here.

It is fetched into checkpoints/OWNER/NAME of the data folder, unfinished into OWNER/NAME.partial, and stays there for
the next conversion unless it is not wanted. One conversion at a time works with it.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.checkpoint import damaged_weights
from convert.note import reason_of
from convert.report import ORIGIN  # written last: the folder is whole
from engine.api.errors import UserError
from engine.api.folders import checkpoints_folder, write_json
from engine.api.hub_names import hub_name, hub_names, with_sources
from engine.api.job import Job
from models.safetensors_header import data_begin
from models.sources import hub
from models.sources.delivery import Fetch
from models.sources.transfer import CHUNK, beginning, client, fetch

if TYPE_CHECKING:
    import httpx
    from filelock import FileLock

Run = Callable[[dict[str, Any], Job], dict[str, Any]]
ADAPTER_CONFIG = "adapter_config.json"
WAIT_S = 0.5
AT_ONCE = 6  # headers asked for at the same time
LARGEST_SMALL = 256 << 20  # of what is fetched for a look
_NUMBERED = r"[\w.]*-\d+-of-\d+"
_WEIGHTS = (
    (re.compile(rf"model{_NUMBERED}\.safetensors"), "model.safetensors.index.json"),
    (re.compile(r"model\.safetensors"), ""),
    (re.compile(r"model[\w.-]*\.safetensors"), ""),
    (re.compile(rf"pytorch_model{_NUMBERED}\.bin"), "pytorch_model.bin.index.json"),
    (re.compile(r"pytorch_model[\w.-]*\.bin"), ""),
)
_ADAPTER = re.compile(r"adapter_model\.safetensors"), re.compile(r"adapter_model\.bin")
_SMALL = re.compile(
    r"[\w.-]+\.(?:json|txt|model|tiktoken|jinja)|README\.md|(?:LICEN[CS]E|NOTICE|COPYING)(?:\.\w+)?"
    r"|additional_chat_templates/[\w.-]+\.jinja|\d_[A-Za-z]+/config\.json"
)


def wanted(files: Iterable[str]) -> list[str]:
    """Config, tokenizer, licence and one set of weights, the small files first; never code, pickles only where there
    are no safetensors. Of an adapter its own weights. [] if there is neither."""
    names = sorted(files)
    chosen = (_matching(pattern, index, names) for pattern, index in _WEIGHTS)
    weights, index = next((found for found in chosen if found[0]), ([], ""))
    if "config.json" not in names:
        weights, index = [], ""
    if not weights and ADAPTER_CONFIG in names:
        weights = next(([one] for kind in _ADAPTER for one in names if kind.fullmatch(one)), [])
    if not weights:
        return []
    small = [name for name in names if _SMALL.fullmatch(name) and not name.startswith(".")]
    return [name for name in small if name == index or not name.endswith(".index.json")] + weights


def _matching(pattern: re.Pattern[str], index: str, names: list[str]) -> tuple[list[str], str]:
    """The files of this kind, none without the index that belongs to it; and that index."""
    found = [name for name in names if pattern.fullmatch(name)]
    return (found if not index or index in names else [], index)


# What it is ---------------------------------------------------------------------------------------------------


def look(name: str, endpoint: str) -> dict[str, Any]:
    """What `convert.look.look` says of it, from its list of files and its config alone.

    Raises UserError offline, no_such_model, gated, http_status, bad_config.
    """
    from convert.look import EMPTY, of_adapter, of_config

    found = hub.repository(name, hub.endpoint_of(endpoint))
    chosen = wanted(found.files)
    numbers = max(found.parameters.items(), key=lambda pair: pair[1], default=("", 0))
    told = EMPTY | {
        "kind": "hub",
        "name": name,
        "bytes": sum(found.files[one][0] for one in chosen),
        "files": len(chosen),
        "license": found.licence,
        "parameters": sum(found.parameters.values()),
        "dtype": numbers[0],
    }
    if not chosen:
        return told | {"can": ["download"] if any(one.lower().endswith(".gguf") for one in found.files) else []}
    adapter = chosen[-1].startswith("adapter_model")
    with tempfile.TemporaryDirectory(prefix="deskside-") as place, client() as http:
        folder = Path(place) / name.rpartition("/")[2]
        folder.mkdir()
        asked = [ADAPTER_CONFIG if adapter else "config.json"]
        _fetch_small(hub.delivery(found, asked, hub.endpoint_of(endpoint)).fetches, folder, http)
        return told | (of_adapter(folder) if adapter else of_config(folder))


@contextmanager
def headers_only(name: str, endpoint: str, pickles: bool = False) -> Iterator[Path]:
    """A folder that opens like the checkpoint, for plans: all but the weights' values, which are not fetched.

    With `pickles`, weights that cannot be looked into are left out. Raises UserError those of `look`,
    hub_without_checkpoint, no_plan_of_pickles, damaged_weights.
    """
    found, chosen = _asked(name, endpoint)
    if chosen[-1].endswith(".bin") and not pickles:
        raise UserError(
            "no_plan_of_pickles",
            f"{name} has its weights in PyTorch's own format, which cannot be looked into from afar.",
            "Start the conversion: it fetches them first.",
            name=name,
        )
    fetches = hub.delivery(found, chosen, hub.endpoint_of(endpoint)).fetches
    with tempfile.TemporaryDirectory(prefix="deskside-") as place, client() as http:
        folder = Path(place) / name.rpartition("/")[2]
        folder.mkdir()
        _fetch_small([one for one in fetches if not one.name.endswith((".safetensors", ".bin"))], folder, http)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            weights = [one for one in fetches if one.name.endswith(".safetensors")]
            list(pool.map(lambda one: _header(one, folder / one.name, http), weights))
        yield folder


def _fetch_small(fetches: Iterable[Fetch], folder: Path, http: httpx.Client) -> None:
    for one in fetches:
        if one.bytes <= LARGEST_SMALL:
            (folder / one.name).parent.mkdir(parents=True, exist_ok=True)
            fetch(http, one.url, folder / one.name, one.bytes, one.sha256, lambda done: None, one.headers)


def _header(one: Fetch, path: Path, http: httpx.Client) -> None:
    """The file's header, and nothing where its values are: as long as the file is, empty on the disk."""
    data = beginning(http, one.url, min(CHUNK, one.bytes), one.headers)
    try:
        size = data_begin(data[:8], one.bytes)
    except ValueError as error:
        raise damaged_weights(one.name, reason_of(error)) from None
    if size > len(data):
        data = beginning(http, one.url, size, one.headers)
    with path.open("wb") as file:
        file.write(data[:size])
        file.truncate(one.bytes)


def _asked(name: str, endpoint: str) -> tuple[hub.Repository, list[str]]:
    """The repository and the files of it that make the checkpoint. Raises UserError hub_without_checkpoint."""
    found = hub.repository(name, hub.endpoint_of(endpoint))
    chosen = wanted(found.files)
    if chosen:
        return found, chosen
    raise UserError(
        "hub_without_checkpoint",
        f"{name} holds no checkpoint and no adapter: no config.json or adapter_config.json with weights beside it.",
        "If it holds a GGUF file, download that from the list of models.",
        name=name,
    )


# Its way here -------------------------------------------------------------------------------------------------


def brought(run: Run, params: dict[str, Any], job: Job, light: str = "") -> dict[str, Any]:
    """`run` with all that its parameters name on a hub in folders here: source, base, models.

    The result's "fetched" says of each {repo, revision, bytes, folder, kept}, and "source" what it says of `source`.
    Of the parameter `light` only headers are asked for, and of all of them in a dry run. Further params: endpoint,
    keep_source (true). Raises UserError those of `look` and of downloads.
    """
    endpoint, afar = str(params.get("endpoint") or ""), _afar(params, light)
    folders: dict[str, Path] = {}
    rows: list[dict[str, Any]] = []
    with ExitStack() as stack:
        for name in sorted(hub_names(params)):  # everybody in the same order, so that no two wait for each other
            if name in afar:
                folders[name] = stack.enter_context(headers_only(name, endpoint, pickles=bool(light)))
                continue
            folders[name] = _place(name)
            stack.enter_context(_alone(folders[name], job))
            rows.append(fetched(name, endpoint, job) | _kept(folders[name], params))
        made = run(with_sources(params, lambda source: str(folders.get(hub_name(source), source))), job)
        for row in rows:
            if not row["kept"]:
                shutil.rmtree(_place(row["repo"]))
    own = [row for row in rows if row["repo"] == hub_name(str(params.get("source") or ""))]
    return made | ({"fetched": rows} if rows else {}) | ({"source": own[0]} if own else {})


def _afar(params: dict[str, Any], light: str) -> list[str]:
    """The names of which headers are enough."""
    if params.get("dry_run"):
        return hub_names(params)
    name = hub_name(str(params.get(light) or ""))
    needed = not name or name in hub_names({**params, light: ""}) or _origin(checkpoints_folder() / name)
    return [] if needed else [name]


def _place(name: str) -> Path:
    place = checkpoints_folder() / name
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _kept(place: Path, params: dict[str, Any]) -> dict[str, Any]:
    kept = bool(params.get("keep_source", True))
    return {"folder": str(place) if kept else "", "kept": kept}


def fetched(name: str, endpoint: str, job: Job) -> dict[str, Any]:
    """Bring the checkpoint, or what is lacking of it, into its folder: {repo, revision, bytes}.

    A whole one that is here already is used while the hub has no other revision, or cannot be reached.
    """
    place = checkpoints_folder() / name
    here = _origin(place)
    job.note("fetch", "stage")
    try:
        found, chosen = _asked(name, endpoint)
    except UserError as error:
        if error.code != "offline" or not here:
            raise
        job.note(f"The hub cannot be reached: the {name} that was fetched before is used.")
        return here
    if here.get("revision") == found.revision:
        return here
    return _bring(found, hub.delivery(found, chosen, hub.endpoint_of(endpoint)), place, job)


def _bring(found: hub.Repository, delivery: Any, place: Path, job: Job) -> dict[str, Any]:
    from models.download import fetch_files

    work = _work(found, partial(place), job)
    with client() as http:
        fetch_files(delivery, work, http)
    origin = {"repo": found.name, "revision": found.revision, "bytes": delivery.download_bytes}
    (work.folder / "job.json").unlink(missing_ok=True)
    write_json(work.folder / ORIGIN, origin)
    shutil.rmtree(place, ignore_errors=True)  # an older revision
    work.folder.rename(place)
    return origin


def _work(found: hub.Repository, folder: Path, job: Job) -> Job:
    """The job of fetching; what was fetched of another revision is thrown away."""
    params = {"source": found.name, "revision": found.revision}
    try:
        return Job(folder, params, job.pass_on, job.cancelled)
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        return Job(folder, params, job.pass_on, job.cancelled)


def partial(place: Path) -> Path:
    """Where an unfinished one lies."""
    return place.with_name(place.name + ".partial")


def _origin(place: Path) -> dict[str, Any]:
    try:
        found = json.loads((place / ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


@contextmanager
def _alone(place: Path, job: Job) -> Iterator[None]:
    """Wait until no other conversion works with it."""
    from filelock import FileLock, Timeout

    lock = FileLock(place.with_name(place.name + ".lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=WAIT_S)
        except Timeout:
            job.step(0, 0, "steps", place.name)
    try:
        yield
    finally:
        _let_go(lock)


def _let_go(lock: FileLock) -> None:
    Path(lock.lock_file).unlink(missing_ok=True)
    lock.release()
