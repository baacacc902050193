"""Access: who asks, and what he may do.

An account (person or robot) proves itself with a secret and becomes a `Principal`, with the roles given to it.
`authorize()` alone turns a principal and a resource into a `Scoped` handle, and every use case demands one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from entrepot.runtime.events.model import Actor


class Permission(StrEnum):
    """What can be allowed. The names are those of the audit log and of refusals."""

    REPO_READ = "repo.read"
    """See what is in a repository."""
    REPO_PULL = "repo.pull"
    """Pull from a repository."""
    REPO_PUSH = "repo.push"
    """Push to a repository, and make it by the first push."""
    REPO_DELETE = "repo.delete"
    """Delete tags, manifests, blobs and repositories, and undo that."""
    SCAN_READ = "scan.read"
    """See packages and findings."""
    SCAN_CONFIGURE = "scan.configure"
    """Import advisory feeds."""
    POLICY_ACTIVATE = "policy.activate"
    """Change a project's mode."""
    PROJECT_CREATE = "project.create"
    """Make projects."""
    PROJECT_EDIT = "project.edit"
    """Set who sees a project, its stages, how strict it is with sizes; on the whole site, how much it may keep."""
    ROBOT_WRITE = "robot.write"
    """Make, list and delete robots."""
    AUDIT_READ = "audit.read"
    """Search the audit log."""
    SYSTEM_READ = "system.read"
    """See feeds, jobs, deletions and storage."""
    TRASH_PURGE = "trash.purge"
    """Have deleted bytes gone before their time, which takes two people."""
    TAG_LOCK = "tag.lock"
    """Lock tags and unlock them."""
    ACCOUNT_MANAGE = "account.manage"
    """On the whole site: make and disable accounts of people, and give roles on the whole site."""
    MEMBER_MANAGE = "member.manage"
    """List, set and remove the members of a project."""
    PROMOTION_REQUEST = "promotion.request"
    """Ask that images go to another stage, and for rollbacks, and withdraw that."""
    PROMOTION_APPROVE = "promotion.approve"
    """Approve and reject what others asked for and others pushed; robots never do."""


class Role(StrEnum):
    """A set of permissions with a name."""

    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


_VIEWER: Final = frozenset({Permission.REPO_READ, Permission.REPO_PULL, Permission.SCAN_READ})
ROLES: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.DEVELOPER: _VIEWER | {Permission.REPO_PUSH, Permission.PROMOTION_REQUEST},
    Role.VIEWER: _VIEWER,
}
ROBOT_ROLES: Final = (Role.DEVELOPER, Role.VIEWER)
ANONYMOUS: Final = "anonymous"
"""The kind of an actor who has not logged in."""
PUBLIC: Final = frozenset({Permission.REPO_PULL})
"""What everybody may do in a public project, logged in or not: pull, and list what can be pulled."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role on one project, or on the whole site (project_id None), since *granted_at* (None: long ago)."""

    role: Role
    project_id: int | None
    granted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """The roles of a person on one project, or on the site, the greatest first."""

    roles: tuple[Role, ...] = ()

    def __str__(self) -> str:
        return ", ".join(self.roles)


@dataclass(frozen=True, slots=True)
class Site:
    """The installation itself, as something to have rights on."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project, as something to have rights on. public: whether everybody may pull from it.

    protected: the places below it that change by promotion only, each with the name of its stage (catalog/stages.py).
    """

    id: int
    name: str
    public: bool = False
    protected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository, as something to have rights on. id 0: it is not there yet, a push will make it."""

    id: int
    name: str
    project: Project

    @property
    def protection(self) -> tuple[str, str] | None:
        """The place it stands in and its stage, where that changes by promotion only; None elsewhere."""
        rest = self.name[len(self.project.name) + 1 :]
        return next((each for each in self.project.protected if rest.startswith(f"{each[0]}/")), None)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks now. *access*: repository -> actions, when a registry token narrows what the roles would allow;
    *public*: those of them that are in it because their project was public; *catalog*: whether the token covers the
    list of repositories; *denied*: (repository, action) -> code of why an action it asked for is not in it.
    """

    actor: Actor
    grants: tuple[Grant, ...] = ()
    access: Mapping[str, frozenset[str]] | None = None
    public: frozenset[str] = frozenset()
    catalog: bool = False
    denied: Mapping[tuple[str, str], str] = field(default_factory=dict)


# What a registry token calls the permissions. Spec: distribution/distribution docs, token scope.
ACTIONS: Final[Mapping[Permission, str]] = {
    Permission.REPO_READ: "pull",
    Permission.REPO_PULL: "pull",
    Permission.REPO_PUSH: "push",
    Permission.REPO_DELETE: "delete",
}


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret just made: its row's id and, this once, its text."""

    id: str
    text: str
