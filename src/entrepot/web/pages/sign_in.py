"""Pages: signing in by password or link, signing out, and the color scheme."""

from typing import Any, Final

from starlette.responses import Response

from entrepot.access.errors import CredentialsInvalidError, PermissionDeniedError
from entrepot.access.hot import PASSWORD
from entrepot.access.model import Principal
from entrepot.errors import EntrepotError, LimitError
from entrepot.web.errors import answer_for
from entrepot.web.pages.visit import THEMES, Guest, Visit, action, known, open_action, open_page, own_path
from entrepot.web.refusals import record

MAX_CODE: Final = 128
YEAR_SECONDS: Final = 365 * 24 * 3600
PASSWORD_ONLY: Final = "sign in with your password: robots and personal tokens open /v2 and the API"  # noqa: S105


async def first(guest: Guest) -> Response:
    """Where a browser begins."""
    return guest.go("/home" if isinstance(await known(guest.http), Visit) else "/sign-in")


async def show_sign_in(guest: Guest) -> Response:
    """The form for name and password."""
    return guest.page("sign_in.html", next=own_path(guest.word("next", 6_000)), name="", fault="")


async def sign_in(guest: Guest) -> Response:
    """Takes name and password, through the same check and the same delays as everywhere."""
    name, after = guest.form.get("name", ""), own_path(guest.form.get("next", "/"))
    try:
        principal = await guest.services.authn.login_as(guest.own, name, guest.form.get("password", ""), "pages")
        if not principal.actor.credential.startswith(PASSWORD):
            raise PermissionDeniedError(PASSWORD_ONLY, "session.open")  # noqa: TRY301  answered as the others are
    except (CredentialsInvalidError, PermissionDeniedError, LimitError) as error:
        return await _again(guest, error, next=after, name=name)
    return await _enter(guest, principal, "password", after)


async def show_link(guest: Guest) -> Response:
    """A button: whoever only looks at a link, such as a mail program's preview, uses nothing up."""
    return guest.page("sign_in_link.html", code=guest.word("code", MAX_CODE))


async def sign_in_by_link(guest: Guest) -> Response:
    """Takes a link, which opens nothing any more."""
    try:
        principal = await guest.services.sign_in_links.take(guest.own.actor(), guest.form.get("code", "")[:MAX_CODE])
    except CredentialsInvalidError as error:
        return await _again(guest, error, next="/", name="")
    return await _enter(guest, principal, "link", "/")


async def sign_out(visit: Visit) -> Response:
    """Ends the session."""
    await visit.services.sessions.end(visit.context.principal, visit.session.id)
    response = visit.go("/sign-in", "signed-out")
    response.delete_cookie(visit.cookie, path="/", secure=visit.secure, httponly=True, samesite="lax")
    return response


async def set_theme(guest: Guest) -> Response:
    """Remembers a color scheme in the browser; an unknown one means that of the system."""
    response = guest.go(own_path(guest.form.get("back", "/")))
    theme = guest.form.get("theme", "")
    if theme in THEMES:
        response.set_cookie("theme", theme, YEAR_SECONDS, path="/", secure=guest.secure, httponly=True, samesite="lax")
    else:
        response.delete_cookie("theme", path="/", secure=guest.secure, httponly=True, samesite="lax")
    return response


async def _enter(guest: Guest, principal: Principal, by: str, after: str) -> Response:
    before = await known(guest.http)
    if isinstance(before, Visit):  # nobody goes on in a session of before
        await guest.services.sessions.end(before.context.principal, before.session.id)
    guest.own.principal = principal
    text = await guest.services.sessions.open(principal, by)
    response = guest.go(after)
    response.set_cookie(guest.cookie, text, path="/", secure=guest.secure, httponly=True, samesite="lax")
    return response


async def _again(guest: Guest, error: EntrepotError, **values: Any) -> Response:
    await record(guest.own, guest.services, error, "", "")
    response = guest.page("sign_in.html", answer_for(error).api_status, fault=error.message, **values)
    if isinstance(error, LimitError) and error.retry_after_seconds is not None:
        response.headers["retry-after"] = str(error.retry_after_seconds)
    return response


ROUTES: Final = (
    open_page("/", first),
    open_page("/sign-in", show_sign_in),
    open_action("/sign-in", sign_in),
    open_page("/sign-in/link", show_link),
    open_action("/sign-in/link", sign_in_by_link),
    action("/sign-out", sign_out),
    open_action("/theme", set_theme),
)
