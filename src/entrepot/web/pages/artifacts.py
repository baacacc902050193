"""Pages: an artifact in its parts, what is different in another, and why a pull of it meets what it meets.

`/why/{repository}@{digest}` is stable: what refuses a pull may link to it, for as long as the manifest is there.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from starlette.responses import Response

from entrepot.access.model import Permission
from entrepot.audit.model import AuditRow
from entrepot.audit.queries import EVENTS, AuditFilter
from entrepot.catalog.queries import Artifact, ChildRow, LayerRow, ReferrerRow
from entrepot.oci.errors import DigestInvalidError
from entrepot.policy.model import BASELINE, Outcome
from entrepot.policy.queries import VerdictState
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing
from entrepot.scanning.difference import findings_gained, packages_differ
from entrepot.scanning.model import Finding, ImagePackage, ScanStatus, Severity
from entrepot.scanning.queries import FINDINGS, PACKAGES, ImageFinding, ScanState
from entrepot.web.pages.commands import pull_commands
from entrepot.web.pages.lists import Column, Shown, View, answer, at_hand, listed
from entrepot.web.pages.visit import Visit, page

MOST_REFERRERS: Final = 1_000
OVERVIEW: Final = "overview"
EXPLAINED: Final = (Outcome.BLOCK, Outcome.ERROR, Outcome.WARN)
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
CHANGES: Final = Listing(
    {"what": Field(Kind.TEXT), "change": Field(Kind.TEXT), "name": Field(Kind.TEXT)}, key="name", default="what"
)


class Change(msgspec.Struct, frozen=True):
    """A line of what is different. what: package, finding or layer; change: added, removed or changed."""

    what: str
    change: str
    name: str
    before: str
    after: str


def address_of(repository: str, digest: str) -> str:
    """The page of an artifact."""
    return f"/repositories/{repository}/-/artifacts/{digest}"


def why_address(repository: str, digest: str) -> str:
    """The page that says why a pull of it meets what it meets."""
    return f"/why/{repository}@{digest}"


async def show_artifact(visit: Visit) -> Response:
    """An artifact: its verdict, facts, and commands."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    state = await visit.services.scans.state(artifact)
    commands = pull_commands(visit.services.service, f"{artifact.repository}@{artifact.digest}", secure=visit.secure)
    return visit.page(
        "artifact.html", **_frame(artifact, OVERVIEW), **await _judged(visit, artifact, state), commands=commands
    )


async def show_verdict(visit: Visit) -> Response:
    """The verdict alone: what the page of an artifact asks for until it is there."""
    artifact = await _artifact(visit, Permission.REPO_READ)
    state = await visit.services.scans.state(artifact)
    return visit.page(
        "verdict.html",
        address=address_of(artifact.repository, artifact.digest),
        **await _judged(visit, artifact, state),
    )


async def show_findings(visit: Visit) -> Response:
    """The open findings of an image."""
    artifact = await _artifact(visit, Permission.SCAN_READ)
    found = await visit.services.scans.findings(artifact)
    columns: tuple[Column[ImageFinding], ...] = (
        Column("severity", "Severity", lambda row: row.finding.severity.value, Shown.BADGE),
        Column("id", "Finding", lambda row: row.finding.id, Shown.NAME),
        Column("package", "Package", lambda row: row.finding.package),
        Column("version", "Version", lambda row: row.finding.version),
        Column("fixed_version", "Fixed in", lambda row: row.finding.fixed_version),
        Column("counted", "Counts", lambda row: row.finding.counted, Shown.BOOLEAN),
        Column("layer", "Layer", lambda row: row.origin.layer),
        Column("step", "Build step", lambda row: row.origin.step, Shown.STEP),
        Column("summary", "Summary", lambda row: row.finding.summary, Shown.LONG),
    )
    view = await listed(
        visit,
        "Findings",
        FINDINGS,
        columns,
        at_hand(found, FINDINGS, _finding_value, _finding_key),
        empty="None is open.",
    )
    return _tab(visit, artifact, "findings", view)


