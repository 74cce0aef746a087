"""Remote models as rows of the list of models."""

from __future__ import annotations

from typing import Any

from engine.api.messages import FitReport, ModelRow
from engine.remotes.addresses import Remote, RemoteModel, find, model_id, remotes
from engine.remotes.web_address import is_encrypted, is_this_computer


def remote_rows() -> list[ModelRow]:
    """Every remote model that was added. Asks no address."""
    return [_row(remote, model) for remote in remotes() for model in remote.models]


def remote_row(model: str) -> ModelRow:
    """The row of one remote model. Raises UserError remote_unknown."""
    return _row(*find(model))


def remote_details(model: str) -> dict[str, Any]:
    """What `models.show` tells of a remote model. Raises UserError remote_unknown."""
    remote, _ = find(model)
    told = remote.to_json()
    names = ("url", "host", "key", "added", "this_computer", "encrypted")
    return {"row": remote_row(model), "details": {"remote": remote.name, **{name: told[name] for name in names}}}


def _row(remote: Remote, model: RemoteModel) -> ModelRow:
    tags = ["remote"] + ["this_computer"] * is_this_computer(remote.url) + ["open"] * (not is_encrypted(remote.url))
    return {
        "id": model_id(remote.name, model.id),
        "name": model.id,
        "installed": True,
        "path": remote.url,
        "bytes": 0,
        "parameters": 0,
        "quantization": "",
        "architecture": "",
        "context": model.context,
        "languages": [],
        "kind": model.kind,
        "tags": tags,
        "licence": "",
        "source": "remote",
        "fit": _fit(remote, model),
        "problem": "",
    }


def _fit(remote: Remote, model: RemoteModel) -> FitReport:
    """It needs no memory here, so nothing is known to fit or not."""
    return {
        "fit": "unknown",
        "context": model.context,
        "weights": 0,
        "kv_cache": 0,
        "compute": 0,
        "projector": 0,
        "total": 0,
        "available": 0,
        "largest_context": 0,
        "device": remote.host,
    }
