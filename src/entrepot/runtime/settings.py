"""Settings of the machinery: sections `database`, `jobs` and `telemetry`."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from entrepot.runtime.quantities import Count, Duration
from entrepot.runtime.secret import NOTHING, Secret


class LogLevel(StrEnum):
    """The least severe line that is still written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Where rows are kept. The URL may hold a password, so it is a secret as a whole."""

    url: Annotated[Secret, "Database URL; empty: SQLite, file entrepot.db in the data folder."] = NOTHING
    pool: Annotated[Count, "Most connections for writing of one process, and for pulls, on PostgreSQL."] = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Jobs:
    """How a worker finds and keeps its jobs."""

    poll: Annotated[Duration, "How often a worker on SQLite looks for a new job; on PostgreSQL it is told."] = (
        timedelta(milliseconds=50)
    )
    lease: Annotated[Duration, "How long a job belongs to a worker that no longer says it is alive."] = timedelta(
        seconds=30
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What a process says about itself."""

    log_level: Annotated[LogLevel, "The least severe line written to the log."] = LogLevel.INFO
