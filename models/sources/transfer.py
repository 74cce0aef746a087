"""One file over HTTP: resumed where it stopped, hashed while it is written, with errors a person understands."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from engine.api.errors import UserError
from engine.api.full_disk import NO_ROOM

if TYPE_CHECKING:
    import httpx

CHUNK = 1024 * 1024
WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before each further try while nothing arrives
AGAIN_AFTER = 0.2  # seconds, where bytes had come before the connection broke
FIRST_WAITS = (0.5, 1.0)  # before the first byte: someone is waiting for an answer
_PASSING = (408, 425, 429, 500, 502, 503, 504)


def client() -> httpx.Client:
    """An HTTP client that honours the environment's proxies and certificates."""
    import httpx

    timeout = httpx.Timeout(30.0, connect=10.0)
    return httpx.Client(follow_redirects=True, timeout=timeout, headers={"User-Agent": "deskside"}, trust_env=True)


def get(http: httpx.Client, url: str, headers: Mapping[str, str]) -> httpx.Response:
    """A small answer, read whole, tried a few times. Raises UserError offline, http_status, no_such_model, gated."""
    import httpx

    for wait in (*FIRST_WAITS, None):
        try:
            answer = http.get(url, headers=dict(headers))
        except httpx.HTTPError as error:
            if wait is None:
                raise offline(url, error) from None
        else:
            if answer.status_code not in _PASSING or wait is None:
                check_status(answer.status_code, url)
                return answer
        time.sleep(wait or 0)
    raise AssertionError("the last try always ends the loop")


def beginning(http: httpx.Client, url: str, count: int, headers: Mapping[str, str]) -> bytes:
    """The first `count` bytes of a file (fewer of a shorter one), in one request.

    Raises UserError offline, http_status, no_such_model, gated.
    """
    import httpx

    asked = {**headers, "Range": f"bytes=0-{count - 1}", "Accept-Encoding": "identity"}
    found = bytearray()
    try:
        with http.stream("GET", url, headers=asked) as answer:
            check_status(answer.status_code, url)
            for piece in answer.iter_raw():
                found += piece
                if len(found) >= count:
                    break
    except httpx.HTTPError as error:
        raise offline(url, error) from None
    return bytes(found[:count])


def fetch(
    http: httpx.Client,
    url: str,
    path: Path,
    size: int,
    sha256: str,
    step: Callable[[int], None],
    headers: Mapping[str, str] | None = None,
    waits: tuple[float, ...] = WAITS,
) -> str:
    """Download `url` to `path`, going on where an earlier try stopped; returns its sha256.

    `size` (0 = unknown) and `sha256` ("" = unknown) are checked; bytes that do not match are deleted. `step`
    gets the bytes there are so far and may raise to stop; what has arrived then stays for the next time.
    Raises UserError offline, http_status, gated, no_such_model, wrong_hash, disk_ran_full, cannot_write_model.
    """
    download = _Download(http, url, path, size, step, dict(headers or {}))
    resumed = download.take_up()
    download.run(waits)
    if not download.right(sha256) and resumed:
        # Perhaps the old bytes were bad rather than the server's: once more from the start.
        download.restart()
        download.run(waits)
    if not download.right(sha256):
        path.unlink(missing_ok=True)
        raise wrong_hash(path.name, _host(url))
    return download.hash.hexdigest()


