"""Records what was refused: there is no change to ride on, so each is a small transaction of its own."""

from dataclasses import dataclass

from entrepot.access.secrets import masked
from entrepot.audit.model import AccessDenied, SignInFailed
from entrepot.runtime.events.model import Actor
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that was refused: with which code and text, and what it was about.

    place: the name of a repository, or of a project alone.
    """

    method: str
    path: str
    code: str
    reason: str
    place: str = ""
    reference: str = ""


@dataclass(frozen=True, slots=True)
class RecordDenial:
    """Writes refusals and failed sign-ins into the log."""

    work: Work

    async def denied(self, by: Actor, refusal: Refusal) -> None:
        """*by* was refused."""
        event = AccessDenied(
            project=refusal.place.partition("/")[0],
            repository=refusal.place if "/" in refusal.place else "",
            reference=refusal.reference,
            digest=refusal.reference if ":" in refusal.reference else "",
            outcome="denied",
            reason=refusal.reason,
            method=refusal.method,
            path=refusal.path[:255],
            code=refusal.code,
        )
        async with self.work(by) as unit:
            unit.emit(event)

    async def sign_in_failed(self, by: Actor, account: str, path: str, reason: str) -> None:
        """Somebody claimed to be *account* and could not prove it."""
        async with self.work(by) as unit:
            unit.emit(
                SignInFailed(
                    outcome="denied",
                    reason=reason,
                    account=masked(account)[:255].encode("ascii", "replace").decode(),
                    path=path[:255],
                )
            )
