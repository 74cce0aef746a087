"""The server's thread: a socket, uvicorn on an event loop of its own, and the end of both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from dataclasses import dataclass, field
from typing import Any

from engine.api.errors import UserError
from engine.core import Core
from engine.server.answering import Running
from engine.server.app import App
from engine.server.bell import bell
from engine.server.figures import Figures
from engine.server.guard import LOOPBACK, WILDCARDS, Rules, is_loopback
from engine.server.stream import Wakes

START_S = 10.0
STOP_S = 5.0
MOST_HEAD_BYTES = 64 * 1024
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a server listens and who may ask it. `port` 0 takes any free one."""

    host: str = "127.0.0.1"
    port: int = 8642
    key: str = field(default="", repr=False)
    model: str = ""
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()

    def rules(self) -> Rules:
        """The rules for its guard."""
        own = {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"} if self._wide() else set()
        names = LOOPBACK | {self.host.lower()} | {h.lower() for h in self.hosts} | own
        return Rules(frozenset(names), self._wide(), frozenset(self.origins), self.key)

    def check(self) -> None:
        """Raises UserError bad_key, bad_listen_address, and server_needs_key for what is not surely this machine."""
        if not all(33 <= ord(letter) <= 126 for letter in self.key):
            raise UserError("bad_key", "An API key is made of letters, digits and signs, without spaces.")
        if not self.key and not is_loopback(self.host):
            raise _needs_key(self.host)
        if not 0 <= self.port <= 65535:
            raise _no_place(f"{self.host}:{self.port}")

    def _wide(self) -> bool:
        return self.host in WILDCARDS


class Server:
    """A running HTTP server. Its start raises the UserErrors of `Place.check` and `bound`."""

    def __init__(self, core: Core, place: Place) -> None:
        place.check()
        self.place = place
        self._socket = bound(place)
        self.port = int(self._socket.getsockname()[1])
        self._core = core
        self._running: Running | None = None
        self._uvicorn: Any = None
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="http server", daemon=True)
        self._thread.start()
        self._ready.wait(START_S)

    @property
    def address(self) -> str:
        """Where a browser or a client finds it, such as http://127.0.0.1:8642."""
        host = "127.0.0.1" if self.place.host in WILDCARDS else self.place.host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def addresses(self) -> list[str]:
        """All addresses by which it can be reached: one, or those of this machine on its networks."""
        if self.place.host not in WILDCARDS:
            return [self.address]
        return [f"http://{host}:{self.port}" for host in machine_addresses()] or [self.address]

    @property
    def alive(self) -> bool:
        """Whether it serves."""
        return self._thread.is_alive()

    def close(self) -> None:
        """Cancel what runs, close every connection, end the thread."""
        if self._running:
            self._running.cancel_all()
        if self._uvicorn:
            self._uvicorn.end()
        self._thread.join(STOP_S)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.closing(asyncio.new_event_loop()) as loop:
            loop.run_until_complete(self._main(loop))

    async def _main(self, loop: asyncio.AbstractEventLoop) -> None:
        with bell(loop) as ring:
            self._running = Running(self._core, Wakes(ring), Figures(), self.place.model)
            await self._listen(loop, self._running)

    async def _listen(self, loop: asyncio.AbstractEventLoop, running: Running) -> None:
        import uvicorn

        from engine.server.protocol import protocol
        from engine.server.resting import resting

        config = uvicorn.Config(
            App(running, self.place.rules()),
            http=protocol(),
            ws="none",
            lifespan="off",
            loop="none",
            interface="asgi3",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=2,
            h11_max_incomplete_event_size=MOST_HEAD_BYTES,
        )
        self._uvicorn = resting()(config)
        loop.call_soon(self._ready.set)
        await self._uvicorn.serve(sockets=[self._socket])


def bound(place: Place) -> socket.socket:
    """A socket at that place. Raises UserError bad_listen_address, address_taken, and server_needs_key where other
    machines could reach it and no key keeps them out."""
    family, kind, protocol, address = _looked_up(place)
    if not place.key and not is_loopback(str(address[0])):
        raise _needs_key(place.host)
    taken = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows: otherwise another program could take our port over
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(address)
    except OSError as error:
        taken.close()
        raise _taken(place, error) from None
    return taken


def machine_addresses() -> list[str]:
    """This machine's IPv4 addresses on its networks, without its own loopback and those nobody gave out."""
    import psutil

    found = [one.address for many in psutil.net_if_addrs().values() for one in many if one.family == socket.AF_INET]
    return sorted(address for address in found if not address.startswith(("127.", "169.254.")))


def _looked_up(place: Place) -> tuple[int, int, int, tuple[Any, ...]]:
    try:
        found = socket.getaddrinfo(place.host or None, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise _no_place(place.host) from None
    family, kind, protocol, _, address = found[0]
    return family, kind, protocol, address


def _needs_key(host: str) -> UserError:
    return UserError(
        "server_needs_key",
        f"Other machines can reach {host or 'this address'}, so a key is needed.",
        "Choose one with --api-key, or listen on 127.0.0.1.",
        host=host,
    )


def _no_place(host: str) -> UserError:
    return UserError("bad_listen_address", f"There is no address {host} here.", "Try 127.0.0.1.", host=host)


def _taken(place: Place, error: OSError) -> UserError:
    reason = str(error.strerror)
    return UserError(
        "address_taken",
        f"{place.host}:{place.port} cannot be listened on: {reason}.",
        "Choose another port.",
        host=place.host,
        port=place.port,
        reason=reason,
    )
