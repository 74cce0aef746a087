"""One model in memory: what is known of it, and what can be asked of it from any thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.api.errors import UserError
from engine.api.messages import Stats
from engine.chosen_draft import ChosenDraft, draft_settings
from engine.generation import Generation, Listener
from engine.grammar.gbnf import check
from engine.llama.adapters import Adapters
from engine.llama.draft import Drafting, DraftModel
from engine.llama.embed import Embedder
from engine.llama.endless import endless, refuse_endless
from engine.llama.load import LoadSettings, beside, load
from engine.llama.model import Model
from engine.llama.slot import AdapterKey, can_be_cut
from engine.llama.speculate import Ahead, Costs
from engine.llama.writing import Writing, check_length, prompt_tokens
from engine.prefix_store import PrefixStore
from engine.prompt_media import PromptMedia
from engine.scheduler import Scheduler
from engine.slots import Slots
from engine.thinking import MARKERS

log = logging.getLogger("deskside.resident")
PLENTY = 1 << 62


@dataclass(frozen=True)
class Loaded:
    """What is known of a model in memory. Sizes in tokens; `memory`, `cards` and `private` are those of Model, its
    `draft` (the model that guesses for it) included."""

    model: str
    path: Path
    settings: LoadSettings
    context_size: int
    train_context: int
    template: str | None
    bos: str
    eos: str
    description: str
    gpu_layers: int
    memory: dict[str, int]
    cards: dict[str, int] = field(default_factory=dict)
    private: int = 0
    draft: str = ""


@dataclass(frozen=True)
class Serving:
    """How a loaded model serves: requests that may wait, where conversations are kept, whether to guess ahead.

    `room()`: bytes that may still be taken of the main memory now. For any thread.
    """

    queue_limit: int = 64
    store: PrefixStore | None = None
    speculate: bool = True
    room: Callable[[], int] = lambda: PLENTY


class Resident:
    """A loaded model with its thread. Use it only inside `Residents.use`, or it may be unloaded meanwhile."""

    def __init__(
        self,
        model: str,
        path: Path,
        settings: LoadSettings,
        got: Model,
        serving: Serving,
        draft: DraftModel | None = None,
        draft_asked: ChosenDraft | None = None,
    ) -> None:
        """Takes over `got` and `draft`. `draft_asked` is what was wanted, whether or not it came."""
        got.show(MARKERS)
        self.info = _facts(model, path, settings, got)
        self.draft_asked, self._draft = draft_asked, draft
        if draft and draft_asked:
            self.info = _with_draft(self.info, draft_asked.model, draft.model)
        self.users, self.used = 0, time.monotonic()
        self._model, self._serving, self._costs = got, serving, Costs()
        self._adapters: Adapters | None = None
        self._media: PromptMedia | None = None
        self._embedder: Embedder | None = None
        self._exact: Scheduler | None = None
        self._cut_last: tuple[str, list[int]] = ("", [])
        self._building = threading.Lock()  # of the four above, which few requests need
        slots = Slots(got, serving.store, _fingerprint(path, settings), room=serving.room)
        self.scheduler = Scheduler(got, slots, self._choose_adapters(got), serving.queue_limit)
        if serving.speculate and can_be_cut(got):
            self.scheduler.guesser = self._guess

    def count(self, text: str, media: tuple[bytes, ...] = ()) -> int:
        """Tokens of a rendered prompt, with the places that `media` take; of one far too long about how many.

        Raises UserError no_vision, bad_image …
        """
        about = endless(self._model, text, self._model.context_size)
        return about or len(self._projector().cut(text, media).tokens if media else self._prompt_tokens(text))

    def refuse(self, text: str) -> None:
        """Raises UserError context_too_long for a text so long that cutting it into tokens would only take time."""
        refuse_endless(self._model, text)

    def _prompt_tokens(self, prompt: str) -> list[int]:
        """A prompt is counted before it is generated from: it need not be cut twice."""
        known, tokens = self._cut_last
        if known != prompt:
            tokens = prompt_tokens(self._model, prompt)
            self._cut_last = (prompt, tokens)
        return tokens

    def tokenize(self, text: str, special: bool = True) -> list[int]:
        """Tokens of a text as it is. Raises UserError context_too_long as `refuse` does."""
        self.refuse(text)
        return self._model.tokenize(text, special)

    def detokenize(self, tokens: list[int]) -> str:
        """The text of tokens; numbers that are no tokens are left out."""
        pieces = (self._model.piece(token) for token in tokens if 0 <= token < self._model.vocab_size)
        return b"".join(pieces).decode("utf-8", "replace")

    def generate(self, request: Generation, listener: Listener, cancelled: threading.Event) -> Stats:
        """Write an answer to `listener`, which is called in the model's thread. Cancelled within one token.

        Raises UserError busy, context_too_long, out_of_memory, bad_grammar, wrong_adapter, bad_image,
        cannot_write; Cancelled if it never began.
        """
        if self._model.embeds_only:
            raise _cannot_write(self.info.path)
        if request.grammar:
            check(request.grammar.text)  # here, not in the model's thread, where it is remembered
        self.refuse(request.prompt)
        media = self._projector().cut(request.prompt, request.media) if request.media else None
        tokens = media.tokens if media else self._prompt_tokens(request.prompt)
        check_length(self._model, tokens)
        scheduler = self._repeating() if request.sampling.seed >= 0 else self.scheduler
        writing = Writing(scheduler.model, request, listener, cancelled, tokens)
        writing.media = media
        writing.adapters = tuple((str(_adapter_path(a.id)), a.scale) for a in request.adapters if a.scale)
        return scheduler.generate(writing)

    def likelihood(self, prompt: str, text: str, cancelled: threading.Event) -> float:
        """log P(text | prompt), natural, both taken as they are. Raises UserError context_too_long, out_of_memory,
        cannot_write; Cancelled."""
        if self._model.embeds_only:
            raise _cannot_write(self.info.path)
        before, after = self._prompt_tokens(prompt), self.tokenize(text, special=False)
        check_length(self._model, [*before, *after])
        return self.scheduler.likelihood(before, after, cancelled)

    def stop(self) -> None:
        """End what is being written, and store the conversations."""
        self.scheduler.close()
        if self._exact:
            self._exact.close()

    def close(self) -> None:
        """Free the memory; nobody may ask for anything any more."""
        repeating = self._exact.model if self._exact else None
        for part in (self._embedder, self._media, self._adapters, self._draft, repeating, self._model):
            if part:
                part.close()

    def memory(self) -> dict[str, int]:
        """What it takes now, in bytes: `info.memory`, and what was made since."""
        later = {
            "projector": self._media.memory if self._media else 0,
            "repeating": self._repeating_bytes() if self._exact else 0,
            "parked": self.scheduler.slots.parked_bytes(),
        }
        return self.info.memory | later

    def private(self) -> int:
        """Bytes of main memory that come back with it; its weights are pages of a mapped file."""
        memory = self.memory()
        elsewhere = self._model.gpu_layers > 0
        return self.info.private + memory["parked"] + (0 if elsewhere else memory["projector"] + memory["repeating"])

    def embedder(self) -> Embedder:
        """What makes vectors and scores of this model; its steps go through `scheduler.run`."""
        with self._building:
            if self._embedder is None:
                self._embedder = Embedder(self._model, self.info.path)
            return self._embedder

    def _guess(self, writing: Writing) -> None:
        """Have a request's next tokens guessed from its own words, and by the draft."""
        drafting = Drafting(self._draft) if self._draft else None
        writing.guesses = Ahead(self._costs, writing.prompt, drafting)

    def _repeating(self) -> Scheduler:
        """Where requests with a seed go: one at a time, each read from its beginning, in a context of its own.

        llama.cpp adds up in another order for one row than for many, and for other places in the cache. Only so is a
        seeded text the same every time, whoever else is asking. Raises UserError no_room_to_repeat.
        """
        with self._building:
            if self._exact is None:
                # On a graphics card llama.cpp says itself what is too much; the system would end the whole process.
                room = PLENTY if self._model.gpu_layers else self._serving.room()
                if self._repeating_bytes() > room:
                    raise _no_room_to_repeat(self._repeating_bytes(), room)
                second = beside(self._model, self.info.path, self.info.settings)
                second.show(MARKERS)
                slots = Slots(second, fresh=True)
                self._exact = Scheduler(second, slots, self._choose_adapters(second), self._serving.queue_limit)
            return self._exact

    def _repeating_bytes(self) -> int:
        """What the second context takes: it is as large as the first."""
        return sum(size for name, size in self._model.memory.items() if name != "weights")

    def _choose_adapters(self, model: Model) -> Callable[[AdapterKey], None]:
        """What has the next step in a context made with these adapters and no others."""

        def choose(chosen: AdapterKey) -> None:
            if self._adapters is None and not chosen:
                return
            with self._building:
                self._adapters = self._adapters or Adapters(self._model)
                self._adapters.apply(model.context, chosen)

        return choose

    def _projector(self) -> PromptMedia:
        with self._building:
            if self._media is None:
                self._media = PromptMedia(self._model, self.info.path)
            return self._media