async def show_packages(visit: Visit) -> Response:
    """The packages of an image."""
    artifact = await _artifact(visit, Permission.SCAN_READ)
    found = await visit.services.scans.packages(artifact)
    columns: tuple[Column[ImagePackage], ...] = (
        Column("name", "Name", lambda row: row.package.name),
        Column("version", "Version", lambda row: row.package.version),
        Column("arch", "Architecture", lambda row: row.package.arch),
        Column("ecosystem", "Kind", lambda row: row.package.ecosystem),
        Column("namespace", "Namespace", lambda row: row.namespace),
        Column("source_name", "Source", lambda row: row.package.source_name),
        Column("path", "Path", lambda row: row.package.path, Shown.CODE),
        Column("layer", "Layer", lambda row: row.layer),
    )
    asked = at_hand(found, PACKAGES, _package_value, _package_key)
    return _tab(visit, artifact, "packages", await listed(visit, "Packages", PACKAGES, columns, asked, empty="None."))


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
        Column("media_type", "Media type", lambda row: row.media_type),
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
        EVENT_COLUMNS,
        lambda wanted: visit.services.audit.page(site, about, wanted),
        empty="Nothing is on record.",
    )
    return _tab(visit, artifact, "history", view)


async def show_difference(visit: Visit) -> Response:
    """Packages, findings and layers that one artifact of a repository has and another has not."""
    name = visit.http.path_params["name"]
    repository = await visit.context.repository(Permission.SCAN_READ, name)
    old, new = visit.word("from", 140), visit.word("to", 140)
    if not old or not new:
        blank: dict[str, Any] = {"repository": repository.resource.name, "from": old, "to": new, "shared": 0}
        return visit.page("difference.html", view=None, **blank)
    before = await visit.context.artifact(Permission.SCAN_READ, name, old)
    after = await visit.context.artifact(Permission.SCAN_READ, name, new)
    rows = await _changes(visit, before, after)
    columns: tuple[Column[Change], ...] = (
        Column("what", "What", lambda row: row.what, Shown.NAME),
        Column("change", "Change", lambda row: row.change, Shown.NAME),
        Column("name", "Name", lambda row: row.name),
        Column("before", "Before", lambda row: row.before),
        Column("after", "After", lambda row: row.after),
    )
    asked = at_hand(rows, CHANGES, getattr, lambda row: f"{row.what}\n{row.name}\n{row.before}\n{row.after}")
    view = await listed(
        visit, "Differences", CHANGES, columns, asked, empty="They are the same.", others=("from", "to")
    )
    shared = len({layer.digest for layer in before.layers} & {layer.digest for layer in after.layers})
    values: dict[str, Any] = {"repository": name, "from": old, "to": new, "shared": shared}
    return answer(visit, "difference.html", view, **values)


async def show_why(visit: Visit) -> Response:
    """Why a pull of a digest meets what it meets, and who can do what about it."""
    name, at, digest = visit.http.path_params["what"].rpartition("@")
    if not at or ":" not in digest:
        raise DigestInvalidError("this page is /why/{repository}@{digest}")
    artifact = await visit.context.artifact(Permission.REPO_READ, name, digest)
    state = await visit.services.scans.state(artifact)
    found = [] if visit.refused(Permission.SCAN_READ) else await visit.services.scans.findings(artifact)
    return visit.page(
        "why.html",
        address=address_of(artifact.repository, artifact.digest),
        artifact=artifact,
        broken=[each for each in found if _breaks(each.finding)],
        **(await _judged(visit, artifact, state) | {"why": ""}),
    )


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


async def _artifact(visit: Visit, permission: Permission) -> Artifact:
    return await visit.context.artifact(permission, visit.http.path_params["name"], visit.http.path_params["reference"])


def _frame(artifact: Artifact, tab: str) -> dict[str, Any]:
    """What the page of each part is given."""
    return {
        "artifact": artifact,
        "address": address_of(artifact.repository, artifact.digest),
        "tab": tab,
        "tabs": [name for name in TABS if name != "children" or artifact.kind == "index"],
    }


def _tab(visit: Visit, artifact: Artifact, tab: str, view: View | None, refused: str = "") -> Response:
    values = {**_frame(artifact, tab), "refused": refused}
    return (
        visit.page("artifact.html", view=None, **values)
        if view is None
        else answer(visit, "artifact.html", view, **values)
    )


