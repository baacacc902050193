"""What the management API takes and gives. Unknown fields of a body are refused."""

import re
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from entrepot.access.accounts import ROBOT_NAME
from entrepot.access.people import PERSON_NAME
from entrepot.catalog.projects import NAME as PROJECT_NAME

T = TypeVar("T")
Name = Annotated[str, Field(min_length=1, max_length=128)]


def _matches(pattern: re.Pattern[str], text: str) -> AfterValidator:
    """Who sends a name that does not match *pattern* is told *text*, beside all other faults."""

    def check(value: str) -> str:
        if not pattern.match(value):
            raise PydanticCustomError("name", text)
        return value

    return AfterValidator(check)


def _shown(pattern: re.Pattern[str]) -> dict[str, Any]:
    """*pattern* as JSON Schema writes it."""
    return {"pattern": f"^{pattern.pattern.removesuffix(chr(92) + 'Z')}$"}


ProjectName = Annotated[
    Name,
    _matches(PROJECT_NAME, "a project's name has up to 128 lower-case letters and digits, with . _ - between them"),
    Field(json_schema_extra=_shown(PROJECT_NAME)),
]
RobotName = Annotated[
    Name,
    _matches(ROBOT_NAME, "a robot's name has 1-64 lower-case letters, digits and . _ - between them"),
    Field(json_schema_extra=_shown(ROBOT_NAME)),
]
PersonName = Annotated[
    Name,
    _matches(PERSON_NAME, "a person's name has 1-64 lower-case letters, digits and . _ - between them"),
    Field(json_schema_extra=_shown(PERSON_NAME)),
]
Days = Annotated[int, Field(strict=True, ge=1, le=365)]


class Body(BaseModel):
    """A document a client sends."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel, Generic[T]):
    """A part of a list; next: cursor of the part behind it, null at the end; total: how many match, if asked."""

    items: list[T]
    next: str | None = None
    total: int | None = None


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


class SignInLinkMade(BaseModel):
    """An address that signs a browser in, once; it is shown this once."""

    url: str
    account: str
    ends_at: datetime


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

    name: ProjectName
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

    name: RobotName
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


RoleName = Literal["admin", "developer", "viewer"]


class NewAccountBody(Body):
    """A person's account to make."""

    name: PersonName


class AccountMade(BaseModel):
    """A person's account just made, or its password; password is shown this once."""

    name: str
    password: str
    created_at: datetime


class AccountItem(BaseModel):
    """A person; roles: those on the whole site; disabled_at: since when the account opens nothing."""

    id: str
    name: str
    roles: list[str]
    created_at: datetime
    disabled_at: datetime | None


class RolesBody(Body):
    """All roles a person is to have on the whole site."""

    roles: Annotated[list[RoleName], Field(max_length=3)]


class PasswordBody(Body):
    """The caller's password, and the one to have instead: 12 to 256 characters."""

    old: Annotated[str, Field(max_length=1024)]
    new: Annotated[str, Field(max_length=1024)]


class MemberItem(BaseModel):
    """A person and his role on a project, null where he has none; granted_at: null: long ago, or no role."""

    account: str
    role: str | None
    granted_at: datetime | None


class MemberBody(Body):
    """A role to give."""

    role: RoleName


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
