"""Jobs: work to do, as a value. A job runs at least once, so what runs it must be idempotent."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final

import msgspec

VERDICT: Final = "verdict"
LAYER: Final = "layer"
FEED: Final = "feed"

# How many jobs of a queue run at once; `layer` follows the number of analysers instead.
CONCURRENCY: Final = {VERDICT: 4, LAYER: 2, FEED: 1}


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
