"""What is to be fetched for one model: the same shape for every source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from models.catalogue import File


@dataclass(frozen=True)
class Member:
    """A member of a fetched archive, appended to the file `target`."""

    name: str
    target: str


@dataclass(frozen=True)
class Fetch:
    """One thing to download. Without members it is itself the file `name`; sizes in bytes, 0 = unknown."""

    url: str
    name: str
    bytes: int
    sha256: str
    members: tuple[Member, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """A whole model: what to fetch in order, and the files that must result.

    `main` is the file to load, "" for a model in Hugging Face layout, which is the folder itself.
    """

    name: str
    licence: str
    source: str  # catalogue or hub
    origin: str
    main: str
    files: tuple[File, ...]
    fetches: tuple[Fetch, ...]

    @property
    def download_bytes(self) -> int:
        """Bytes that travel."""
        return sum(fetch.bytes for fetch in self.fetches)

    @property
    def disk_bytes(self) -> int:
        """The most the work folder holds at one time: all files and the largest archive."""
        archives = (fetch.bytes for fetch in self.fetches if fetch.members)
        return sum(file.bytes for file in self.files) + max(archives, default=0)