class _Download:
    """A download under way. `done` counts bytes written, `hash` has seen exactly those."""

    def __init__(
        self,
        http: httpx.Client,
        url: str,
        path: Path,
        size: int,
        step: Callable[[int], None],
        headers: dict[str, str],
    ) -> None:
        self.http, self.url, self.path, self.size, self.step = http, url, path, size, step
        self.headers = {**headers, "Accept-Encoding": "identity"}
        self.done, self.hash = 0, hashlib.sha256()
        self.complete = False

    def take_up(self) -> bool:
        """Count and hash what an earlier try left. Says whether there was anything."""
        try:
            with self.path.open("rb") as file:
                while piece := file.read(CHUNK):
                    self.hash.update(piece)
                    self.done += len(piece)
                    self.step(min(self.done, self.size or self.done))
        except FileNotFoundError:
            return False
        if self.size and self.done > self.size:
            self.restart()
        self.complete = bool(self.size) and self.done == self.size
        return self.done > 0

    def restart(self) -> None:
        """Throw away what is there."""
        self.path.unlink(missing_ok=True)
        self.done, self.hash, self.complete = 0, hashlib.sha256(), False

    def right(self, sha256: str) -> bool:
        """Whether size and hash are those expected."""
        if self.size and self.done != self.size:
            return False
        return not sha256 or self.hash.hexdigest() == sha256

    def run(self, waits: tuple[float, ...]) -> None:
        """Read to the end; a broken connection is taken up again as long as bytes keep coming."""
        import httpx

        failures = 0
        while not self.complete:
            before, reason = self.done, ""
            try:
                reason = self._once()
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            if self.complete:
                return
            failures = 0 if self.done > before else failures + 1
            patience = waits if self.done else waits[: len(FIRST_WAITS)]
            if failures > len(patience):
                raise offline(self.url, reason)
            self._wait(patience[failures - 1] if failures else AGAIN_AFTER)

    def _wait(self, seconds: float) -> None:
        """Wait, still seeing a cancel."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.step(self.done)
            time.sleep(min(0.1, seconds))

    def _once(self) -> str:
        """One request. Returns why it has to be repeated, "" at the end of the file."""
        headers = dict(self.headers)
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
        with self.http.stream("GET", self.url, headers=headers) as answer:
            status = answer.status_code
            if status in _PASSING:
                return f"HTTP {status}"
            if status == 416:
                self.restart()
                return "HTTP 416"
            check_status(status, self.url)
            if self.done and not _goes_on(answer, self.done):
                self.restart()
            self._write(answer)
        self.complete = not self.size or self.done >= self.size
        return "" if self.complete else "the connection ended early"

    def _write(self, answer: httpx.Response) -> None:
        try:
            with self.path.open("ab") as file:
                for piece in answer.iter_raw():
                    file.write(piece)
                    self.hash.update(piece)
                    self.done += len(piece)
                    self.step(min(self.done, self.size or self.done))
                    if self.size and self.done > self.size:
                        return
        except OSError as error:
            raise disk_error(error, self.path) from None


def check_status(status: int, url: str) -> None:
    """Raise the UserError that an HTTP status stands for; 2xx passes."""
    if 200 <= status < 300:
        return
    host = _host(url)
    if status in (401, 403):
        raise UserError(
            "gated",
            f"{host} gives this model only to people who have signed in and accepted its terms.",
            "Accept the terms on the model's page, then sign in with `hf auth login`.",
            host=host,
        )
    if status in (404, 410):
        raise UserError(
            "no_such_model",
            f"{host} does not have this model or file.",
            "Check the name, or choose another source in the settings.",
            host=host,
            name=urlsplit(url).path.strip("/"),
        )
    raise UserError(
        "http_status", f"{host} answered with error {status}.", "Try again later.", host=host, status=status
    )


def wrong_hash(name: str, host: str) -> UserError:
    """The error for bytes that are not those asked for."""
    return UserError(
        "wrong_hash",
        f"{name} from {host} is not the file that was asked for: its checksum is wrong.",
        "The wrong bytes were thrown away. Try again; if it stays so, choose another source in the settings.",
        name=name,
        host=host,
    )


def offline(url: str, reason: object) -> UserError:
    """The error for a host that cannot be reached."""
    host = _host(url)
    return UserError(
        "offline",
        f"{host} cannot be reached.",
        "Check the internet connection and the addresses in the settings; what has arrived is kept.",
        host=host,
        reason=str(reason),
    )


def disk_error(error: OSError, path: Path) -> UserError:
    """The error for a file that cannot be written."""
    if error.errno in NO_ROOM:
        return UserError(
            "disk_ran_full", "The disk is full.", "Make room on the disk, then resume; what has arrived is kept."
        )
    reason = error.strerror or str(error)
    return UserError(
        "cannot_write_model",
        f"{path.name} cannot be written: {reason}.",
        "Check the permissions of the data folder.",
        name=path.name,
        reason=reason,
    )


def _goes_on(answer: httpx.Response, done: int) -> bool:
    """Whether an answer to a Range request really starts at byte `done`."""
    found = answer.headers.get("Content-Range", "")
    return answer.status_code == 206 and found.startswith(f"bytes {done}-")


def _host(url: str) -> str:
    parts: Any = urlsplit(url)
    return str(parts.netloc.rpartition("@")[2] or url)
