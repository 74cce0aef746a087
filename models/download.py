"""The job `download`: fetch a model, check it, and only then let it appear in the list.

Everything happens in `ID.partial/`: archives and files grow there, so that a killed job goes on where it
was. Once every hash is right the manifest is written and the folder gets its name by one rename.
"""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.api.errors import UserError
from engine.api.folders import models_folder
from engine.api.job import Job
from models import catalogue, encoder, file_hash, gguf_header, registry
from models.hardware import free_disk
from models.sources import hub, pypi
from models.sources.archive import take_out
from models.sources.delivery import Delivery, Fetch
from models.sources.transfer import client, fetch, wrong_hash

if TYPE_CHECKING:
    import httpx

_SPARE = 32 * 1024 * 1024  # bytes of disk that stay free
DEFAULT_INDEX = "https://pypi.org/simple"


@dataclass(frozen=True)
class Plan:
    """What a download will be, known without asking anyone. `bytes` is 0 where only the hub knows."""

    id: str
    title: str
    folder: Path
    bytes: int
    installed: bool
    params: dict[str, Any]  # of the job


def plan(name: str, endpoint: str = "", index: str = "") -> Plan:
    """Plan the download of a catalogue id or a hub name (`owner/repo`, `owner/repo:file`, `owner/repo:Q8_0`).

    Raises UserError bad_model_name.
    """
    params = {"model": name, "endpoint": endpoint, "index": index}
    entry = catalogue.entry(name)
    if entry:
        here = registry.lookup(entry.id)
        return Plan(entry.id, entry.name, _work_folder(entry.id), entry.bytes, here is not None, params)
    reference = _reference(name)
    model, here = _hub_id(reference)
    size = here.bytes if here else 0
    return Plan(model, reference.title, _work_folder(model), size, here is not None, params)


def run(params: dict[str, Any], job: Job, free: int | None = None) -> dict[str, Any]:
    """Download one model into `job.folder` (`ID.partial`), then rename the folder to its id.

    `params`: model (catalogue id or hub name), endpoint and index (addresses, both optional). `free` stands
    for the free bytes of the disk. Result: {model, bytes}. Raises Cancelled and UserError offline,
    http_status, gated, no_such_model, no_such_file, no_gguf, wrong_hash, disk_full, disk_ran_full, bad_archive,
    and those of what was fetched: not_gguf, damaged_model, missing_part …
    """
    model = job.folder.name.removesuffix(registry.PARTIAL)
    here = registry.lookup(model)
    if here:
        shutil.rmtree(job.folder, ignore_errors=True)
        return {"model": model, "bytes": here.bytes}
    job.step(0, plan(str(params["model"])).bytes, "bytes")
    with client() as http:
        return deliver(model, _resolve(params, http), job, http, free)


def deliver(model: str, delivery: Delivery, job: Job, http: httpx.Client, free: int | None = None) -> dict[str, Any]:
    """Fetch a delivery into the job's folder and publish it as `model`. Result and errors as in `run`."""
    return _publish(model, delivery, job.folder, fetch_files(delivery, job, http, free))