def take_in(
    model: str,
    path: Path,
    settings: LoadSettings,
    serving: Serving,
    go_on: Callable[[float], bool],
    draft: ChosenDraft | None = None,
    draft_fits: bool = True,
) -> Resident:
    """Load a model, and its draft if that fits. Raises Cancelled, and the UserErrors of engine.llama.load."""
    got = load(path, settings, go_on)
    try:
        wanted = draft if draft_fits and serving.speculate and can_be_cut(got) else None
        guesses = _take_in_draft(wanted, settings, got, model, go_on) if wanted else None
    except BaseException:
        got.close()
        raise
    return Resident(model, path, settings, got, serving, guesses, draft)


def _take_in_draft(
    draft: ChosenDraft, settings: LoadSettings, target: Model, model: str, go_on: Callable[[float], bool]
) -> DraftModel | None:
    """Answers come without guesses rather than not at all."""
    try:
        return DraftModel.open(draft.path, draft_settings(settings), target, model, lambda done: go_on(1.0))
    except UserError as error:
        log.warning("%s goes without its draft: %s", model, error.text)
        return None


def _with_draft(info: Loaded, name: str, draft: Model) -> Loaded:
    memory, cards = Counter(info.memory), Counter(info.cards)
    memory.update(draft.memory)
    cards.update(draft.cards)
    return replace(info, draft=name, memory=dict(memory), cards=dict(cards), private=info.private + draft.private)


