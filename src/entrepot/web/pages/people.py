"""Pages: who works in a project: its robots and its members."""

from typing import Final

from starlette.responses import Response

from entrepot.access.accounts import NewRobot
from entrepot.access.model import Permission, Project, Role
from entrepot.access.queries import ROBOTS, MemberRow, RobotRow
from entrepot.access.scoped import Scoped
from entrepot.errors import InvalidError
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.web.pages.lists import Action, Column, Shown, answer, at_hand, listed
from entrepot.web.pages.projects import project_address, project_of
from entrepot.web.pages.visit import Visit, action, page

MOST_MEMBERS: Final = 1_000
MEMBERS: Final = Listing(
    {"account": Field(Kind.TEXT), "role": Field(Kind.TEXT), "granted_at": Field(Kind.INSTANT, optional=True)},
    key="account",
    default="account",
)


async def show_robots(visit: Visit) -> Response:
    """A project's robots."""
    return await _robots(visit, await project_of(visit, Permission.ROBOT_WRITE), None)


async def create_robot(visit: Visit) -> Response:
    """Makes a robot, and shows its secret this once."""
    scoped = await project_of(visit, Permission.ROBOT_WRITE)
    made = await visit.services.create_robot(scoped, visit.form.get("name", ""), _role(visit), days_of(visit))
    return await _robots(visit, scoped, made)


async def delete_robot(visit: Visit) -> Response:
    """Ends a robot."""
    scoped = await project_of(visit, Permission.ROBOT_WRITE)
    await visit.services.delete_robot(scoped, visit.http.path_params["robot"])
    return visit.go(f"{project_address(scoped)}/robots", "removed")


async def show_members(visit: Visit) -> Response:
    """People with a role on a project."""
    scoped = await project_of(visit, Permission.MEMBER_MANAGE)
    rows = await visit.services.accounts.members(scoped, None, MOST_MEMBERS)
    columns: tuple[Column[MemberRow], ...] = (
        Column("account", "Person", lambda row: row.account),
        Column("role", "Role", lambda row: row.role.value if row.role else ""),
        Column("granted_at", "Since", lambda row: row.granted_at, Shown.TIME),
    )
    remove: Action[MemberRow] = Action(
        "Remove",
        lambda row: f"{project_address(scoped)}/members/{row.account}/remove",
        lambda row: row.account,
        lambda _: "",
    )
    view = await listed(
        visit,
        "Members",
        MEMBERS,
        columns,
        at_hand(rows, MEMBERS),
        empty="Nobody has a role on this project alone; admins of the whole site see it anyway.",
        actions=(remove,),
        hint="role=admin",
    )
    values = {"project": scoped.resource.name, "refused_people": visit.refused(Permission.ACCOUNT_MANAGE)}
    return answer(visit, "members.html", view, **values)


async def set_member(visit: Visit) -> Response:
    """Gives a person a role on a project."""
    scoped = await project_of(visit, Permission.MEMBER_MANAGE)
    await visit.services.set_member(scoped, visit.form.get("name", ""), _role(visit))
    return visit.go(f"{project_address(scoped)}/members", "saved")


async def remove_member(visit: Visit) -> Response:
    """Takes a person's role on a project away."""
    scoped = await project_of(visit, Permission.MEMBER_MANAGE)
    await visit.services.remove_member(scoped, visit.http.path_params["account"])
    return visit.go(f"{project_address(scoped)}/members", "removed")


async def _robots(visit: Visit, scoped: Scoped[Project], made: NewRobot | None) -> Response:
    columns: tuple[Column[RobotRow], ...] = (
        Column("login", "Login", lambda row: row.login, Shown.CODE),
        Column("role", "Role", lambda row: row.role),
        Column("created_at", "Created", lambda row: row.created_at, Shown.TIME),
        Column("expires_at", "Expires", lambda row: row.expires_at, Shown.TIME),
    )
    delete: Action[RobotRow] = Action(
        "Delete",
        lambda row: f"{project_address(scoped)}/robots/{row.login.partition('+')[2]}/delete",
        lambda row: row.login,
        lambda _: "",
    )
    view = await listed(
        visit,
        "Robots",
        ROBOTS,
        columns,
        lambda wanted: visit.services.accounts.robot_page(scoped, wanted),
        empty="No robot yet: make one below.",
        actions=(delete,),
        hint="role=developer",
    )
    return answer(visit, "robots.html", view, project=scoped.resource.name, made=made)


def days_of(visit: Visit) -> int:
    """The days that the form says. Raises InvalidError."""
    days = visit.form.get("days", "")
    if not (days.isascii() and days.isdigit() and len(days) < 5):
        raise InvalidError("a number of days", "days")
    return int(days)


def _role(visit: Visit) -> Role:
    try:
        return Role(visit.form.get("role", ""))
    except ValueError:
        raise InvalidError(f"a role is one of {', '.join(Role)}", "role") from None


ROUTES: Final = (
    page("/projects/{project}/robots", show_robots),
    action("/projects/{project}/robots", create_robot),
    action("/projects/{project}/robots/{robot}/delete", delete_robot),
    page("/projects/{project}/members", show_members),
    action("/projects/{project}/members", set_member),
    action("/projects/{project}/members/{account}/remove", remove_member),
)
