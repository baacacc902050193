"""Page: what one artifact of a repository has and another has not."""

from collections import Counter
from typing import Any, Final

import msgspec
from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.catalog.queries import Artifact
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.scanning.difference import findings_gained, packages_differ
from entrepot.web.pages.lists import Column, Shown, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, page

KINDS: Final = ("package", "finding", "layer")
CHANGES: Final = Listing(
    {"what": Field(Kind.RANKED, KINDS), "change": Field(Kind.TEXT), "name": Field(Kind.TEXT)},
    key="name",
    default="what",
)


class Change(msgspec.Struct, frozen=True):
    """A line of what is different. what: package, finding or layer; change: added, removed or changed."""

    what: str
    change: str
    name: str
    before: str
    after: str


async def show_difference(visit: Visit) -> Response:
    """Packages, findings and layers that one artifact of a repository has and another has not."""
    name = visit.http.path_params["name"]
    repository = await visit.context.repository(Permission.SCAN_READ, name)
    old, new = visit.word("from", 140), visit.word("to", 140)
    if not old or not new:
        blank: dict[str, Any] = {"repository": repository.resource.name, "from": old, "to": new}
        return visit.page("difference.html", view=None, **blank)
    before = await visit.context.artifact(Permission.SCAN_READ, name, old)
    after = await visit.context.artifact(Permission.SCAN_READ, name, new)
    rows = await _changes(visit, before, after)
    columns: tuple[Column[Change], ...] = (
        Column("what", "What", lambda row: row.what),
        Column("change", "Change", lambda row: row.change, Shown.BADGE),
        Column("name", "Name", lambda row: row.name, Shown.DIGEST),
        Column("before", "Before", lambda row: row.before, Shown.DIGEST),
        Column("after", "After", lambda row: row.after, Shown.DIGEST),
    )
    asked = at_hand(rows, CHANGES, getattr, lambda row: f"{row.what}\n{row.name}\n{row.before}\n{row.after}")
    view = await listed(
        visit,
        "Differences",
        CHANGES,
        columns,
        asked,
        empty="They are the same.",
        others=("from", "to"),
        hint="what=layer",
    )
    shared = len({layer.digest for layer in before.layers} & {layer.digest for layer in after.layers})
    values: dict[str, Any] = {"repository": name, "from": old, "to": new, "shared": shared}
    values["counts"] = sorted(Counter((row.what, row.change) for row in rows).items())
    return answer(visit, "difference.html", view, **values)


async def _changes(visit: Visit, before: Artifact, after: Artifact) -> list[Change]:
    scans = visit.services.scans
    packages = packages_differ(await scans.packages(before), await scans.packages(after))
    old, new = await scans.findings(before), await scans.findings(after)
    rows = [
        Change("package", change, each.name, ", ".join(each.before), ", ".join(each.after))
        for change, found in (("added", packages.added), ("removed", packages.removed), ("changed", packages.changed))
        for each in found
    ]
    for change, gained in (("added", findings_gained(old, new)), ("removed", findings_gained(new, old))):
        for each in gained:
            text = f"{each.finding.severity.value} in {each.finding.package} {each.finding.version}"
            rows.append(Change("finding", change, each.finding.id, *(("", text) if change == "added" else (text, ""))))
    mine, theirs = {layer.digest for layer in before.layers}, {layer.digest for layer in after.layers}
    rows += [Change("layer", "removed", digest, digest, "") for digest in sorted(mine - theirs)]
    return rows + [Change("layer", "added", digest, "", digest) for digest in sorted(theirs - mine)]


ROUTES: Final = (page("/repositories/{name:path}/-/difference", show_difference),)
