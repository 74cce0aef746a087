"""How long a chat request's prompt is, without answering it."""

from __future__ import annotations

import threading

from engine.completion import ChatRequest
from engine.completions.chat import prepare
from engine.completions.taming import tamer
from engine.completions.using import using
from engine.core import Core
from engine.remotes.addresses import is_remote
from engine.remotes.failures import cannot


def prompt_tokens(core: Core, request: ChatRequest, cancelled: threading.Event) -> int:
    """Tokens of the prompt; an image counts as the mark that stands for it. Raises as engine.completion.complete;

    UserError remote_cannot for a remote model, whose words only its own server knows.
    """
    if is_remote(request.model):
        raise cannot("count_tokens")
    with using(core, request.model, cancelled) as model:
        prompt = prepare(model.info, request, tamer(model.tokenize)).generation.prompt
        model.refuse(prompt)
        return model.count(prompt)
