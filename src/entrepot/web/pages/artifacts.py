"""Pages: an artifact in its parts: verdict, findings, packages, layers, children, referrers, history."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.audit.model import AuditRow
from entrepot.audit.queries import EVENTS, AuditFilter
from entrepot.catalog.queries import Artifact, ChildRow, LayerRow, ReferrerRow
from entrepot.policy.model import Outcome
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.scanning.model import ImagePackage
from entrepot.scanning.queries import (
    FINDINGS,
    PACKAGES,
    ImageFinding,
    finding_key,
    finding_value,
    package_key,
    package_value,
)
from entrepot.web.pages.commands import pull_commands
from entrepot.web.pages.lists import Column, Shown, View, answer, at_hand, listed
from entrepot.web.pages.verdicts import address_of, judged
from entrepot.web.pages.visit import Visit, page

MOST_REFERRERS: Final = 1_000
OVERVIEW: Final = "overview"
INDEX: Final = "index"
OF_IMAGES: Final = ("findings", "packages", "layers")
OF_INDEXES: Final = ("children",)
LAYERS: Final = Listing(
    {"index": Field(Kind.NUMBER), "digest": Field(Kind.TEXT), "size": Field(Kind.BYTES), "step": Field(Kind.TEXT)},
    key="digest",
    default="index",
)
CHILDREN: Final = Listing(
    {"platform": Field(Kind.TEXT), "digest": Field(Kind.TEXT), "outcome": Field(Kind.TEXT)},
    key="digest",
    default="platform",
)
REFERRERS: Final = Listing(
    {
        "digest": Field(Kind.TEXT),
        "artifact_type": Field(Kind.TEXT),
        "size": Field(Kind.BYTES),
        "pushed_at": Field(Kind.INSTANT),
    },
    key="digest",
    default="pushed_at",
)


async def show_artifact(visit: Visit) -> Response:
    """An artifact: its verdict, facts, and commands."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    state = await visit.services.scans.state(artifact)
    commands = pull_commands(visit.services.service, f"{artifact.repository}@{artifact.digest}", secure=visit.secure)
    project = await visit.context.project(Permission.REPO_READ, artifact.project)
    repository = await visit.context.repository(Permission.REPO_READ, artifact.repository)
    return visit.page(
        "artifact.html",
        **_frame(artifact, OVERVIEW),
        **await judged(visit, artifact, state),
        commands=commands,
        way=await visit.services.promotions.of_digest(project, artifact.digest),
        refused_delete=visit.refused(Permission.REPO_DELETE, repository.resource),
    )


