"""What a queue of jobs offers: to people (JobReader) and to the worker that runs them (Engine)."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Protocol

from entrepot.runtime.jobs.model import JobRow, Taken
from entrepot.runtime.lists import Part, Wanted


class JobReader(Protocol):
    """Answers questions about jobs."""

    async def page(self, state: str | None, name: str | None, after: str | None, limit: int) -> list[JobRow]:
        """Jobs, newest first, older than the id *after*; at most *limit*."""
        ...

    async def listed(self, state: str, name: str, wanted: Wanted) -> Part[JobRow]:
        """Jobs as *wanted* of JOBS, of that state and name; empty: of any."""
        ...

    async def get(self, id_: str) -> JobRow:
        """The job *id_*. Raises JobUnknownError."""
        ...

    async def counts(self) -> dict[tuple[str, str], int]:
        """How many jobs there are by (queue, state)."""
        ...

    async def oldest(self) -> dict[str, datetime]:
        """When the oldest job was asked for that waits in each queue; queues in which none waits are absent."""
        ...


class Engine(Protocol):
    """One worker's hold on the queue: what it took is its own while it shows signs of life, then anybody's.

    Each call raises DatabaseUnavailableError when the database does not answer. What was to be noted then is not; the
    job is taken up again later, so it runs at least once.
    """

    async def start(self) -> None:
        """Begins to work; jobs whose worker surely lives no more wait again."""
        ...

    async def take(self, queue: str) -> Taken | None:
        """The next job of *queue*, marked as running; None if there is none. Equal jobs never run side by side."""
        ...

    async def done(self, id_: str) -> None:
        """The job ended well. Nothing if it is this worker's no more."""
        ...

    async def failed(self, taken: Taken, error: str, *, final: bool) -> bool:
        """The job ended badly: again after its back-off, or for good if *final* or at the fifth time; which.

        It also ends for good if an equal one waits: that one is its next try.
        """
        ...

    async def give_back(self, ids: Collection[str]) -> None:
        """Running jobs that this worker will not end wait again, as if never begun."""
        ...

    async def beat(self, ids: Collection[str]) -> int:
        """A sign of life for the jobs *ids*, which are all that this worker runs; must come three times in a lease.

        Running jobs without such signs wait again, the attempt counted, because they may be what ended their worker;
        the fifth is the last. How many.
        """
        ...

    async def tidy(self) -> None:
        """Rows of jobs that ended well a day ago go, of failed ones after 30 days."""
        ...

    async def watch(self, woken: Callable[[], None]) -> None:
        """Calls *woken* soon after a commit that may bring work, until cancelled.

        A hint: behind a proxy that pools transactions PostgreSQL's LISTEN hears nothing, in silence.
        """
        ...

    async def close(self) -> None:
        """Ends the work; what this worker still holds is anybody's."""
        ...
