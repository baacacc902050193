"""Faults as pages: what, why, and what to do."""

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from entrepot.access.errors import PermissionDeniedError
from entrepot.errors import (
    ConflictError,
    DeniedError,
    EntrepotError,
    InvalidError,
    LimitError,
    NotFoundError,
    PreconditionError,
    UnauthenticatedError,
    UnavailableError,
)
from entrepot.web.errors import answer_for
from entrepot.web.pages.visit import Guest, known, stranger
from entrepot.web.problem import TITLES
from entrepot.web.refusals import record

REMEDIES: Final[Mapping[type[EntrepotError], str]] = {
    PermissionDeniedError: "Ask whoever is named above for the right, then come back: it counts at once.",
    DeniedError: "The reason above says who can change that.",
    NotFoundError: "Check the address. What was deleted lies in the trash of its project for a time.",
    InvalidError: "Go back, correct what is named above, and send it again.",
    ConflictError: "Look at how it stands now, then decide again.",
    PreconditionError: "It was changed since you saw it: load the page again.",
    UnauthenticatedError: "Sign in again.",
    LimitError: "Wait a moment, then try again.",
    UnavailableError: "Try again in a moment; if it stays so, the log has the cause under the id below.",
}
OURS: Final = "Tell an admin of this registry the id below: it stands in the log with the cause."


async def show_fault(http: HttpRequest, error: Exception) -> Response:
    """A page for an error of ours, which is recorded if it is a refusal."""
    assert isinstance(error, EntrepotError)  # noqa: S101  registered for it
    guest = await _guest(http)
    path = http.scope["path"]
    name = path.removeprefix("/repositories/").partition("/-/")[0] if path.startswith("/repositories/") else ""
    await record(guest.own, guest.services, error, name, "")
    status = answer_for(error).api_status
    field = f"{error.field.strip('/')}: " if isinstance(error, InvalidError) and error.field else ""
    response = guest.page(
        "fault.html",
        status,
        title=TITLES.get(status, "Error"),
        reason=f"{field}{error.message}",
        remedy=next((REMEDIES[kind] for kind in type(error).__mro__ if kind in REMEDIES), OURS),
        trace=guest.own.id,
    )
    if isinstance(error, LimitError | UnavailableError) and error.retry_after_seconds is not None:
        response.headers["retry-after"] = str(error.retry_after_seconds)
    return response


async def show_missing(http: HttpRequest, error: Exception) -> Response:
    """A page for an address that leads nowhere, or not by this method."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for it
    guest = await _guest(http)
    reason = "there is no page at this address; the registry itself is at /v2/"
    reason = reason if error.status_code == 404 else str(error.detail)
    title = TITLES.get(error.status_code, "Error")
    remedy = REMEDIES[NotFoundError]
    response = guest.page(
        "fault.html", error.status_code, title=title, reason=reason, remedy=remedy, trace=guest.own.id
    )
    response.headers.update(error.headers or {})
    return response


async def show_failure(http: HttpRequest, error: Exception) -> Response:
    """A page for a fault of ours: it asks nothing of the database, which may be the cause."""
    del error  # it is logged by who called
    own = http.scope["entrepot.request"]
    values = {"theme": "", "here": "", "back": "/", "account": "", "csrf": "", "navigation": (), "done": ""}
    text = {"title": TITLES[500], "reason": "something failed on our side", "remedy": OURS, "trace": own.id}
    return Response(http.app.state.look.render("fault.html", values | text), 500, media_type="text/html")


async def _guest(http: HttpRequest) -> Guest:
    """Who meets the fault, as far as the database tells."""
    try:
        return await known(http)
    except UnavailableError:
        return await stranger(http)
