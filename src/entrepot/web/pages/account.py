"""Pages: one's own account: sessions, personal tokens, and the password."""

from typing import Final

from starlette.responses import Response

from entrepot.access.accounts import NewToken
from entrepot.access.sessions import Session
from entrepot.errors import InvalidError
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.web.pages.lists import Action, Column, Shown, answer, at_hand, listed
from entrepot.web.pages.people import days_of
from entrepot.web.pages.visit import Visit, action, page

MOST_TOKENS: Final = 1_000
MAX_NAME: Final = 64
SESSIONS: Final = Listing(
    {
        "id": Field(Kind.TEXT),
        "used_at": Field(Kind.INSTANT),
        "created_at": Field(Kind.INSTANT),
        "source_ip": Field(Kind.TEXT),
        "user_agent": Field(Kind.TEXT),
    },
    key="id",
    default="-used_at",
)


async def show_account(visit: Visit) -> Response:
    """One's own roles, sessions and personal tokens."""
    return await _account(visit, None)


async def create_token(visit: Visit) -> Response:
    """Makes a personal token for who proves himself by his password again, and shows it this once."""
    name, account = visit.form.get("name", "").strip(), visit.context.principal.actor.name
    if not 1 <= len(name) <= MAX_NAME:
        raise InvalidError(f"a name of up to {MAX_NAME} characters", "name")
    days = days_of(visit)
    proved = await visit.services.authn.login_as(visit.own, account, visit.form.get("password", ""), "pages")
    return await _account(visit, await visit.services.create_token(proved, name, days))


async def revoke_token(visit: Visit) -> Response:
    """Revokes a personal token."""
    await visit.services.revoke_token(visit.context.principal, visit.http.path_params["token"])
    return visit.go("/account", "removed")


async def change_password(visit: Visit) -> Response:
    """Changes one's own password."""
    old, new = visit.form.get("old", ""), visit.form.get("new", "")
    if new != visit.form.get("again", ""):
        raise InvalidError("the two new passwords are not the same", "again")
    await visit.services.change_password(visit.context.principal, old, new)
    return visit.go("/account", "password")


async def end_session(visit: Visit) -> Response:
    """Ends one of one's own sessions."""
    await visit.services.sessions.end(visit.context.principal, visit.http.path_params["id"])
    return visit.go("/account", "removed")


async def _account(visit: Visit, made: NewToken | None) -> Response:
    own, principal = visit.session.id, visit.context.principal
    columns: tuple[Column[Session], ...] = (
        Column("user_agent", "Browser", lambda each: each.user_agent, Shown.LONG),
        Column("source_ip", "Address", lambda each: each.source_ip),
        Column("created_at", "Signed in", lambda each: each.created_at, Shown.TIME),
        Column("used_at", "Last used", lambda each: each.used_at, Shown.TIME),
        Column("ends_at", "Ends at the latest", lambda each: each.ends_at, Shown.TIME),
        Column("own", "This one", lambda each: each.id == own, Shown.BOOLEAN),
    )
    end: Action[Session] = Action(
        "End", lambda each: f"/account/sessions/{each.id}/end", lambda each: each.source_ip, lambda _: ""
    )
    rows = await visit.services.sessions.of(principal)
    view = await listed(
        visit, "Sessions", SESSIONS, columns, at_hand(rows, SESSIONS), empty="None.", actions=(end,), hint="used_at<1d"
    )
    return answer(
        visit,
        "account.html",
        view,
        roles=", ".join(sorted({grant.role.value for grant in principal.grants})),
        tokens=await visit.services.accounts.tokens(principal, None, MOST_TOKENS),
        made=made,
    )


ROUTES: Final = (
    page("/account", show_account),
    action("/account/sessions/{id}/end", end_session),
    action("/account/tokens", create_token),
    action("/account/tokens/{token}/revoke", revoke_token),
    action("/account/password", change_password),
)
