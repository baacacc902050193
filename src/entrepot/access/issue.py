"""Gives out registry tokens: what was asked for, cut to what the roles allow; what was cut is said in the token.

So `/v2` can answer 403 with the reason at once, where a bare token would send clients into a loop of 401s.
"""

from dataclasses import dataclass
from datetime import timedelta

from entrepot.access.authorize import HIDDEN, lacks, may
from entrepot.access.model import Permission, Principal, Project, Repository
from entrepot.access.ports import Projects, SignInLog
from entrepot.access.scopes import Scope
from entrepot.access.tokens import ISSUER, Tokens
from entrepot.clock import Clock
from entrepot.ids import ulid

PERMISSIONS = {"pull": Permission.REPO_PULL, "push": Permission.REPO_PUSH, "delete": Permission.REPO_DELETE}


@dataclass(frozen=True, slots=True)
class IssueToken:
    """Makes registry tokens that live *ttl*."""

    projects: Projects
    tokens: Tokens
    clock: Clock
    log: SignInLog
    ttl: timedelta

    def __call__(self, principal: Principal, scopes: tuple[Scope, ...]) -> str:
        """A token for *principal* with as much of *scopes* as he may have."""
        access, denied = [], []
        for scope in scopes:
            allowed, refused = self._cut(principal, scope)
            access.append({"type": "repository", "name": scope.name, "actions": allowed})
            denied += [{"name": scope.name, "action": action, "reason": reason} for action, reason in refused.items()]
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
                "ent_kind": actor.kind,
                "ent_account": actor.account_id,
                "ent_cred": actor.credential,
            }
        )
        self.log.signed_in(actor, "registry")
        return token

    def _cut(self, principal: Principal, scope: Scope) -> tuple[list[str], dict[str, str]]:
        project_name = scope.name.partition("/")[0]
        project = self.projects.project(project_name) or Project(0, project_name)
        resource = Repository(0, scope.name, project)
        visible = may(principal, Permission.REPO_READ, resource)
        allowed, refused = [], {}
        for action in scope.actions:
            permission = PERMISSIONS[action]
            if not project.id and visible:
                refused[action] = f"no project {project_name}: entrepot project create {project_name}"
            elif may(principal, permission, resource):
                allowed.append(action)
            else:
                refused[action] = lacks(principal, permission, resource) if visible else HIDDEN
        return allowed, refused
