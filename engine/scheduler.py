"""Many requests on one context: each step decodes what everybody needs next, in one batch (continuous batching)."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

from engine.api.errors import UserError
from engine.api.job import Cancelled
from engine.api.messages import Stats, StopReason
from engine.likelihood import likelihood
from engine.llama.batch import Batch, Outcome
from engine.llama.model import Model
from engine.llama.slot import AdapterKey, Slot, can_be_cut, shared_prefix
from engine.llama.writing import Writing
from engine.shares import Plan, Portion, Shares
from engine.slots import Slots
from engine.step_end import Step

T = TypeVar("T")
ANSWER_ROOM = 256  # cells a request is let in with, beyond its prompt
IDLE_LOOK_S = 0.5
SAME_ADAPTERS = 8  # steps with the same adapters before others have their turn: a change costs some milliseconds
WORTH_WAITING = 32  # tokens that another is about to read, too
WAIT_S = 600.0  # a request that found no slot for so long is sent away


class Scheduler:
    """The thread of one loaded model. `generate` and `run` may be called from any thread."""

    def __init__(
        self, model: Model, slots: Slots, choose_adapters: Callable[[AdapterKey], None], queue_limit: int
    ) -> None:
        self.model, self.slots = model, slots
        self.guesser: Callable[[Writing], None] | None = None  # gives a writing its guesses
        self._choose_adapters, self._limit = choose_adapters, queue_limit
        self._can_share = can_be_cut(model)  # the beginning of a prompt, from another's
        self._adapters: AdapterKey | None = ()  # those of the step before, None where that is not known
        self._arrived: deque[Writing] = deque()
        self._tasks: deque[tuple[Generator[None, None, Any], Future[Any]]] = deque()
        self._queue: list[Writing] = []
        self._active: list[Writing] = []
        self._batch, self._step_end = Batch(model), Step(model.needs_cores)
        self._shares = Shares(model.step_size, model.batch_size)
        self._settled: Plan | None = None  # that of the next steps, as long as nobody comes or goes
        self._steps = 0
        # A prompt that was read ahead to its end, and where in the batch its logits still are.
        self._ready: tuple[Slot, int] | None = None
        self._wake, self._closing = threading.Condition(), False
        self._thread = threading.Thread(target=self._main, name="model")
        self._thread.start()

    def generate(self, writing: Writing) -> Stats:
        """Have a request answered; returns at its end. Raises UserError busy, out_of_memory, closed; Cancelled."""
        if writing.cancelled.is_set():
            raise Cancelled
        with self._wake:
            self._refuse()
            self._arrived.append(writing)
            self._wake.notify()
        return writing.future.result()

    def run(self, steps: Generator[None, None, T]) -> T:
        """Have other work done in the model's thread, one step between two of the others'."""
        future: Future[T] = Future()
        with self._wake:
            self._refuse(full=False)
            self._tasks.append((steps, future))
            self._wake.notify()
        return future.result()

    def likelihood(self, prompt: list[int], text: list[int], cancelled: threading.Event) -> float:
        """log P(text | prompt). Raises UserError out_of_memory, closed; Cancelled."""
        return self.run(likelihood(self.slots, self._read_apart, prompt, text, cancelled))

    def load(self) -> tuple[int, int]:
        """Requests being answered, and requests waiting."""
        return len(self._active), len(self._queue) + len(self._arrived)

    def close(self) -> None:
        """End all answers in progress, store the conversations, end the thread."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()

    def _refuse(self, full: bool = True) -> None:
        if self._closing:
            raise UserError("closed", "The engine is shutting down.")
        if full and len(self._queue) + len(self._arrived) >= self._limit:
            raise _busy(self._limit)

    def _main(self) -> None:
        while (self._active and not self._closing) or self._wait():  # no lock where nobody sleeps
            self._turn()
        for writing in [*self._active, *self._queue, *self._arrived]:
            self._end(writing)
        for steps, future in self._tasks:
            steps.close()
            future.set_exception(UserError("closed", "The engine is shutting down."))
        self.slots.close()

    def _wait(self) -> bool:
        """Sleep until there is work; False when closing. Idle conversations are stored meanwhile."""
        with self._wake:
            while not (self._arrived or self._queue or self._active or self._tasks or self._closing):
                self._wake.wait(IDLE_LOOK_S if self.slots.unsaved() else None)
                if self.slots.unsaved():
                    self.slots.store_idle(time.monotonic())
            return not self._closing

    def _turn(self) -> None:
        if self._waits():
            self._drop(self._queue)
            self._admit()
        if not self._settled:  # whoever writes looks for itself whether it is cancelled
            self._drop(self._active)
        if self._tasks:
            self._advance_task()
        if self._active:
            self._step()

    def _drop(self, writings: list[Writing]) -> None:
        """Let go of those that were cancelled, waited too long, or only read ahead while others want the model."""
        for writing in list(writings):
            if writing.cancelled.is_set() or (writing.request.read_only and self._urgent()):
                self._end(writing)
            elif writing.slot is None and time.monotonic() - writing.asked > WAIT_S:
                self._fail(writing, _busy(self._limit))

    def _urgent(self) -> bool:
        """Whether somebody waits for an answer, not only for a text to be read ahead."""
        return any(not writing.request.read_only for writing in [*self._queue, *self._active])

    def _admit(self) -> None:
        """Give slots to those who wait."""
        while self._waits() and self.slots.free():
            chosen = self._next_in()
            if chosen is None or (self._active and not self._fits(chosen)):
                return
            self._queue.remove(chosen)
            self._active.append(chosen)
            self._settled = None
            self._guarded([chosen], partial(self._start, chosen))

    def _next_in(self) -> Writing | None:
        """Whoever has the fewest requests running comes first, then who came first; but nobody whose beginning is
        just being read for another: it is there in a moment."""
        running = [writing.request.owner for writing in self._active]
        can = [writing for writing in self._queue if not self._is_read_now(writing)]
        return min(can, key=lambda writing: running.count(writing.request.owner), default=None)

    def _is_read_now(self, writing: Writing) -> bool:
        return self._can_share and any(
            shared_prefix(other.prompt, writing.prompt) >= other.held + WORTH_WAITING
            for other in self._active
            if other.reading and other.adapters == writing.adapters
        )

    def _waits(self) -> bool:
        """Whether anybody waits for a slot; asked again after each, since to make one ready takes milliseconds."""
        while self._arrived:
            self._queue.append(self._arrived.popleft())
        return bool(self._queue)

    def _fits(self, writing: Writing) -> bool:
        """Whether the cache has room for the prompt and the beginning of an answer, without pushing others out."""
        promised = sum(other.left + ANSWER_ROOM for other in self._active if other.reading)
        held = sum(other.held for other in self._active)
        return held + promised + len(writing.prompt) + ANSWER_ROOM <= self.model.context_size

    def _start(self, writing: Writing) -> None:
        if self.guesser and writing.request.speculate and writing.guesses is None:
            self.guesser(writing)
        ready, wanted = self._ready, (writing.prompt, writing.adapters, writing.request.conversation)
        if ready and self.slots.claim(ready[0], *wanted):
            writing.start(ready[0])
            stop = writing.first(ready[1])
            if stop:
                self._stop(writing, stop)
        else:
            writing.start(self.slots.take(*wanted))
            self.slots.make_room(min(writing.left + ANSWER_ROOM, self.model.context_size))

    def _advance_task(self) -> None:
        steps, future = self._tasks.popleft()
        try:
            next(steps)
            self._tasks.append((steps, future))
        except StopIteration as end:
            future.set_result(end.value)
        except BaseException as error:  # noqa: BLE001 - it is the asker's, not ours
            future.set_exception(error)

    def _read_apart(self, tokens: list[int], slot: Slot, logits: int) -> int:
        """Decode tokens that belong to nobody's answer; their first place in the batch."""
        self._ready = self._settled = None
        self._use(())
        self._batch.clear()
        first = self._batch.add(tokens, slot, logits)
        outcome = self._batch.decode(lambda: False, False)
        if outcome is not Outcome.DONE:
            slot.cut(len(slot.held))
            raise _no_room(self._batch.detail())
        slot.held.extend(tokens)
        return first

    def _step(self) -> None:
        """Decode one batch and let everybody in it go on."""
        self._ready = None
        plan = self._settled or self._plan()
        if not plan:
            return
        self._batch.clear()
        for portion in plan.portions:
            portion.first = self._batch.add(portion.tokens, portion.writing.slot, portion.logits)  # type: ignore[arg-type]
        outcome = self._batch.decode(plan.given_up, plan.steady)
        if outcome is Outcome.DONE:
            self._go_on(plan, self._batch.seconds)
        else:
            self._recover(plan.writings(), outcome)

    def _use(self, adapters: AdapterKey) -> None:
        """Have the next steps made with these adapters."""
        self._adapters = None
        self._choose_adapters(adapters)
        self._adapters = adapters

    def _plan(self) -> Plan | None:
        """Whose turn it is: everybody's next token, and the rest of the step for prompts. None: somebody was read an
        image, or met with an error, and who is left has to be looked at again."""
        adapters = self._active[0].adapters
        group = [writing for writing in self._active if writing.adapters == adapters]
        others = len(group) < len(self._active)
        if adapters != self._adapters and not self._guarded(group, partial(self._use, adapters)):
            return None
        readers = [writing for writing in group if writing.reading]
        if readers and self._read_medium(readers):
            return None
        plan = Plan(self._written(group, readers), steady=any(writing.steady for writing in group))
        if readers:
            plan.read(self._shares.of(readers, plan.tokens()))
        elif not (others or self.guesser):
            self._settled = plan
        self._steps += others
        if others and self._steps % SAME_ADAPTERS == 0:
            self._active.sort(key=lambda writing: writing.adapters == adapters)  # the others' turn
        return plan

    def _written(self, group: list[Writing], readers: list[Writing]) -> list[Portion]:
        """The next token of all who write, and what is guessed to follow it."""
        writers = [writing for writing in group if not writing.reading] if readers else group
        for writing in writers if self.guesser else ():
            writing.guess(self._batch.size // len(writers) - 1, len(writers) - 1)
        return [Portion(writing, writing.ahead, len(writing.ahead)) for writing in writers]

    def _go_on(self, plan: Plan, took: float) -> None:
        if plan.reads:
            self._shares.took(took, plan.reads)
        with self._step_end:
            for portion in plan.portions:
                beside = self._batch.count - len(portion.tokens)
                try:
                    self._let(portion)
                except BaseException as error:  # noqa: BLE001 - as in `_guarded`, at every token
                    self._misfortune(portion.writing, error)
                if self.guesser:
                    portion.writing.took(None if plan.reads else took, beside)

    def _let(self, portion: Portion) -> None:
        """One request goes on by what was decoded for it."""
        writing, stop = portion.writing, None
        if writing.ahead:
            stop = writing.next(portion.first)
            portion.tokens = writing.ahead
        else:
            writing.read(len(portion.tokens))
            if portion.logits:
                stop = self._begin(writing, portion.first + len(portion.tokens) - 1)
        if stop:
            self._stop(writing, stop)

    def _begin(self, writing: Writing, index: int) -> StopReason | None:
        """A prompt is read: choose its first token, or keep the logits for who asks next."""
        if writing.request.read_only and writing.slot:
            self._ready = (writing.slot, index)
        return writing.first(index)

    def _stop(self, writing: Writing, stop: StopReason) -> None:
        self._leave(writing)
        writing.finish(stop)

    def _read_medium(self, readers: list[Writing]) -> bool:
        """Read an image or a sound, if one comes next in somebody's prompt."""
        for writing in readers:
            if writing.medium_next():
                self._guarded([writing], writing.read_medium)
                return True
        return False

    def _recover(self, writings: list[Writing], outcome: Outcome) -> None:
        """The step failed: cut everybody back, then make room, push somebody out, or give up."""
        self._settled = None
        for writing in writings:
            writing.back()
        if outcome is Outcome.ABORTED:
            return
        if outcome is Outcome.NO_ROOM and self.slots.make_room(self.slots.free_cells() + 1):
            return
        if outcome is Outcome.NO_ROOM and len(self._active) > 1:
            self._push_out(self._active[-1])
        elif outcome is Outcome.NO_ROOM and not writings[0].reading:
            self._stop(writings[0], "context")
        else:
            for writing in writings:
                self._fail(writing, _no_room(self._batch.detail()))

    def _push_out(self, writing: Writing) -> None:
        """The youngest waits until there is room again; it loses time, not text."""
        self._leave(writing)
        writing.push_out()
        self._queue.insert(0, writing)

    def _end(self, writing: Writing) -> None:
        """Finish a cancelled request: quietly if it never began."""
        began = writing.slot is not None or writing.tokens > 0
        self._leave(writing)
        writing.finish("cancelled") if began else writing.fail(Cancelled())

    def _fail(self, writing: Writing, error: BaseException) -> None:
        self._leave(writing)
        writing.fail(error)

    def _leave(self, writing: Writing) -> None:
        self._settled = None
        for writings in (self._active, self._queue):
            if writing in writings:
                writings.remove(writing)
        if writing.slot:
            self.slots.give_back(writing.slot)

    def _guarded(self, writings: list[Writing], work: Callable[[], object]) -> bool:
        """Do something for a request; what goes wrong is its own misfortune, the others go on."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - told to the one who asked
            for writing in list(writings):
                self._misfortune(writing, error)
            return False
        return True

    def _misfortune(self, writing: Writing, error: BaseException) -> None:
        writing.back()
        self._fail(writing, error)


def _busy(limit: int) -> UserError:
    return UserError(
        "busy",
        f"{limit} requests are waiting for this model already.",
        "Try again in a moment.",
        limit=limit,
    )


def _no_room(detail: str) -> UserError:
    return UserError(
        "out_of_memory",
        f"llama.cpp could not go on: {detail}.",
        "Choose a smaller context, or start a new chat.",
        detail=detail,
    )
