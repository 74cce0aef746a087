"""One engine per data folder: the first holds the lock, later ones pass their lines on to it."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client as connect
from multiprocessing.connection import Connection, Listener
from pathlib import Path

from filelock import FileLock, Timeout

from engine.api.errors import UserError
from engine.api.folders import home, home_unusable

PATIENCE_S = 10.0  # for an engine that has the lock and does not open its door
log = logging.getLogger(__name__)
Serve = Callable[[Callable[[bytes], None], Iterable[bytes]], None]


def enter() -> FileLock | Connection:
    """The lock of this data folder, or a way to the engine that holds it.

    That one may be opening only just now, or be about to end, so it is given some seconds. Raises UserError
    engine_running if it cannot be reached.
    """
    patience = time.monotonic() + PATIENCE_S
    while True:
        lock = take_lock()
        if lock:
            return lock
        try:
            return connect(_address(), authkey=_key_file().read_bytes())
        except (AuthenticationError, PermissionError) as error:
            raise _no_way_in() from error
        except (OSError, EOFError) as error:
            if time.monotonic() > patience:
                raise _no_way_in() from error
        time.sleep(PATIENCE_S / 100)


def take_lock() -> FileLock | None:
    """The lock of this data folder, or None if another engine holds it. It ends with the process, however that ends."""
    try:
        home().mkdir(parents=True, exist_ok=True)
        lock = FileLock(home() / "engine.lock")
        lock.acquire(timeout=0)
    except Timeout:
        return None
    except OSError as error:
        raise home_unusable(error) from error
    return lock


class Door:
    """Lets other processes of this user in, over a local socket (a named pipe on Windows), with a secret key."""

    def __init__(self, serve: Serve) -> None:
        self._serve = serve
        self._guests: set[threading.Thread] = set()
        key = secrets.token_bytes(32)
        _write_key(key)
        address = _address()
        if sys.platform != "win32":
            Path(address).unlink(missing_ok=True)
        self._listener = Listener(address, authkey=key)
        threading.Thread(target=self._welcome, name="door", daemon=True).start()

    def wait_for_guests(self) -> None:
        """Returns when nobody who came through the door is being served any more."""
        for guest in list(self._guests):
            guest.join()

    def close(self) -> None:
        """Let nobody in any more."""
        self._listener.close()

    def _welcome(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (AuthenticationError, EOFError, ConnectionError):
                continue
            except OSError:
                return
            guest = threading.Thread(target=self._host, args=(connection,), name="guest", daemon=True)
            self._guests.add(guest)
            guest.start()

    def _host(self, connection: Connection) -> None:
        try:
            self._serve(connection.send_bytes, _received(connection))
        finally:
            connection.close()
            self._guests.discard(threading.current_thread())


def relay(connection: Connection, lines: Iterable[bytes], write: Callable[[bytes], None]) -> None:
    """Be the other engine's client on behalf of ours."""
    back = threading.Thread(target=_pass_back, args=(connection, write), daemon=True)
    back.start()
    for line in lines:
        connection.send_bytes(line)
    connection.close()


def _no_way_in() -> UserError:
    return UserError(
        "engine_running",
        f"Another Deskside is using the folder {home()} and does not answer.",
        "Close it (or end its process), or set DESKSIDE_HOME to another folder.",
        path=str(home()),
    )


def _pass_back(connection: Connection, write: Callable[[bytes], None]) -> None:
    for line in _received(connection):
        write(line)
    # The other engine is gone: whoever waits for us must learn it, and our stdin may stay open for ever.
    os._exit(3)


def _received(connection: Connection) -> Iterator[bytes]:
    while True:
        try:
            yield connection.recv_bytes()
        except (EOFError, OSError):
            return


def _address() -> str:
    """Unix socket paths are limited to about 100 bytes, so the socket lies in the temporary folder, named by ours."""
    name = hashlib.sha256(str(home()).encode()).hexdigest()[:16]
    if sys.platform == "win32":
        return rf"\\.\pipe\deskside-{name}"
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"deskside-{os.getuid()}"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    return str(folder / name)


def _key_file() -> Path:
    return home() / "engine.key"


def _write_key(key: bytes) -> None:
    _key_file().unlink(missing_ok=True)
    handle = os.open(_key_file(), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(key)
