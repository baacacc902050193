"""Events: what happened, told once, inside the transaction in which it happened.

A use case emits an `Event`; before the commit every listener (the audit recorder) gets it and every reaction
turns it into jobs. So there is no change without its record, and no record of what was rolled back.
"""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, from where: as much as a record of it needs.

    kind: `person`, `robot`, `system` or `anonymous`. credential: id of the secret used, never the secret. is_keyed:
    whether its request came with an `Idempotency-Key` (runtime/idempotency.py).
    """

    name: str
    kind: str
    account_id: int | None = None
    credential: str = ""
    source_ip: str = ""
    user_agent: str = ""
    request_id: str = ""
    is_keyed: bool = False


SYSTEM: Final = Actor("system", "system")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A past fact. ACTION is its name in the audit log (`noun.verb`); the fields every event has stand here.

    project, repository: names. reference: what was asked for; digest: what it was. Whatever a subclass adds
    is the event's detail and must hold no secret.
    """

    ACTION: ClassVar[str]

    project: str = ""
    repository: str = ""
    reference: str = ""
    digest: str = ""
    outcome: str = "ok"
    reason: str = ""

    def detail(self) -> dict[str, Any]:
        """What this kind of event adds to the common fields, fit for JSON."""
        common = {field.name for field in fields(Event)}
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name not in common}
