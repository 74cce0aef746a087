"""The installed models: one folder each under `models_folder()`, real once its `manifest.json` is there."""

from __future__ import annotations

import json
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.api.errors import UserError
from engine.api.folders import models_folder, write_json
from models import catalogue, encoder, gguf_header, projector

MANIFEST = "manifest.json"
PARTIAL = ".partial"


@dataclass(frozen=True)
class Installed:
    """One installed model. `file` is absolute where the model is used by reference, else inside the folder.

    An empty `file` stands for the folder itself (a model in Hugging Face layout). Sizes in bytes.
    """

    id: str
    name: str
    file: str
    bytes: int
    sha256: str
    source: str  # catalogue, hub, file, reference
    licence: str
    added: float  # Unix time
    origin: str = ""  # where it came from, such as owner/repo:file

    @property
    def folder(self) -> Path:
        """The model's own folder with its manifest."""
        return models_folder() / self.id

    @property
    def path(self) -> Path:
        """The file to load (first part of a split model), or the folder of a model that is many files."""
        return self.folder / self.file if self.file else self.folder

    @property
    def referenced(self) -> bool:
        """Whether the file belongs to someone else and is never deleted."""
        return Path(self.file).is_absolute()


def installed() -> list[Installed]:
    """All installed models by name. Unfinished and foreign folders are no models."""
    try:
        folders = [f for f in models_folder().iterdir() if f.is_dir() and not f.name.endswith(PARTIAL)]
    except OSError:
        return []
    found = [model for folder in folders if (model := _read(folder))]
    return sorted(found, key=lambda model: (model.name.lower(), model.id))


def find(model: str) -> Installed:
    """The installed model with this id, its file present. Raises UserError unknown_model, vanished_model."""
    found = lookup(model)
    if not found:
        raise UserError(
            "unknown_model",
            f"There is no model '{model}' on this machine.",
            "Choose one of the list, or download it first.",
            model=model,
        )
    if not found.path.exists():
        raise UserError(
            "vanished_model",
            f"The model file {found.path.name} is not there.",
            "Put it back, or remove the model from the list.",
            name=found.path.name,
            path=str(found.path),
        )
    return found


def lookup(model: str) -> Installed | None:
    """The installed model with this id, whether or not its file is still there."""
    if not re.fullmatch(r"[\w][\w.+-]*", model) or model.endswith(PARTIAL):
        return None
    return _read(models_folder() / model)


def add_file(path: Path, copy: bool = False) -> list[Installed]:
    """Add a GGUF file, an encoder's folder, or every one of both in a folder, by reference or copied.

    A file that is already in the list is not added again. In a folder damaged files are passed over as
    long as one is good. Raises UserError for a file that is no model, and no_models_in_folder.
    """
    path = path.expanduser().absolute()
    whole = encoder.inside(path)
    if whole:
        return [_add_encoder(whole, copy)]
    if not path.is_dir():
        return [_add_one(path, copy)]
    added, problem = [], None
    for file in _models_in(path):
        try:
            added.append(_add_encoder(file, copy) if file.is_dir() else _add_one(file, copy))
        except UserError as error:
            problem = problem or error
    if not added:
        raise problem or UserError(
            "no_models_in_folder",
            f"There is no model in {path.name}.",
            "Choose a GGUF file, a folder that holds some, or the folder of an embedding model.",
            name=path.name,
        )
    return added


def remove(model: str) -> None:
    """Remove a model: its own files are deleted, a referenced file is left alone. Raises UserError unknown_model."""
    found = lookup(model)
    if not found:
        find(model)
        return
    # Without its manifest the model is gone at once, whatever happens to the rest.
    (found.folder / MANIFEST).unlink()
    shutil.rmtree(found.folder, ignore_errors=True)


def unique_id(name: str) -> str:
    """An id made of a name, not yet taken: lower case, digits, dots and dashes."""
    wanted = slug(name)
    number, found = 1, wanted
    while (models_folder() / found).exists() or (models_folder() / (found + PARTIAL)).exists():
        number += 1
        found = f"{wanted}-{number}"
    return found