async def _judged(visit: Visit, artifact: Artifact, state: ScanState) -> dict[str, Any]:
    """The verdict on *artifact* with its reason and remedy, as templates take it."""
    # Asked after the state: a verdict that is there may stand beside a scan that was not done a moment ago, and the
    # page asks no more once there is one.
    verdict = await visit.services.policy.verdict(artifact)
    pending = verdict.outcome is Outcome.PENDING
    reason, remedy = _words(verdict, state)
    counts = (
        []
        if visit.refused(Permission.SCAN_READ)
        else [(severity.value, state.counts[severity]) for severity in reversed(Severity) if state.counts.get(severity)]
    )
    return {
        "verdict": verdict,
        "state": state,
        "pending": pending,
        "reason": reason,
        "remedy": remedy,
        "findings": counts,
        "why": why_address(artifact.repository, artifact.digest) if verdict.outcome in EXPLAINED else "",
    }


def _words(verdict: VerdictState, state: ScanState) -> tuple[str, str]:
    """What a verdict says and what to do about it: the text that clients get, in its two parts."""
    if state.status is ScanStatus.NOT_APPLICABLE:
        return "This is no image: there is nothing in it to judge.", ""
    if verdict.outcome is Outcome.PENDING:
        layers = f" ({state.waiting} layers to read)" if state.waiting else ""
        return f"It waits for its scan{layers}. In the mode enforce a pull by tag gets what the tag named before.", ""
    if verdict.text:
        reason, _, remedy = verdict.text.rpartition("; ")
        return (reason or remedy), (remedy if reason else "")
    if verdict.outcome is Outcome.PASS:
        return f"No limit of the policy {verdict.policy or BASELINE.name} is broken.", ""
    return f"The policy {verdict.policy} says {verdict.outcome.value}.", ""


def _breaks(finding: Finding) -> bool:
    """Whether a limit of the policy counts *finding*."""
    severity = BASELINE.unknown_severity if finding.severity is Severity.UNKNOWN else finding.severity
    return finding.counted and any(
        severity.rank >= limit.severity.rank and (bool(finding.fixed_version) or not limit.fixable)
        for limit in BASELINE.limits
    )


def _finding_value(row: ImageFinding, field: str) -> Any:
    match field:
        case "fixable":
            return bool(row.finding.fixed_version)
        case "severity" | "status":
            return getattr(row.finding, field).value
        case "layer":
            return row.origin.layer
        case _:
            return getattr(row.finding, field)


def _finding_key(row: ImageFinding) -> str:
    finding = row.finding
    return "\n".join((finding.package, finding.id, finding.version, str(row.origin.layer), *finding.advisories))


def _package_value(row: ImagePackage, field: str) -> Any:
    return getattr(row if field in {"namespace", "layer"} else row.package, field)


def _package_key(row: ImagePackage) -> str:
    package = row.package
    parts = [package.ecosystem, row.namespace, package.name, package.version, package.arch, package.path]
    return "\n".join(parts)


EVENT_COLUMNS: Final[tuple[Column[AuditRow], ...]] = (
    Column("at", "When", lambda row: row.at, Shown.TIME),
    Column("action", "What", lambda row: row.action, Shown.NAME),
    Column("actor", "Who", lambda row: row.actor or row.actor_kind, Shown.NAME),
    Column("project", "Project", lambda row: row.project),
    Column("repository", "Repository", lambda row: row.repository),
    Column("reference", "Reference", lambda row: row.reference, Shown.DIGEST),
    Column("digest", "Digest", lambda row: row.digest, Shown.DIGEST),
    Column("outcome", "Outcome", lambda row: row.outcome, Shown.BADGE),
    Column("reason", "Reason", lambda row: row.reason, Shown.LONG),
    Column("source_ip", "From", lambda row: row.source_ip, Shown.NAME),
    Column("id", "Event", lambda row: row.id, Shown.CODE),
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
    page("/repositories/{name:path}/-/difference", show_difference),
    page("/why/{what:path}", show_why),
)