def fetch_files(delivery: Delivery, job: Job, http: httpx.Client, free: int | None = None) -> str:
    """Fetch a delivery's files into the job's folder, going on where an earlier try stopped, and check them.

    Returns the sha256 of the first. Errors as in `run`.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    check_room(delivery, job.folder, free_disk(job.folder) if free is None else free)
    sha256 = _Work(delivery, job, http).run()
    job.flush()
    return sha256


def check_room(delivery: Delivery, folder: Path, free: int) -> None:
    """Raise UserError disk_full unless `free` bytes hold what is still missing in `folder`."""
    present = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    need = delivery.disk_bytes - present + _SPARE
    if need > free:
        raise registry.disk_full(need, free)


def _work_folder(model: str) -> Path:
    return models_folder() / (model + registry.PARTIAL)


def _reference(name: str) -> hub.Reference:
    reference = hub.parse(name)
    if reference:
        return reference
    raise UserError(
        "bad_model_name",
        f"'{name}' is neither in the catalogue nor the name of a model on a hub.",
        "Give an id of the list, or a hub name like owner/repo or owner/repo:Q4_K_M.",
        model=name,
    )


def _hub_id(reference: hub.Reference) -> tuple[str, registry.Installed | None]:
    """An id for a model of a hub, and the model if it is here. Equal names of two owners stay apart."""
    owner = reference.repo.split("/")[0]
    for model in (registry.slug(reference.title), registry.slug(f"{owner}-{reference.title}")):
        here = registry.lookup(model)
        if here is None and catalogue.entry(model) is None:
            return model, None
        if here and here.origin.startswith(reference.repo + ":"):
            return model, here
    return registry.unique_id(f"{owner}-{reference.title}"), None


def _resolve(params: dict[str, Any], http: httpx.Client) -> Delivery:
    name = str(params["model"])
    endpoint = hub.endpoint_of(str(params.get("endpoint") or ""))
    entry = catalogue.entry(name)
    if not entry:
        return hub.resolve(_reference(name), endpoint)
    if entry.repo:
        return hub.resolve(hub.Reference(entry.repo, entry.files[0].name), endpoint, entry)
    return pypi.resolve(entry, str(params.get("index") or DEFAULT_INDEX), http)


class _Work:
    """The fetching of one delivery. What is finished is kept in the job's state: {fetched, sizes}."""

    def __init__(self, delivery: Delivery, job: Job, http: httpx.Client) -> None:
        self.delivery, self.job, self.http = delivery, job, http
        self.hashes: dict[str, str] = {}
        self.before = 0  # bytes of the fetches that are finished

    def run(self) -> str:
        """Fetch all that is missing and check it; returns the sha256 of the first file."""
        fetched = self._take_up()
        for number, item in enumerate(self.delivery.fetches):
            if number >= fetched:
                self._fetch(item)
                self.job.save({"fetched": number + 1, "sizes": self._sizes()})
                if item.members:
                    (self.job.folder / item.name).unlink(missing_ok=True)
            self.before += item.bytes
        self._check()
        return self.hashes[self.delivery.files[0].name]

    def _take_up(self) -> int:
        """How many fetches an earlier run finished; what it wrote beyond its last saved state is cut off."""
        fetched, sizes = int(self.job.state.get("fetched", 0)), self.job.state.get("sizes", {})
        finished = {item.name for item in self.delivery.fetches[:fetched] if not item.members}
        for file in self.delivery.files:
            path = self.job.folder / file.name
            there = path.stat().st_size if path.exists() else 0
            if file.name in self._joined():
                if there < sizes.get(file.name, 0):
                    return self._forget()
                if path.exists():
                    os.truncate(path, sizes.get(file.name, 0))
            elif file.name in finished and (not there or there != (file.bytes or there)):
                return self._forget()
        return fetched

    def _joined(self) -> set[str]:
        """Files that are put together from members of archives."""
        return {member.target for item in self.delivery.fetches for member in item.members}

    def _fetch(self, item: Fetch) -> None:
        path = self.job.folder / item.name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._step(0, item.name)
        step = partial(self._step, text=item.name)
        found = fetch(self.http, item.url, path, item.bytes, item.sha256, step, item.headers)
        if not item.members:
            self.hashes[item.name] = found
        for member in item.members:
            take_out(path, member.name, self.job.folder / member.target, partial(step, item.bytes))

    def _step(self, done: int, text: str) -> None:
        self.job.step(self.before + done, max(self.delivery.download_bytes, self.before + done), "bytes", text)

    def _sizes(self) -> dict[str, int]:
        return {f: (self.job.folder / f).stat().st_size for f in self._joined() if (self.job.folder / f).exists()}

    def _check(self) -> None:
        """Every file has its size and hash, read back from the disk; else all of it is thrown away."""
        for file in self.delivery.files:
            path = self.job.folder / file.name
            size = path.stat().st_size if path.exists() else -1
            if size >= 0 and file.name not in self.hashes:
                self.hashes[file.name] = self._read_back(path, file.name)
            found = self.hashes.get(file.name, "")
            if size != (file.bytes or size) or found != (file.sha256 or found) or not found:
                self._forget()
                raise wrong_hash(file.name, self.delivery.origin)

    def _read_back(self, path: Path, name: str) -> str:
        return file_hash.sha256(path, lambda done: self._step(0, name))

    def _forget(self) -> int:
        """Throw away what is there, to begin again."""
        for file in self.delivery.files:
            (self.job.folder / file.name).unlink(missing_ok=True)
        self.job.save({})
        return 0


def _publish(model: str, delivery: Delivery, work: Path, sha256: str) -> dict[str, Any]:
    size = sum((work / file.name).stat().st_size for file in delivery.files)
    if delivery.main:
        gguf_header.read(work / delivery.main)
    else:
        encoder.read(work)
    wanted = {file.name for file in delivery.files}
    for path in [p for p in work.rglob("*") if p.is_file()]:
        if path.relative_to(work).as_posix() not in wanted:
            path.unlink()
    found = registry.Installed(
        id=model,
        name=delivery.name,
        file=delivery.main,
        bytes=size,
        sha256=sha256,
        source=delivery.source,
        licence=delivery.licence,
        added=time.time(),
        origin=delivery.origin,
    )
    registry.write_manifest(work, found)
    _clear(models_folder() / model)
    work.rename(models_folder() / model)
    return {"model": model, "bytes": size}


def _clear(target: Path) -> None:
    """A folder in the way has no manifest, so it is no model; it is moved aside rather than deleted."""
    number = 1
    while target.exists():
        aside = target.with_name(f"{target.name}.old-{number}")
        if not aside.exists():
            target.rename(aside)
        number += 1
