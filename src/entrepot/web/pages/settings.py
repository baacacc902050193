"""Page: every setting, its value in force, and where it comes from."""

from typing import Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.web.pages.lists import Column, Shown, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, page
from entrepot.web.services import SettingRow

SETTINGS: Final = Listing(
    {
        "name": Field(Kind.TEXT),
        "value": Field(Kind.TEXT),
        "source": Field(Kind.TEXT),
        "summary": Field(Kind.TEXT),
    },
    key="name",
    default="name",
)
COLUMNS: Final[tuple[Column[SettingRow], ...]] = (
    Column("name", "Setting", lambda row: row.name, Shown.CODE),
    Column("value", "Value", lambda row: row.value, Shown.CODE),
    Column("source", "From", lambda row: row.source, Shown.LONG),
    Column("summary", "What it is", lambda row: row.summary.replace("`", ""), Shown.LONG),
)


async def show_settings(visit: Visit) -> Response:
    """The settings of this server."""
    visit.context.site(Permission.SYSTEM_READ)
    lead = (
        "They are set by flags, the environment, the secrets folder or entrepot.toml, and read when the server starts."
    )
    rows = visit.services.settings
    view = await listed(
        visit, "Settings", SETTINGS, COLUMNS, at_hand(rows, SETTINGS), empty="None.", hint="source!=default"
    )
    return answer(visit, "settings.html", view, lead=lead)


ROUTES: Final = (page("/settings", show_settings),)
