"""What access needs from above."""

from typing import Protocol

from entrepot.access.model import Project
from entrepot.runtime.events.model import Actor


class SignInLog(Protocol):
    """Keeps a record of each sign-in."""

    def signed_in(self, by: Actor, surface: str) -> None:
        """*by* proved who he is at *surface* (`registry` or `api`). On the disk when this returns; never raises."""
        ...


class Projects(Protocol):
    """Knows projects by name."""

    async def project(self, name: str) -> Project | None:
        """The project called *name*; None if there is none."""
        ...
