"""The models in memory: loaded on demand, the least recently used out when memory or the limit asks for it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.settings import Settings
from engine.chosen_draft import ChosenDraft
from engine.llama.load import LoadSettings
from engine.resident import Resident, Serving, take_in

POLL_S = 0.05
IDLE_LOOK_S = 5.0
Progress = Callable[[float], None]


@dataclass(frozen=True)
class Wanted:
    """What a model is to be in memory, by the settings of now."""

    path: Path
    settings: LoadSettings
    serving: Serving
    draft: ChosenDraft | None = None


class Residents:
    """All calls are for any thread.

    `wanted(model)` looks a model up, raising UserError unknown_model and the like.
    `check(model, freed, beside)` raises UserError model_wont_fit where the model would not fit even with `freed` bytes
    more, and answers how many bytes must be freed for it and `beside` bytes more. `changed(model or "")` hears of the
    model that came, or the last one that went.
    """

    def __init__(
        self,
        wanted: Callable[[str], Wanted],
        check: Callable[[str, int, int], int],
        changed: Callable[[str, int], None],
    ) -> None:
        self._wanted, self._check, self._changed = wanted, check, changed
        self._residents: dict[str, Resident] = {}
        self._lock = threading.Lock()  # guards the table, held for moments only
        self._loading = threading.Lock()  # one load or unload at a time
        self._closing = threading.Event()
        self._limit, self._idle_s = 3, 0.0
        self._sweeper = threading.Thread(target=self._sweep, name="idle models", daemon=True)
        self._sweeper.start()

    @contextmanager
    def use(self, model: str, progress: Progress, cancelled: threading.Event) -> Iterator[Resident]:
        """The loaded model, which nobody unloads while inside. `progress` hears 0..1 if it must be loaded.

        Raises Cancelled, and UserError unknown_model, model_wont_fit or those of loading.
        """
        wanted = self._wanted(model)
        resident = self._take(model, wanted) or self._load(model, wanted, progress, cancelled)
        try:
            yield resident
        finally:
            with self._lock:
                resident.users -= 1
                resident.used = time.monotonic()

    @contextmanager
    def present(self, model: str = "") -> Iterator[Resident | None]:
        """The model if it is in memory ("": the one used last), kept there while inside; None if it is not."""
        with self._lock:
            latest = max(self._residents.values(), key=lambda resident: resident.used, default=None)
            found = self._residents.get(model) if model else latest
            if found:
                found.users += 1
        try:
            yield found
        finally:
            if found:
                with self._lock:
                    found.users -= 1

    def loaded(self) -> list[Resident]:
        """What is in memory, last used first, without waiting."""
        with self._lock:
            return sorted(self._residents.values(), key=lambda resident: -resident.used)

    def find(self, model: str) -> Resident | None:
        """The model if it is in memory."""
        with self._lock:
            return self._residents.get(model)

    def idle_s(self) -> float:
        """Seconds since anybody used a model: 0 while one is used or loaded, infinite if there is none."""
        with self._lock:
            residents = [*self._residents.values()]
        if self._loading.locked() or any(resident.users for resident in residents):
            return 0.0
        return time.monotonic() - max((resident.used for resident in residents), default=-math.inf)

    def wanted_beside(self, model: str) -> bool:
        """Whether anybody but the one user of `model` who asks uses a model, or waits for one."""
        with self._lock:
            here = model in self._residents
            users = sum(resident.users for resident in self._residents.values())
        return users > here or (here and self._loading.locked())

    def unload(self, model: str = "") -> None:
        """Give back the memory of a model, or of all. Answers in progress end as cancelled."""
        with self._loading:
            for resident in [r for r in self.loaded() if not model or r.info.model == model]:
                self._free(resident)

    def release(self, model: str) -> None:
        """Let go of a model's file: unload it, and every model that it guesses for."""
        with self._loading:
            for resident in [r for r in self.loaded() if model in (r.info.model, r.info.draft)]:
                self._free(resident)

    def follow(self, settings: Settings) -> None:
        """How many models stay, and for how long."""
        self._limit, self._idle_s = settings.models_at_once, settings.idle_unload_minutes * 60.0

    def close(self) -> None:
        """Unload everything; further calls raise UserError closed."""
        self._closing.set()
        self.unload()

    def _take(self, model: str, wanted: Wanted) -> Resident | None:
        with self._lock:
            resident = self._residents.get(model)
            if resident is None or _asked(resident) != (wanted.path, wanted.settings, wanted.draft):
                return None
            resident.users += 1
            resident.used = time.monotonic()
            return resident

    def _load(self, model: str, wanted: Wanted, progress: Progress, cancelled: threading.Event) -> Resident:
        _acquire(self._loading, cancelled)
        try:
            if self._closing.is_set():
                raise UserError("closed", "The engine is shutting down.")
            present = self._take(model, wanted)
            if present:
                return present
            self._make_room(model, cancelled)

            def go_on(done: float) -> bool:
                progress(done)
                return not (cancelled.is_set() or self._closing.is_set())

            draft, fits = wanted.draft, self._draft_fits(model, wanted.draft)
            resident = take_in(model, wanted.path, wanted.settings, wanted.serving, go_on, draft, fits)
            resident.users = 1
            with self._lock:
                self._residents[model] = resident
        finally:
            self._loading.release()
        self._changed(model, resident.info.context_size)
        return resident

    def _make_room(self, model: str, cancelled: threading.Event) -> None:
        """Unload what is in the way: the same model with other settings, one too many, too much memory."""
        old = self.find(model)
        if old:
            self._wait_until_free([old], cancelled)
            self._free(old)
        while len(self._residents) >= self._limit:
            self._free(self._oldest(cancelled))
        missing = self._check(model, self._held(), 0)
        while missing > 0 and self._residents:
            oldest = self._oldest(cancelled)
            missing -= _size(oldest)
            self._free(oldest)

    def _draft_fits(self, model: str, draft: ChosenDraft | None) -> bool:
        """Whether the draft fits as well. No other model goes for it: it only makes one quicker."""
        return draft is not None and self._check(model, self._held(), draft.bytes) <= 0

    def _held(self) -> int:
        return sum(_size(resident) for resident in self.loaded())

    def _oldest(self, cancelled: threading.Event) -> Resident:
        """The least recently used model that nobody uses; waits for one."""
        self._wait_until_free(self.loaded(), cancelled)
        return next(resident for resident in reversed(self.loaded()) if not resident.users)

    def _wait_until_free(self, some: list[Resident], cancelled: threading.Event) -> None:
        while all(resident.users for resident in some):
            if cancelled.wait(POLL_S):
                raise Cancelled
            if self._closing.is_set():
                raise UserError("closed", "The engine is shutting down.")

    def _free(self, resident: Resident) -> None:
        with self._lock:
            self._residents.pop(resident.info.model, None)
        resident.stop()
        while resident.users:  # they hear that their answer was cancelled, and leave
            time.sleep(POLL_S / 10)
        resident.close()
        if not self._closing.is_set():
            left = self.loaded()
            self._changed(left[0].info.model if left else "", left[0].info.context_size if left else 0)

    def _sweep(self) -> None:
        """Unload models that nobody asked for a long while."""
        while not self._closing.wait(IDLE_LOOK_S):
            if not self._idle_s:
                continue
            with self._loading:
                now = time.monotonic()
                for resident in self.loaded():
                    if not resident.users and now - resident.used > self._idle_s:
                        self._free(resident)


def _acquire(lock: threading.Lock, cancelled: threading.Event) -> None:
    while not lock.acquire(timeout=POLL_S):
        if cancelled.is_set():
            raise Cancelled


def _size(resident: Resident) -> int:
    return sum(resident.memory().values())


def _asked(resident: Resident) -> tuple[Path, LoadSettings, ChosenDraft | None]:
    return resident.info.path, resident.info.settings, resident.draft_asked
