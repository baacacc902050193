"""The log: one JSON object per line on standard error, of our own events and of the libraries' alike."""

import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

from entrepot.runtime.secret import HIDDEN, Secret

SECRET_WORDS: Final = ("password", "passwd", "secret", "token", "authorization", "credential", "cookie")
"""A key that holds one of these words has its value hidden, numbers aside: a count of tokens is no token."""


def configure(level: str) -> None:
    """Sets up logging for this process. *level*: `debug`, `info`, `warning` or `error`.

    A line has `time` (ISO 8601, UTC), `level`, `event` and the event's own keys; an error its traceback as
    `exception`. Lines of the standard library's loggers get the same form, with their name as `logger`.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.format_exc_info,
        redact,
    ]
    render = structlog.processors.JSONRenderer(default=repr)
    structlog.configure(
        processors=[*shared, _in_order, render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _in_order, render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    # Alembic tells of its own set-up, at each start.
    logging.getLogger("alembic").setLevel(max(number, logging.WARNING))


def redact(logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
    """Hides the value of every key that sounds secret, also inside mappings and lists: a structlog processor."""
    del logger, name
    return {key: _hidden(key, value) for key, value in line.items()}


def _in_order(logger: WrappedLogger, name: str, line: EventDict) -> EventDict:
    del logger, name
    return {key: line.pop(key) for key in ("time", "level", "event") if key in line} | dict(line)


def _hidden(key: str, value: object) -> object:
    if isinstance(value, Secret):
        return HIDDEN
    if value and not isinstance(value, int | float) and any(word in key.lower() for word in SECRET_WORDS):
        return HIDDEN
    if isinstance(value, Mapping):
        return {inner: _hidden(str(inner), item) for inner, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_hidden("", item) for item in value]
    return value
