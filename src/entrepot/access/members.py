"""Roles of people: on one project (its members), or on the whole site.

Invariant: nobody changes his own roles, and the site has an admin. It holds because whoever asks is compared inside the
transaction, and units that take an admin away wait for each other. Spec: security.md, 4.3.
"""

from dataclasses import dataclass
from typing import ClassVar

from entrepot.access import store
from entrepot.access.errors import AccountUnknownError, LastAdminError
from entrepot.access.model import Project, Role, Site, Standing
from entrepot.access.people import SITE_ROLES, other_person
from entrepot.access.scoped import Scoped
from entrepot.clock import Clock
from entrepot.runtime.errors import StaleError
from entrepot.runtime.events.model import Event
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberChanged(Event):
    """A person has another role on the event's project. before: the one he had, empty for none."""

    ACTION: ClassVar = "member.changed"

    account: str
    role: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRemoved(Event):
    """A person has no role on the event's project any more. before: the one he had."""

    ACTION: ClassVar = "member.removed"

    account: str
    before: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRolesChanged(Event):
    """A person has other roles on the whole site. roles, before: joined by commas, empty for none."""

    ACTION: ClassVar = "account.roles_changed"

    account: str
    roles: str
    before: str


@dataclass(frozen=True, slots=True)
class SetMember:
    """Gives a person a role on a project, instead of the one he had there."""

    work: Work
    clock: Clock

    async def __call__(
        self, project: Scoped[Project], name: str, role: Role, expected: Standing | None = None
    ) -> Standing:
        """The person *name* has *role*, if he had *expected* there (None: whatever he had).

        Raises AccountUnknownError, PermissionDeniedError (his own), StaleError.
        """
        after, resource = Standing((role,)), project.resource
        async with self.work(project.principal.actor) as unit:
            account_id, _ = await other_person(unit, project, name)
            before = await store.standing(unit, account_id, resource.id)
            if expected not in {None, before}:
                raise StaleError
            if before != after:
                await store.replace_grants(unit, account_id, before, after, resource.id, self.clock.now())
                unit.emit(MemberChanged(project=resource.name, account=name, role=role.value, before=str(before)))
        return after


@dataclass(frozen=True, slots=True)
class RemoveMember:
    """Takes a person's role on a project away."""

    work: Work
    clock: Clock

    async def __call__(self, project: Scoped[Project], name: str) -> None:
        """The person *name* has no role there. Raises AccountUnknownError (no member), PermissionDeniedError."""
        resource = project.resource
        async with self.work(project.principal.actor) as unit:
            account_id, _ = await other_person(unit, project, name)
            before = await store.standing(unit, account_id, resource.id)
            if not before.roles:
                raise AccountUnknownError
            await store.replace_grants(unit, account_id, before, Standing(), resource.id, self.clock.now())
            unit.emit(MemberRemoved(project=resource.name, account=name, before=str(before)))


@dataclass(frozen=True, slots=True)
class SetSiteRoles:
    """Gives a person roles on the whole site, instead of those he had there."""

    work: Work
    clock: Clock

    async def __call__(
        self, site: Scoped[Site], name: str, wanted: frozenset[Role], expected: Standing | None = None
    ) -> Standing:
        """The person *name* has the roles *wanted*, if he had *expected* (None: whatever he had).

        Raises AccountUnknownError, PermissionDeniedError (his own), LastAdminError, StaleError.
        """
        after = Standing(tuple(role for role in Role if role in wanted))
        async with self.work(site.principal.actor) as unit:
            await unit.serialize(SITE_ROLES)
            account_id, _ = await other_person(unit, site, name)
            before = await store.standing(unit, account_id, None)
            if expected not in {None, before}:
                raise StaleError
            loses = Role.ADMIN in before.roles and Role.ADMIN not in after.roles
            if loses and not await store.has_other_admin(unit, account_id):
                raise LastAdminError
            if before != after:
                await store.replace_grants(unit, account_id, before, after, None, self.clock.now())
                unit.emit(SiteRolesChanged(account=name, roles=str(after), before=str(before)))
        return after
