"""Request name -> function, for every transport. A request's parameters are its function's keyword arguments."""

from __future__ import annotations

import inspect
import logging
import sqlite3
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from engine.api.errors import UserError
from engine.api.full_disk import NO_ROOM
from engine.api.job import Cancelled
from engine.core import Call, Core
from engine.requests import (
    chat,
    chats,
    convert,
    documents,
    documents_ask,
    documents_read,
    documents_search,
    engine,
    inference,
    jobs,
    models,
    remotes,
    server,
)
from engine.store import database_error

Handler = Callable[..., Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A request function; `slow` ones get a thread of their own, the others are answered in the order asked."""

    run: Handler
    slow: bool = False


REQUESTS: dict[str, Request] = {
    "engine.hello": Request(engine.hello),
    "engine.doctor": Request(engine.doctor, slow=True),
    "settings.get": Request(engine.settings_get),
    "settings.set": Request(engine.settings_set),
    "chats.list": Request(chats.list_chats),
    "chats.create": Request(chats.create),
    "chats.get": Request(chats.get),
    "chats.update": Request(chats.update),
    "chats.switch": Request(chats.switch),
    "chats.delete": Request(chats.delete),
    "chats.restore": Request(chats.restore),
    "chats.search": Request(chats.search_chats),
    "chats.export": Request(chats.export, slow=True),
    "chats.import": Request(chats.import_chats, slow=True),
    "messages.delete": Request(chats.delete_message),
    "messages.restore": Request(chats.restore_message),
    "chat.attach": Request(chat.attach, slow=True),
    "chat.send": Request(chat.send, slow=True),
    "chat.regenerate": Request(chat.regenerate, slow=True),
    "chat.compare": Request(chat.compare, slow=True),
    "chat.continue": Request(chat.continue_answer, slow=True),
    "chat.draft": Request(chat.draft, slow=True),
    "chat.sent": Request(chat.sent, slow=True),
    "chat.count": Request(chat.count, slow=True),
    "models.list": Request(models.list_models, slow=True),
    "models.show": Request(models.show, slow=True),
    "models.fit": Request(models.fit, slow=True),
    "models.pull": Request(models.pull, slow=True),
    "models.add": Request(models.add, slow=True),
    "models.found": Request(models.found, slow=True),
    "models.remove": Request(models.remove, slow=True),
    "models.load": Request(models.load, slow=True),
    "models.unload": Request(models.unload, slow=True),
    "models.embed": Request(inference.embed_texts, slow=True),
    "models.rerank": Request(inference.rerank_documents, slow=True),
    "models.tokenize": Request(inference.tokenize, slow=True),
    "models.detokenize": Request(inference.detokenize, slow=True),
    "models.count": Request(inference.count, slow=True),
    "remotes.list": Request(remotes.list_remotes, slow=True),
    "remotes.check": Request(remotes.check, slow=True),
    "remotes.add": Request(remotes.add, slow=True),
    "remotes.remove": Request(remotes.remove, slow=True),
    "server.start": Request(server.start, slow=True),
    "server.open": Request(server.open_as_set, slow=True),
    "server.key": Request(server.key),
    "server.stop": Request(server.stop, slow=True),
    "server.status": Request(server.status),
    "docs.search": Request(documents_search.search, slow=True),
    "docs.run": Request(documents_search.run, slow=True),
    "docs.collections": Request(documents.list_collections, slow=True),
    "docs.create": Request(documents.create, slow=True),
    "docs.update": Request(documents.update, slow=True),
    "docs.remove": Request(documents.remove, slow=True),
    "docs.add": Request(documents.add, slow=True),
    "docs.sync": Request(documents.sync, slow=True),
    "docs.import_corpus": Request(documents.import_corpus, slow=True),
    "docs.files": Request(documents.files, slow=True),
    "docs.retry": Request(documents.retry, slow=True),
    "docs.delete": Request(documents.delete, slow=True),
    "docs.prove_deleted": Request(documents.prove, slow=True),
    "docs.text": Request(documents.text, slow=True),
    "docs.page": Request(documents.page, slow=True),
    "docs.ask": Request(documents_ask.ask, slow=True),
    "docs.score": Request(documents_ask.score, slow=True),
    "docs.questions": Request(documents_ask.questions, slow=True),
    "docs.read": Request(documents_read.read, slow=True),
    "convert.look": Request(convert.look, slow=True),
    "convert.targets": Request(convert.targets, slow=True),
    "convert.preview": Request(convert.preview, slow=True),
    "convert.start": Request(convert.begin, slow=True),
    "convert.report": Request(convert.report, slow=True),
    "jobs.list": Request(jobs.list_jobs),
    "jobs.pause": Request(jobs.pause),
    "jobs.resume": Request(jobs.resume),
    "jobs.cancel": Request(jobs.cancel),
    "jobs.delete": Request(jobs.delete),
}


def find(name: object) -> Request:
    """The request of that name. Raises UserError unknown_request."""
    request = REQUESTS.get(name) if isinstance(name, str) else None
    if request is None:
        raise UserError("unknown_request", f"There is no request {name!r}.", "Is Deskside up to date?")
    return request


def answer(core: Core, name: object, params: object, call: Call) -> dict[str, Any]:
    """Run one request to its end: {"result": …} or {"error": …}."""

    def work() -> Any:
        request = find(name)
        return request.run(core, call, **_checked(request.run, params))

    return attempt(name, work)


def attempt(name: object, work: Callable[[], Any]) -> dict[str, Any]:
    """{"result": …} of a piece of work or {"error": …}, for every transport. One of the three edges that catch all."""
    try:
        return {"result": work()}
    except UserError as error:
        return {"error": error.to_json()}
    except Cancelled:
        return {"error": UserError("cancelled", "Stopped.").to_json()}
    except sqlite3.DatabaseError as error:
        log.exception("database, in %s", name)
        return {"error": database_error(error).to_json()}
    except OSError as error:
        log.exception("system, in %s", name)
        return {"error": _system_error(error).to_json()}
    except Exception as error:
        log.exception("bug, in %s", name)
        text = f"Something went wrong inside Deskside ({type(error).__name__}: {error})."
        return {"error": UserError("bug", text, "Please report it; the log has the details.").to_json()}


def _checked(run: Handler, params: object) -> dict[str, Any]:
    """The parameters, if their names and types are those of `run`."""
    expected = _parameters(run)
    if not isinstance(params, dict):
        raise UserError("bad_request", "The parameters of a request are an object.")
    for name, value in params.items():
        if name not in expected or not _is(value, expected[name][0]):
            raise UserError("bad_request", f"The parameter {name!r} does not fit this request.", name=str(name))
    missing = [name for name, (_, needed) in expected.items() if needed and name not in params]
    if missing:
        raise UserError("bad_request", f"The parameter {missing[0]!r} is missing.", name=missing[0])
    return params


@cache
def _parameters(run: Handler) -> dict[str, tuple[Any, bool]]:
    """name -> (type, required) of all parameters after core and call."""
    hints = typing.get_type_hints(run)
    found = list(inspect.signature(run).parameters.values())[2:]
    return {p.name: (hints[p.name], p.default is p.empty) for p in found}


def _is(value: object, hint: Any) -> bool:
    if isinstance(hint, types.UnionType):
        return any(_is(value, option) for option in typing.get_args(hint))
    kind = typing.get_origin(hint) or hint
    if kind is list:
        return isinstance(value, list) and all(_is(item, typing.get_args(hint)[0]) for item in value)
    if isinstance(value, bool) and kind is not bool:
        return False
    return isinstance(value, kind)


def _system_error(error: OSError) -> UserError:
    if error.errno in NO_ROOM:
        return UserError(
            "disk_full", "The disk is full; nothing more can be saved.", "Free some space, then try again."
        )
    return UserError("system_error", f"The system refused: {error}.", "Check the file or folder.", detail=str(error))