def _adapter_path(adapter: str) -> Path:
    from models.registry import find

    return find(adapter).path


def _cannot_write(path: Path) -> UserError:
    return UserError(
        "cannot_write", f"{path.name} makes vectors of texts and cannot write.", "Choose a chat model.", name=path.name
    )


def _no_room_to_repeat(need: int, have: int) -> UserError:
    told = {"need": f"{need / 1e9:.2f}", "have": f"{max(0, have) / 1e9:.2f}"}
    return UserError(
        "no_room_to_repeat",
        f"A repeatable answer (one with a seed) needs {told['need']} GB more, and {told['have']} GB are free.",
        "Leave the seed out, choose a smaller context in the settings, or close other programs.",
        **told,
    )


def _facts(model: str, path: Path, settings: LoadSettings, got: Model) -> Loaded:
    return Loaded(
        model=model,
        path=path,
        settings=settings,
        context_size=got.context_size,
        train_context=got.train_context,
        template=got.template,
        bos=got.bos,
        eos=got.eos,
        description=got.description,
        gpu_layers=got.gpu_layers,
        memory=got.memory,
        cards=got.cards,
        private=got.private,
    )


def _fingerprint(path: Path, settings: LoadSettings) -> str:
    """What a stored KV cache belongs to: this very file, these settings, this llama.cpp."""
    import hashlib
    from importlib.metadata import version

    known, digest = path.stat(), hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, known.st_size - (1 << 20)))
        digest.update(file.read())
    shape = (settings.kv_type, settings.flash_attention, settings.extend and settings.context_size)
    return f"{digest.hexdigest()}:{known.st_size}:{shape}:{version('llama-cpp-python')}"
