"""Jobs: work to do, as a value. A job runs at least once, so what runs it must be idempotent."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import msgspec

from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing

VERDICT: Final = "verdict"
LAYER: Final = "layer"
FEED: Final = "feed"
LIFECYCLE: Final = "lifecycle"

# How many jobs of a queue run at once; `layer` follows the number of analysers instead.
CONCURRENCY: Final = {VERDICT: 4, LAYER: 2, FEED: 1, LIFECYCLE: 3}

JOBS: Final = Listing(
    {
        "id": Field(Kind.TEXT),
        "name": Field(Kind.TEXT, sorts=False),
        "state": Field(Kind.TEXT, sorts=False),
        "queue": Field(Kind.TEXT, sorts=False),
        "attempts": Field(Kind.NUMBER, sorts=False),
        "created_at": Field(Kind.INSTANT, sorts=False),
        "started_at": Field(Kind.INSTANT, optional=True, sorts=False),
        "finished_at": Field(Kind.INSTANT, optional=True, sorts=False),
        "error": Field(Kind.TEXT, sorts=False),
    },
    key="id",
    default="-id",
)
"""What a list of jobs can be asked for."""

MAX_ATTEMPTS: Final = 5
KEEP_DONE: Final = timedelta(days=1)
KEEP_FAILED: Final = timedelta(days=30)
MAX_PAGE: Final = 1_000
MAX_ERROR: Final = 1_000
GONE: Final = "no such job; ended ones are kept for a day, failed ones for 30"
GIVEN_UP: Final = "each time its worker ended before it did"


@dataclass(frozen=True, slots=True)
class Job:
    """Work named NAME on queue QUEUE. Fields are plain text and numbers: ids, never state.

    PRIORITY: lower runs first. TIMEOUT: after it the job is cancelled and counts as failed once.
    """

    NAME: ClassVar[str]
    QUEUE: ClassVar[str]
    PRIORITY: ClassVar[int] = 5
    TIMEOUT: ClassVar[timedelta] = timedelta(seconds=60)

    def args(self) -> str:
        """The fields as JSON with sorted keys."""
        return msgspec.json.encode(asdict(self), order="sorted").decode()

    def dedup(self) -> str:
        """Equal for jobs of which one waiting is enough."""
        return f"{self.NAME} {self.args()}"


Handler = Callable[[Any], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Task:
    """What runs a kind of job: its type and an idempotent function of one."""

    job: type[Job]
    run: Handler


@dataclass(frozen=True, slots=True)
class Taken:
    """A job a worker has taken: its row's id, kind, arguments and how often it was begun, this time included."""

    id: str
    name: str
    args: str
    attempts: int


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job as people see it. id: 26 digits or letters that sort by age; state: waiting, running, done, failed."""

    id: str
    name: str
    args: str
    state: str
    queue: str
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str


def back_off(attempts: int) -> timedelta:
    """How long a job waits after it failed for the *attempts*th time: 1, 4, 16, 64 s."""
    return timedelta(seconds=4 ** (attempts - 1))
