"""/v1/models: what is installed here, and the remote models that the person added."""

from __future__ import annotations

from typing import Any

from engine.api.errors import UserError
from engine.api.messages import ModelRow
from engine.core import Call, Core
from engine.server import results
from engine.server.endpoint import Asked, Endpoint


def listed(asked: Asked) -> dict[str, Any]:
    """All models that can be asked for."""
    return {"object": "list", "data": models(asked.core)}


def one(asked: Asked) -> dict[str, Any]:
    """One of them."""
    wanted = asked.path["model"]
    for model in models(asked.core):
        if model["id"] == wanted:
            return model
    raise UserError(
        "unknown_model", f"There is no model '{wanted}' here.", "See /v1/models for what there is.", model=wanted
    )


def models(core: Core) -> list[dict[str, Any]]:
    """The objects of all models. An adapter is none: it is named beside one."""
    from engine.remotes.addresses import model_id, remotes
    from engine.requests.models import list_models
    from models.registry import installed

    rows = {row["id"]: row for row in list_models(core, Call("http", lambda event: None))["models"]}
    here = [
        _told(m.id, m.added, "deskside", _context(rows[m.id]))
        for m in installed()
        if m.id in rows and rows[m.id]["kind"] != "adapter"
    ]
    away = [
        _told(model_id(remote.name, model.id), remote.added, remote.name, model.context)
        for remote in remotes()
        for model in remote.models
    ]
    return here + away


def _context(row: ModelRow) -> int:
    """Tokens that a conversation may have as the settings are, else what the model was trained for."""
    return row["fit"]["context"] or row["context"]


def _told(identity: str, added: float, owner: str, context: int) -> dict[str, Any]:
    """`context_length`, as OpenRouter and others tell it, is left out where it is not known."""
    known = {"context_length": context} if context else {}
    return {"id": identity, "object": "model", "created": int(added), "owned_by": owner, **known}


ENDPOINTS = (
    Endpoint("GET", "/v1/models", listed, "List the models.", result=results.MODELS),
    Endpoint("GET", "/v1/models/{model:path}", one, "Tell of one model.", result=results.MODEL, errors=(404,)),
)
