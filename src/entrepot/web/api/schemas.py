"""What the management API takes and gives. Unknown fields of a body are refused."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")
Name = Annotated[str, Field(min_length=1, max_length=128)]
Days = Annotated[int, Field(strict=True, ge=1, le=365)]


class Body(BaseModel):
    """A document a client sends."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[T]):
    """A part of a list; next: cursor of the part behind it, null at the end."""

    items: list[T]
    next: str | None = None


class NewTokenBody(Body):
    """A personal token to make."""

    name: Name
    days: Days = 90


class TokenMade(BaseModel):
    """A personal token just made; token is shown this once."""

    id: str
    name: str
    token: str
    account: str
    expires_at: datetime


class TokenItem(BaseModel):
    """A personal token."""

    id: str
    name: str
    created_at: datetime
    expires_at: datetime


class WhoAmI(BaseModel):
    """Who asks, and his roles: on the site, or by project."""

    account: str
    kind: str
    role: str


Visibility = Literal["private", "public"]


class NewProjectBody(Body):
    """A project to make; public: everybody may pull from it, logged in or not."""

    name: Name
    visibility: Visibility = "private"


class EditProjectBody(Body):
    """Switches of a project to set; what is not given stays. strict_sizes: refuse manifests with wrong sizes."""

    visibility: Visibility | None = None
    strict_sizes: Annotated[bool | None, Field(strict=True)] = None


class ProjectSwitches(BaseModel):
    """How a project stands."""

    name: str
    visibility: str
    strict_sizes: bool


class ProjectItem(BaseModel):
    """A project."""

    id: str
    name: str
    mode: str
    visibility: str
    strict_sizes: bool
    created_at: datetime
    repositories: int


class NewRobotBody(Body):
    """A robot to make."""

    name: Name
    role: Literal["developer", "viewer"]
    days: Days = 90


class RobotItem(BaseModel):
    """A robot; login: its user name for docker login."""

    id: str
    name: str
    login: str
    role: str
    created_at: datetime
    expires_at: datetime


class RobotMade(RobotItem):
    """A robot just made; secret is shown this once."""

    secret: str


class LayerItem(BaseModel):
    """A layer of an image; step: the build step that made it, `unknown` where the config does not say."""

    index: int
    digest: str
    size: int
    media_type: str
    step: str


class ChildItem(BaseModel):
    """A manifest an index lists."""

    digest: str
    platform: str
    outcome: str


class ScanSummary(BaseModel):
    """How far the analysis is; findings: open ones by severity."""

    status: str
    reasons: list[str]
    os: str
    packages: int
    findings: dict[str, int]
    since: datetime | None
    finished_at: datetime | None


class VerdictSummary(BaseModel):
    """What the policy says; text: what a refused or warned pull is told."""

    outcome: str
    mode: str
    policy: str
    text: str


class ArtifactDetail(BaseModel):
    """A manifest in a repository."""

    repository: str
    digest: str
    media_type: str
    artifact_type: str
    size: int
    platform: str
    tags: list[str]
    pushed_at: datetime
    pushed_by: str
    layers: list[LayerItem]
    children: list[ChildItem]
    scan: ScanSummary
    verdict: VerdictSummary


class ScanDetail(BaseModel):
    """How far analysis and judgement are; waiting: layers not analysed yet."""

    digest: str
    status: str
    reasons: list[str]
    waiting: int
    outcome: str
    mode: str
    text: str


class PackageItem(BaseModel):
    """A package of an image, with the layer (lowest 0) and build step that brought it."""

    name: str
    version: str
    arch: str
    ecosystem: str
    namespace: str
    source_name: str
    source_version: str
    path: str
    layer: int
    layer_digest: str
    step: str


class FindingItem(BaseModel):
    """A vulnerability in a package of an image."""

    id: str
    aliases: list[str]
    severity: str
    severity_source: str
    package: str
    version: str
    fixed_version: str
    status: str
    counted: bool
    layer: int
    layer_digest: str
    step: str
    summary: str
    advisories: list[str]


class LimitItem(BaseModel):
    """At most `max` findings of `severity` and above; fixable: only those with a fix count."""

    id: str
    severity: str
    fixable: bool
    max: int


class PolicyDetail(BaseModel):
    """The policy of a project; wanted: a mode asked for and not in force yet."""

    project: str
    policy: str
    mode: str
    wanted: str | None
    limits: list[LimitItem]
    unknown_severity: str


class ModeBody(Body):
    """A mode to put a project into."""

    mode: Literal["monitor", "warn", "enforce"]


class ModeAnswer(BaseModel):
    """A mode change on its way; job: null if there was nothing to do."""

    project: str
    mode: str
    wanted: str | None
    job: str | None


class FeedReceived(BaseModel):
    """A feed on its way."""

    job: str
    source: str


class FeedItem(BaseModel):
    """A feed in force; built_at as the feed says, empty if it does not."""

    source: str
    records: int
    namespaces: list[str]
    covers: str
    built_at: str
    imported_at: datetime


class JobItem(BaseModel):
    """A job."""

    id: str
    name: str
    args: dict[str, Any]
    state: str
    queue: str
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str


class AuditItem(BaseModel):
    """An event of the audit log."""

    id: str
    at: datetime
    actor: str
    actor_kind: str
    action: str
    project: str
    repository: str
    reference: str
    digest: str
    outcome: str
    reason: str
    source_ip: str
    user_agent: str
    request_id: str
    detail: dict[str, Any]