def slug(name: str) -> str:
    """A name as an id and folder name: safe on every system, never empty. Letters of any script are kept."""
    plain = re.sub(r"[^\w.+-]+", "-", name.lower()).strip("-._")[:80].strip("-._")
    reserved = re.fullmatch(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", plain)
    return f"model-{plain}" if reserved else (plain or "model")


def write_manifest(folder: Path, model: Installed) -> None:
    """Write the manifest into `folder`: the last thing an installation does there."""
    write_json(folder / MANIFEST, asdict(model))


def _read(folder: Path) -> Installed | None:
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        model = Installed(**data)
    except (OSError, ValueError, TypeError):
        return None
    typed = isinstance(model.file, str) and isinstance(model.name, str) and isinstance(model.bytes, int)
    return model if typed and model.id == folder.name else None


def _models_in(folder: Path) -> list[Path]:
    """Model and adapter files of a folder and what lies below it, and encoders' folders; projectors and later parts
    left out."""
    found = sorted(file for file in folder.rglob("*") if file.suffix.lower() == ".gguf" and file.is_file())
    files = [f for f in found if not gguf_header.is_later_part(f.name) and not projector.named_so(f.name)]
    return files + sorted(file.parent for file in folder.rglob(encoder.CONFIG) if encoder.is_encoder(file.parent))


def _add_one(path: Path, copy: bool) -> Installed:
    header = gguf_header.read(path)
    if header.kind == "projector":
        raise _projector_alone(path.name)
    first = header.files[0]
    known = _same_file(first)
    if known:
        return known
    model, name = _identity(header, first)
    fields: dict[str, Any] = {
        "id": model,
        "name": name,
        "bytes": header.file_bytes,
        "sha256": "",
        "licence": header.licence,
        "added": time.time(),
        "origin": str(first),
    }
    if not copy:
        found = Installed(file=str(first), source="reference", **fields)
        write_manifest(models_folder() / model, found)
        return found
    sight = projector.projector_of(first)
    fields["bytes"] += sight.stat().st_size if sight else 0
    found = Installed(file=first.name, source="file", **fields)
    _copy((*header.files, sight) if sight else header.files, found)
    return found


def _add_encoder(folder: Path, copy: bool) -> Installed:
    read = encoder.read(folder)
    known = _same_file(folder)
    if known:
        return known
    entry = next((e for e in catalogue.entries() if _same_weights(e, read)), None)
    fields: dict[str, Any] = {
        "id": entry.id if entry else unique_id(folder.name),
        "name": entry.name if entry else folder.name,
        "bytes": read.bytes,
        "sha256": "",
        "licence": entry.licence if entry else "",
        "added": time.time(),
        "origin": str(folder),
    }
    if not copy:
        found = Installed(file=str(folder), source="reference", **fields)
        write_manifest(models_folder() / found.id, found)
        return found
    found = Installed(file="", source="file", **fields)
    _copy(tuple(folder / name for name in read.files), found, folder)
    return found


def _same_weights(entry: catalogue.Entry, read: encoder.Encoder) -> bool:
    """Whether a folder is a model of the catalogue that is not here yet, by name and size of its weights."""
    first = entry.files[0]
    size = (read.folder / read.files[0]).stat().st_size
    return (first.name, first.bytes) == (read.files[0], size) and unique_id(entry.id) == entry.id


def _identity(header: gguf_header.Header, first: Path) -> tuple[str, str]:
    """Id and name of a file: the catalogue's where it is one of its files, else made of the file's own name.

    The name inside the file is often only the trainer's working title, so it comes last: it serves for
    files without a name, such as the blobs of other programs.
    """
    for entry in catalogue.entries():
        same = [file for file in entry.files if file.name == first.name and file.bytes == header.file_bytes]
        if same and unique_id(entry.id) == entry.id:
            return entry.id, entry.name
    name = gguf_header.plain_stem(first.name) if first.suffix.lower() == ".gguf" else header.name
    return unique_id(name), name


def _same_file(path: Path) -> Installed | None:
    """The model already in the list that is this very file."""
    for model in installed():
        try:
            if model.path.samefile(path):
                return model
        except OSError:
            continue
    return None


def _copy(files: tuple[Path, ...], model: Installed, whole: Path | None = None) -> None:
    """Copy the files into the model's own folder; it appears under its name only when whole.

    Files of the folder `whole` keep their places in it.
    """
    from models.hardware import free_disk

    need, free = model.bytes, free_disk(models_folder())
    if need > free:
        raise disk_full(need, free)
    work = models_folder() / (model.id + PARTIAL)
    work.mkdir(parents=True, exist_ok=True)
    try:
        for file in files:
            place = work / (file.relative_to(whole) if whole else file.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, place)
        write_manifest(work, model)
        work.rename(model.folder)
    except OSError as error:
        shutil.rmtree(work, ignore_errors=True)
        raise UserError(
            "copy_failed",
            f"{model.name} could not be copied: {error.strerror or error}.",
            "Make room on the disk, or add the model without copying it.",
            name=model.name,
            reason=error.strerror or str(error),
        ) from None


def _projector_alone(name: str) -> UserError:
    return UserError(
        "projector_alone",
        f"{name} is no model of its own: it lets another model see or hear.",
        "Put it into the folder of that model; it is used from there.",
        name=name,
    )


def disk_full(need: int, free: int) -> UserError:
    """The error for too little room: bytes needed and bytes free."""
    return UserError(
        "disk_full",
        f"This needs {need / 1e9:.1f} GB, but only {free / 1e9:.1f} GB are free on the disk.",
        "Make room on the disk, then try again; what is there already is kept.",
        need=f"{need / 1e9:.1f}",
        free=f"{free / 1e9:.1f}",
    )
