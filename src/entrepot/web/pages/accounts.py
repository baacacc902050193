"""Pages: the people of the site, and one of them: roles on the whole site, a new password, the end of the account."""

from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission, Role
from entrepot.access.people import OWN_ROLES, NewPerson
from entrepot.access.queries import PersonRow
from entrepot.errors import InvalidError
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.web.pages.lists import Column, Shown, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, action, page

MOST_PEOPLE: Final = 10_000
PEOPLE: Final = Listing(
    {
        "name": Field(Kind.TEXT),
        "roles": Field(Kind.TEXT),
        "created_at": Field(Kind.INSTANT),
        "disabled_at": Field(Kind.INSTANT, optional=True),
    },
    key="name",
    default="name",
)
COLUMNS: Final[tuple[Column[PersonRow], ...]] = (
    Column("name", "Person", lambda row: row.name, link=lambda row: f"/people/{row.name}"),
    Column("roles", "Roles on the whole site", lambda row: str(row.standing)),
    Column("created_at", "Created", lambda row: row.created_at, Shown.TIME),
    Column("disabled_at", "Disabled", lambda row: row.disabled_at, Shown.TIME),
)


async def show_people(visit: Visit) -> Response:
    """Everybody with an account, and a form for another."""
    return await _people(visit, None)


async def create_person(visit: Visit) -> Response:
    """Makes an account, and shows its first password this once."""
    site = visit.context.site(Permission.ACCOUNT_MANAGE)
    return await _people(visit, await visit.services.create_person(site, visit.form.get("name", "")))


async def show_person(visit: Visit) -> Response:
    """One account."""
    return await _person(visit, None)


async def set_roles(visit: Visit) -> Response:
    """Sets the roles of a person on the whole site."""
    site = visit.context.site(Permission.ACCOUNT_MANAGE)
    try:
        roles = frozenset(Role(role) for role in visit.words("roles"))
    except ValueError:
        raise InvalidError(f"a role is one of {', '.join(Role)}", "roles") from None
    await visit.services.set_site_roles(site, visit.http.path_params["account"], roles)
    return visit.go(_address(visit), "saved")


async def reset_password(visit: Visit) -> Response:
    """Gives a person another password, and shows it this once."""
    site = visit.context.site(Permission.ACCOUNT_MANAGE)
    return await _person(visit, await visit.services.reset_password(site, visit.http.path_params["account"]))


async def disable(visit: Visit) -> Response:
    """Ends an account, if its name was typed again: nothing brings it back."""
    site, name = visit.context.site(Permission.ACCOUNT_MANAGE), visit.http.path_params["account"]
    if visit.form.get("name", "").strip() != name:
        raise InvalidError("type the name of the account: it is disabled for good", "name")
    await visit.services.disable_person(site, name)
    return visit.go(_address(visit), "saved")


async def _people(visit: Visit, made: NewPerson | None) -> Response:
    visit.context.site(Permission.ACCOUNT_MANAGE)
    rows = await visit.services.accounts.people(None, MOST_PEOPLE)
    asked = at_hand(rows, PEOPLE, lambda row, field: str(row.standing) if field == "roles" else getattr(row, field))
    view = await listed(visit, "People", PEOPLE, COLUMNS, asked, empty="Nobody.", hint="disabled_at=none")
    return answer(visit, "people.html", view, made=made)


async def _person(visit: Visit, made: NewPerson | None) -> Response:
    visit.context.site(Permission.ACCOUNT_MANAGE)
    row = await visit.services.accounts.person(visit.http.path_params["account"])
    own = OWN_ROLES if row.name == visit.context.principal.actor.name else ""
    refused = own or ("the account is disabled for good" if row.disabled_at else "")
    return visit.page("person.html", person=row, made=made, roles=list(Role), refused=refused)


def _address(visit: Visit) -> str:
    return f"/people/{visit.http.path_params['account']}"


ROUTES: Final = (
    page("/people", show_people),
    action("/people", create_person),
    page("/people/{account}", show_person),
    action("/people/{account}/roles", set_roles),
    action("/people/{account}/password", reset_password),
    action("/people/{account}/disable", disable),
)
