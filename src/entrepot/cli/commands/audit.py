"""`entrepot audit`: who did what, who was refused, who pulled."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Final

import typer

from entrepot.cli.listed import Listed
from entrepot.cli.options import Count, Insecure, Sort, Url, Wanted, Where, asked, client
from entrepot.cli.output import Column, Format, Output, when
from entrepot.clock import SystemClock
from entrepot.errors import InvalidError

app = typer.Typer(help="Search the record of changes, refusals and pulls.", no_args_is_help=True, add_completion=False)

UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
AGE: Final = re.compile(r"(\d{1,6})([smhdw])\Z")
COLUMNS: Final = (
    Column("AT", when("at")),
    Column("ACTOR", "actor"),
    Column("ACTION", "action"),
    Column("REPOSITORY", "repository"),
    Column("REFERENCE", "reference"),
    Column("OUTCOME", "outcome"),
    Column("FROM", "source_ip"),
    Column("REASON", "reason"),
)


@app.callback()
def group() -> None:
    """Search the record of changes, refusals and pulls."""


@app.command("search")
def search(
    *,
    project: Annotated[str | None, typer.Option(help="In which project.")] = None,
    actor: Annotated[str | None, typer.Option(help="Who asked: shop+ci.")] = None,
    action: Annotated[str | None, typer.Option(help="What was asked for.")] = None,
    repository: Annotated[str | None, typer.Option(help="In which repository: shop/web.")] = None,
    reference: Annotated[str | None, typer.Option(help="By which tag or digest it was asked for.")] = None,
    digest: Annotated[str | None, typer.Option(help="Which digest was served or changed.")] = None,
    outcome: Annotated[str | None, typer.Option(help="How it ended.")] = None,
    since: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="30m, 1h, 2d, 1w, or ISO 8601.")] = None,
    until: Annotated[str | None, typer.Option(metavar="AGE|TIME", help="As --since, the other end.")] = None,
    where: Where = None,
    sort: Sort = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    count: Count = False,
    url: Url = None,
    insecure: Insecure = False,
    output: Wanted = Format.TABLE,
) -> None:
    """Search the audit record."""
    now = SystemClock().now()
    query = asked(
        where,
        sort,
        project=project,
        actor=actor,
        action=action,
        repository=repository,
        reference=reference,
        digest=digest,
        outcome=outcome,
        since=instant(since, now, "since") if since else None,
        until=instant(until, now, "until") if until else None,
    )
    listed = Listed("/audit", query, COLUMNS, "nothing of that kind is on record", Column("", "id"))
    listed.show(client(url, insecure=insecure), Output.to_terminal(output), limit, count=count)


def instant(text: str, now: datetime, option: str) -> str:
    """The instant that *text* means, in ISO 8601: an age before *now* (`1h`), or a time. Raises InvalidError."""
    age = AGE.match(text)
    try:
        at = now - timedelta(**{UNITS[age[2]]: int(age[1])}) if age else datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InvalidError(f"--{option} takes an age (30m, 1h, 2d, 1w) or a time in ISO 8601", option) from None
    return at.astimezone(now.tzinfo).isoformat()
