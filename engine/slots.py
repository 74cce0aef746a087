"""Which sequence of the KV cache a request gets, and what of its prompt is there: live, shared, parked, or on disk."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from engine.llama.model import Model
from engine.llama.slot import AdapterKey, Slot
from engine.parking import Parked, Parking
from engine.prefix_store import PrefixStore

PARKING_MOST = 256 << 20  # bytes; and no more than the KV cache itself
WORTH_PARKING = 32  # tokens that would have to be read anew
WORTH_LOADING = 64  # tokens that a stored prefix must spare at least
WORTH_STORING = 192  # shorter conversations are read anew as quickly
IDLE_S = 2.0  # a conversation is stored when nothing was asked for so long


class Slots:
    """All sequences of one context. Belongs to the model's thread.

    Cells are one pool that the sequences share: `busy` ones keep theirs, those of idle ones are a cache until another
    request comes, and are parked then.
    """

    def __init__(
        self,
        model: Model,
        store: PrefixStore | None = None,
        fingerprint: str = "",
        fresh: bool = False,
        room: Callable[[], int] = lambda: PARKING_MOST,
    ) -> None:
        """`fresh`: nothing is taken over from earlier requests. `room()`: bytes that parking may still take now."""
        self.model, self._fresh, self._room = model, fresh, room
        self.all = [Slot(model, number) for number in range(model.sequences)]
        self.busy: set[int] = set()
        self._store, self._fingerprint = store, fingerprint
        self._parking = Parking(0 if fresh else min(PARKING_MOST, model.memory.get("kv_cache", 0)))
        self._savers: list[threading.Thread] = []

    def free(self) -> bool:
        """Whether another request can have a slot."""
        return len(self.busy) < len(self.all)

    def take(self, tokens: list[int], adapters: AdapterKey, conversation: str) -> Slot:
        """A slot cut back to what it shares with the prompt; the best start there is."""
        slot = self._best(tokens, adapters)
        if self._fresh:
            slot.clear()
        self._load_more(slot, tokens, adapters)
        slot.cut(slot.shared(tokens, adapters))
        if not slot.held:
            slot.clear()
        slot.adapters, slot.conversation, slot.dirty = adapters, conversation, True
        self.busy.add(slot.number)
        if self.model.needs_cores:
            for idle in self._idle():
                self._park(idle)
        return slot

    def claim(self, slot: Slot, tokens: list[int], adapters: AdapterKey, conversation: str) -> bool:
        """Take an idle slot that holds exactly this prompt, none if it does not."""
        if slot.number in self.busy or slot.held != tokens or slot.adapters != adapters:
            return False
        slot.conversation, slot.dirty = conversation, True
        self.busy.add(slot.number)
        return True

    def give_back(self, slot: Slot) -> None:
        """The request is over; its tokens stay as a cache."""
        self.busy.discard(slot.number)
        slot.used = time.monotonic()

    def make_room(self, cells: int) -> bool:
        """Empty idle slots, least recently used first, until so many cells are free. False if that was not enough."""
        for slot in sorted(self._idle(), key=lambda slot: slot.used):
            if self.free_cells() >= cells:
                return True
            self._park(slot)
            slot.clear()
        return self.free_cells() >= cells

    def free_cells(self) -> int:
        """Cells that nobody holds. Shared beginnings count for each that has them, so it is rather more."""
        return self.model.context_size - sum(len(slot.held) for slot in self.all)

    def parked_bytes(self) -> int:
        """What conversations outside the KV cache take. For any thread."""
        return self._parking.bytes()

    def store_idle(self, now: float) -> None:
        """Write conversations to disk that nobody asked about for a while."""
        for slot in self._idle():
            if slot.dirty and now - slot.used >= IDLE_S:
                self._save(slot)
        for parked in self._parking.all():
            if parked.dirty and now - parked.used >= IDLE_S:
                self._save_parked(parked)

    def forget(self, conversation: str) -> None:
        """This conversation is not stored any more. For any thread."""
        self._parking.forget(conversation)
        for slot in self.all:
            if slot.conversation == conversation:
                slot.conversation = ""

    def unsaved(self) -> bool:
        """Whether an idle conversation waits for being stored."""
        if any(slot.dirty and self._worth_storing(slot) for slot in self._idle()):
            return True
        return any(parked.dirty for parked in self._parking.all())

    def close(self) -> None:
        """Store what is not stored yet, and wait until it is on disk."""
        for slot in self.all:
            if slot.dirty:
                self._save(slot)
        for parked in self._parking.all():
            if parked.dirty:
                self._save_parked(parked)
        for saver in self._savers:
            saver.join()

    def _idle(self) -> list[Slot]:
        return [slot for slot in self.all if slot.number not in self.busy]

    def _best(self, tokens: list[int], adapters: AdapterKey) -> Slot:
        """An idle slot that goes on, or another with the best beginning copied into it."""
        idle = self._idle()
        best = max(self.all, key=lambda slot: (slot.shared(tokens, adapters), slot.number not in self.busy))
        shared = best.shared(tokens, adapters)
        if shared and best.number not in self.busy and self._keeps(best, shared):
            return best
        oldest = min(idle, key=lambda slot: (bool(slot.held), slot is best, slot.used))
        self._keeps(oldest, shared if oldest is best else 0)
        if oldest is not best:
            oldest.clear()
            if shared:
                oldest.copy(best, shared)
        return oldest

    def _keeps(self, slot: Slot, length: int) -> bool:
        """Whether a slot can be cut to `length` tokens and nothing is lost that would be missed."""
        if len(slot.held) - length < WORTH_PARKING:
            return True
        if not self._can_park(slot):
            return False
        self._put(slot)
        return True

    def _park(self, slot: Slot) -> None:
        """Take an idle slot's tokens out of the cache, if they can be taken elsewhere."""
        if slot.held and self._can_park(slot):
            self._put(slot)
            slot.clear()

    def _can_park(self, slot: Slot) -> bool:
        if not (slot.conversation or self.model.needs_cores):
            return False  # a card reads a text again as quickly as it gives it out
        pictures = any(token < 0 for token in slot.held)  # llama.cpp counts their positions in another way
        size = 0 if pictures else slot.state_bytes()
        return 0 < size <= self._parking.limit_bytes and size <= self._room()

    def _put(self, slot: Slot) -> None:
        if self._parking.has(slot.held, slot.adapters, slot.conversation):
            return
        dirty = slot.dirty and self._worth_storing(slot)
        state = slot.state()
        parked = Parked(list(slot.held), slot.adapters, slot.conversation, dirty, slot.used, state)
        for gone in self._parking.put(parked):
            if gone.dirty:
                self._save_parked(gone)

    def _load_more(self, slot: Slot, tokens: list[int], adapters: AdapterKey) -> None:
        """Take a longer beginning from those parked, or from disk, if there is one."""
        parked = self._parking.longest(tokens, adapters)
        shared = parked.shared(tokens, adapters) if parked else 0
        if parked and shared >= slot.shared(tokens, adapters) + WORTH_PARKING:
            self._restore(slot, parked.tokens, parked.state, adapters)
            if shared >= len(parked.tokens) - WORTH_PARKING:
                self._parking.remove(parked)
        if not self._store:
            return
        found = self._store.longest(self._name(adapters), tokens)
        if found and found.shared >= slot.shared(tokens, adapters) + WORTH_LOADING:
            got = self._store.load(found)
            if got:
                self._restore(slot, got[0], got[1], adapters)

    def _restore(self, slot: Slot, tokens: list[int], state: bytes | memoryview, adapters: AdapterKey) -> None:
        if len(tokens) < self.model.context_size:
            self.make_room(len(tokens) - len(slot.held))
            slot.restore(tokens, state, adapters)

    def _save(self, slot: Slot) -> None:
        slot.dirty = False
        if self._worth_storing(slot):
            state, tokens = slot.state(), list(slot.held)
            self._write(slot.conversation, slot.adapters, tokens, state)
            if self.model.needs_cores and self._parking.spare() >= len(state) <= self._room():
                # The copy is made now, while nobody waits, and not when the next request wants the cores.
                self._parking.put(Parked(tokens, slot.adapters, slot.conversation, False, slot.used, state))

    def _save_parked(self, parked: Parked) -> None:
        parked.dirty = False
        self._write(parked.conversation, parked.adapters, parked.tokens, parked.state)

    def _write(self, conversation: str, adapters: AdapterKey, tokens: list[int], state: bytes | memoryview) -> None:
        if not self._store:
            return
        arguments = (conversation, self._name(adapters), tokens, state)
        saver = threading.Thread(target=self._store.save, args=arguments, name="conversation saver")
        saver.start()
        self._savers = [*(thread for thread in self._savers if thread.is_alive()), saver]

    def _worth_storing(self, slot: Slot) -> bool:
        media = any(token < 0 for token in slot.held)
        return bool(self._store and slot.conversation) and len(slot.held) >= WORTH_STORING and not media

    def _name(self, adapters: AdapterKey) -> str:
        return f"{self._fingerprint}:{adapters}"