async def show_verdict(visit: Visit) -> Response:
    """The verdict alone: what the page of an artifact asks for until it is there."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    state = await visit.services.scans.state(artifact)
    return visit.page(
        "verdict.html",
        address=address_of(artifact.repository, artifact.digest),
        **await judged(visit, artifact, state),
    )


async def show_findings(visit: Visit) -> Response:
    """The open findings of an image."""
    artifact = await _artifact(visit, Permission.SCAN_READ)
    if artifact.kind == INDEX:
        return visit.go(f"{address_of(artifact.repository, artifact.digest)}/children")
    found = await visit.services.scans.findings(artifact)
    columns: tuple[Column[ImageFinding], ...] = (
        Column("severity", "Severity", lambda row: row.finding.severity.value, Shown.BADGE),
        Column("id", "Finding", lambda row: row.finding.id),
        Column("package", "Package", lambda row: row.finding.package),
        Column("version", "Version", lambda row: row.finding.version),
        Column("fixed_version", "Fixed in", lambda row: row.finding.fixed_version),
        Column("counted", "Counts", lambda row: row.finding.counted, Shown.BOOLEAN, is_usual=False),
        Column("layer", "Layer", lambda row: row.origin.layer, is_usual=False),
        Column("step", "Build step", lambda row: row.origin.step, Shown.STEP),
        Column("summary", "Summary", lambda row: row.finding.summary, Shown.LONG),
    )
    view = await listed(
        visit,
        "Findings",
        FINDINGS,
        columns,
        at_hand(found, FINDINGS, finding_value, finding_key),
        empty="No finding is open: nothing is known against the packages of this image.",
        hint="severity>=high and fixable=true",
    )
    return _tab(visit, artifact, "findings", view)


async def show_packages(visit: Visit) -> Response:
    """The packages of an image."""
    artifact = await _artifact(visit, Permission.SCAN_READ)
    found = await visit.services.scans.packages(artifact)
    columns: tuple[Column[ImagePackage], ...] = (
        Column("name", "Name", lambda row: row.package.name),
        Column("version", "Version", lambda row: row.package.version),
        Column("arch", "Architecture", lambda row: row.package.arch, is_usual=False),
        Column("ecosystem", "Kind", lambda row: row.package.ecosystem),
        Column("namespace", "Namespace", lambda row: row.namespace),
        Column("source_name", "Source", lambda row: row.package.source_name),
        Column("path", "Path", lambda row: row.package.path, Shown.CODE),
        Column("layer", "Layer", lambda row: row.layer),
    )
    asked = at_hand(found, PACKAGES, package_value, package_key)
    empty = "No package was found in it."
    return _tab(visit, artifact, "packages", await listed(visit, "Packages", PACKAGES, columns, asked, empty=empty))


async def show_layers(visit: Visit) -> Response:
    """The layers of an image, with the build step of each."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    config = await visit.services.catalog.config_copy(artifact)
    steps = dict(enumerate(await visit.services.steps(config, len(artifact.layers))))

    def value(row: LayerRow, field: str) -> Any:
        return steps[row.index] if field == "step" else getattr(row, field)

    columns: tuple[Column[LayerRow], ...] = (
        Column("index", "Layer", lambda row: row.index),
        Column("digest", "Digest", lambda row: row.digest, Shown.DIGEST),
        Column("size", "Size", lambda row: row.size, Shown.BYTES),
        Column("step", "Build step", lambda row: steps[row.index], Shown.STEP),
        Column("media_type", "Media type", lambda row: row.media_type, is_usual=False),
    )
    asked = at_hand(artifact.layers, LAYERS, value, lambda row: f"{row.index:06}")
    return _tab(visit, artifact, "layers", await listed(visit, "Layers", LAYERS, columns, asked, empty="It has none."))


async def show_children(visit: Visit) -> Response:
    """The manifests that an index lists."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    outcomes = await visit.services.policy.outcomes(artifact)
    platforms = await visit.services.scans.platforms(child.digest for child in artifact.children)

    def value(row: ChildRow, field: str) -> str:
        match field:
            case "platform":
                return row.platform or platforms.get(row.digest, "")
            case "outcome":
                return outcomes.get(row.digest, Outcome.PENDING).value
            case _:
                return row.digest

    columns: tuple[Column[ChildRow], ...] = (
        Column("platform", "Platform", lambda row: value(row, "platform")),
        Column(
            "digest",
            "Digest",
            lambda row: row.digest,
            Shown.DIGEST,
            lambda row: address_of(artifact.repository, row.digest),
        ),
        Column("kind", "Kind", lambda row: row.kind),
        Column("outcome", "Verdict", lambda row: value(row, "outcome"), Shown.BADGE),
    )
    asked = at_hand(artifact.children, CHILDREN, value)
    view = await listed(visit, "Children", CHILDREN, columns, asked, empty="It lists none.")
    return _tab(visit, artifact, "children", view)


async def show_referrers(visit: Visit) -> Response:
    """What speaks of an artifact: signatures, attestations, SBOMs."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    found = await visit.services.catalog.referrers(artifact, MOST_REFERRERS)
    columns: tuple[Column[ReferrerRow], ...] = (
        Column(
            "digest",
            "Digest",
            lambda row: row.digest,
            Shown.DIGEST,
            lambda row: address_of(artifact.repository, row.digest),
        ),
        Column("artifact_type", "Kind", lambda row: row.artifact_type),
        Column("size", "Size", lambda row: row.size, Shown.BYTES),
        Column("pushed_at", "Pushed", lambda row: row.pushed_at, Shown.TIME),
    )
    view = await listed(
        visit, "Referrers", REFERRERS, columns, at_hand(found, REFERRERS), empty="Nothing speaks of it."
    )
    return _tab(visit, artifact, "referrers", view)


