"""Errors of the management API: RFC 9457 problem documents, all faults at once, nothing of the input echoed."""

import re
from typing import Any, Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from entrepot.errors import (
    EntrepotError,
    InvalidError,
    LimitError,
    UnauthenticatedError,
    UnavailableError,
)
from entrepot.runtime.errors import KeyBusyError
from entrepot.web.errors import answer_for
from entrepot.web.problem import MEDIA_TYPE, document
from entrepot.web.refusals import record

MAX_PART: Final = 64
"""Characters of a field's name that are repeated: an unknown one is as long as the client likes."""


def install(app: FastAPI) -> None:
    """Makes *app* answer every error as a problem document."""
    app.add_exception_handler(EntrepotError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _framework)


async def _ours(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, EntrepotError)  # noqa: S101  registered for it
    answer = answer_for(error)
    field = error.field if isinstance(error, InvalidError) else None
    errors = [{"pointer": field, "message": error.message}] if field else []
    headers = {}
    if isinstance(error, UnavailableError | LimitError | KeyBusyError) and error.retry_after_seconds is not None:
        headers["retry-after"] = str(error.retry_after_seconds)
    if isinstance(error, UnauthenticatedError):
        headers["www-authenticate"] = 'Basic realm="entrepot", charset="UTF-8"'
    own = request.scope["entrepot.request"]
    await record(own, request.app.state.services, error, *_asked_for(own.path))
    return problem(request, answer.api_status, error.message, answer.code, errors, headers)


async def _invalid(request: HttpRequest, error: Exception) -> Response:
    """The framework's own list holds the input, which may be a password: only place and text are taken."""
    assert isinstance(error, RequestValidationError)  # noqa: S101  registered for it
    errors = [{"pointer": _pointer(each["loc"]), "message": str(each["msg"])} for each in error.errors()]
    detail = "; ".join(": ".join(filter(None, each.values())) for each in errors[:5])
    return problem(request, 422, detail, "INVALID", errors)


async def _framework(request: HttpRequest, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    detail = "no such endpoint; see /api/v1/openapi.json" if error.status_code == 404 else str(error.detail)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_offered(request))
    return problem(request, error.status_code, detail, "NOT_OFFERED", headers=headers)


def _offered(request: HttpRequest) -> list[str]:
    """The methods of the request's path. Spec: RFC 9110, 15.5.6. The framework knows those of one route alone."""
    path, found = request.scope["path"], set[str]()
    for template, methods in request.app.openapi()["paths"].items():
        form = re.escape(template).replace(r"\{name\}", "(?:(?!/-/).)+")
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", form), path):
            found.update(method.upper() for method in methods)
    return sorted(found)


def problem(
    request: HttpRequest,
    status: int,
    detail: str,
    code: str,
    errors: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """A problem document as the answer."""
    trace_id = request.scope["entrepot.request"].id
    body = document(status, detail, code, errors or [], trace_id)
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


def _pointer(place: tuple[int | str, ...]) -> str:
    """A JSON pointer into the body, or the name of a parameter; of broken JSON the framework gives an offset."""
    if len(place) == 2 and place[0] == "body" and isinstance(place[1], int):
        return ""
    if place and place[0] == "body":
        parts = (str(part).replace("~", "~0").replace("/", "~1") for part in place[1:])
        return "/" + "/".join(part[:MAX_PART] for part in parts)
    return str(place[-1]) if place else ""


def _asked_for(path: str) -> tuple[str, str]:
    """The repository and reference in the path of a management request; empty where it names none."""
    name, _, rest = path.removeprefix("/api/v1/repositories/").partition("/-/")
    return (name, rest.removeprefix("artifacts/").partition("/")[0]) if rest else ("", "")
