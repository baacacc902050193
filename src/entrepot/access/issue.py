"""Gives out registry tokens: what was asked for, cut to what the roles allow; what was cut is said in the token.

So `/v2` can answer 403 with the reason at once, where a bare token would send clients into a loop of 401s. Who is not
logged in gets a token too: it pulls from public projects.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from entrepot.access.authorize import NO_PROJECT, by_role, may, refusal_code, sees_site
from entrepot.access.errors import ScopeInvalidError
from entrepot.access.model import ANONYMOUS, Permission, Principal, Project, Repository
from entrepot.access.ports import Projects, SignInLog
from entrepot.access.scopes import Scope, Scopes
from entrepot.access.tokens import ISSUER, Tokens
from entrepot.clock import Clock
from entrepot.ids import ulid

PERMISSIONS: Final = {"pull": Permission.REPO_PULL, "push": Permission.REPO_PUSH, "delete": Permission.REPO_DELETE}
MAX_TOKEN: Final = 4_000
"""Characters of a token: the answer holds it twice and stays below 8 KiB; proxies limit headers to as much."""


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as its *text*. cut: it allows less than was asked for."""

    text: str
    cut: bool


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Makes registry tokens that live *ttl*."""

    projects: Projects
    tokens: Tokens
    clock: Clock
    log: SignInLog
    ttl: timedelta

    async def __call__(self, principal: Principal, scopes: Scopes) -> IssuedToken:
        """A token for *principal* with as much of *scopes* as he may have. Raises ScopeInvalidError: too many."""
        # Names are what takes room, and each stands here once or twice: by what is allowed, and by why it is not.
        access: dict[str, list[str]] = {}
        denied: dict[str, list[str]] = {}
        public = []
        for scope in scopes.repositories:
            resource = await self._resource(scope)
            allowed, refused, code = _cut(principal, scope, resource)
            if allowed:
                access.setdefault(",".join(allowed), []).append(scope.name)
            if refused:
                denied.setdefault(f"{code} {','.join(refused)}", []).append(scope.name)
            if allowed and not by_role(principal, Permission.REPO_PULL, resource):
                public.append(scope.name)
        anonymous = principal.actor.kind == ANONYMOUS
        now = int(self.clock.now().timestamp())
        actor = principal.actor
        token = self.tokens.sign(
            {
                "iss": ISSUER,
                "aud": self.tokens.service,
                "sub": actor.name,
                "iat": now,
                "nbf": now,
                "exp": now + int(self.ttl.total_seconds()),
                "jti": ulid(),
                "access": access,
                "ent_denied": denied,
                "ent_public": public,
                "ent_catalog": scopes.catalog and not anonymous,
                "ent_kind": actor.kind,
                "ent_account": actor.account_id,
                "ent_cred": actor.credential,
            }
        )
        if len(token) > MAX_TOKEN:
            raise ScopeInvalidError("the scopes asked for do not fit into one token: ask for fewer at once", "scope")
        if not anonymous:
            self.log.signed_in(actor, "registry")
        return IssuedToken(token, cut=bool(denied) or (scopes.catalog and anonymous))

    async def _resource(self, scope: Scope) -> Repository:
        name = scope.name.partition("/")[0]
        return Repository(0, scope.name, await self.projects.project(name) or Project(0, name))


def _cut(principal: Principal, scope: Scope, resource: Repository) -> tuple[list[str], list[str], str]:
    """The actions *principal* may have, those he may not, and why not (`authorize.refusal` has the words)."""
    missing = not resource.project.id and sees_site(principal)
    allowed = [action for action in scope.actions if not missing and may(principal, PERMISSIONS[action], resource)]
    code = NO_PROJECT if missing else refusal_code(principal, resource)
    return allowed, [action for action in scope.actions if action not in allowed], code