async def show_history(visit: Visit) -> Response:
    """What the audit log has about a digest here: pushes, pulls, verdicts, moves."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    refused = visit.refused(Permission.AUDIT_READ)
    if refused:
        return _tab(visit, artifact, "history", None, refused)
    site = visit.context.site(Permission.AUDIT_READ)
    about = AuditFilter(repository=artifact.repository, digest=artifact.digest)
    view = await listed(
        visit,
        "History",
        EVENTS,
        HISTORY_COLUMNS,
        lambda wanted: visit.services.audit.page(site, about, wanted),
        empty="Nothing is on record.",
        hint="action=manifest.pulled",
    )
    return _tab(visit, artifact, "history", view)


async def _artifact(visit: Visit, permission: Permission) -> Artifact:
    return await visit.context.artifact(permission, visit.http.path_params["name"], visit.http.path_params["reference"])


def _frame(artifact: Artifact, tab: str) -> dict[str, Any]:
    """What the page of each part is given."""
    return {
        "artifact": artifact,
        "address": address_of(artifact.repository, artifact.digest),
        "tab": tab,
        "tabs": [name for name in TABS if name not in (OF_IMAGES if artifact.kind == INDEX else OF_INDEXES)],
    }


def _tab(visit: Visit, artifact: Artifact, tab: str, view: View | None, refused: str = "") -> Response:
    values = {**_frame(artifact, tab), "refused": refused}
    return (
        visit.page("artifact.html", view=None, **values)
        if view is None
        else answer(visit, "artifact.html", view, **values)
    )


EVENT_COLUMNS: Final[tuple[Column[AuditRow], ...]] = (
    Column("at", "When", lambda row: row.at, Shown.TIME),
    Column("action", "What", lambda row: row.action),
    Column("actor", "Who", lambda row: row.actor or row.actor_kind),
    Column("project", "Project", lambda row: row.project),
    Column("repository", "Repository", lambda row: row.repository),
    Column("reference", "Reference", lambda row: row.reference, Shown.DIGEST),
    Column("digest", "Digest", lambda row: row.digest, Shown.DIGEST),
    Column("outcome", "Outcome", lambda row: row.outcome, Shown.BADGE),
    Column("reason", "Reason", lambda row: row.reason, Shown.LONG),
    Column("source_ip", "From", lambda row: row.source_ip, is_usual=False),
    Column("id", "Event", lambda row: row.id, Shown.CODE, is_usual=False),
)
SAID: Final = frozenset({"project", "repository", "digest"})
"""What the page of an artifact says of each event there by itself."""

HISTORY_COLUMNS: Final = tuple(
    replace(column, is_usual=column.is_usual and column.name not in SAID) for column in EVENT_COLUMNS
)
TABS: Final[dict[str, Callable[[Visit], Awaitable[Response]]]] = {
    OVERVIEW: show_artifact,
    "findings": show_findings,
    "packages": show_packages,
    "layers": show_layers,
    "children": show_children,
    "referrers": show_referrers,
    "history": show_history,
}
PATH: Final = "/repositories/{name:path}/-/artifacts/{reference}"
ROUTES: Final = (
    *(page(PATH if name == OVERVIEW else f"{PATH}/{name}", show) for name, show in TABS.items()),
    page(f"{PATH}/verdict", show_verdict, is_use=False),
)
