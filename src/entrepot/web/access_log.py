"""One line of JSON on standard error for each request, written a few at a time.

A write per line lets go of the interpreter's lock, and takes longer than what the line says. What is lost by kill -9
is lines of the last moment; who pulled what is the audit log's to know, and that one waits for its write.
"""

import asyncio
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import msgspec

from entrepot.clock import Clock
from entrepot.web.request import Request

LONGEST_PATH: Final = 2_048
LONGEST_AGENT: Final = 200
PAUSE_SECONDS: Final = 0.02
AT_ONCE: Final = 64


class Line(msgspec.Struct):
    """A line of the log. ms: how long it took, in milliseconds; sent: bytes of the answer's body."""

    time: datetime
    level: str
    event: str
    id: str
    method: str
    path: str
    status: int
    ms: float
    sent: int
    client: str
    account: str
    agent: str


@dataclass(slots=True)
class AccessLog:
    """The lines of one process that are not written yet."""

    clock: Clock
    _lines: list[bytes] = field(default_factory=list)
    _encoder: msgspec.json.Encoder = field(default_factory=msgspec.json.Encoder)

    def add(self, request: Request, seconds: float) -> None:
        """*request* was answered in *seconds*."""
        line = Line(
            self.clock.now(),
            "info",
            "request",
            request.id,
            request.method,
            request.path[:LONGEST_PATH],
            request.status,
            round(seconds * 1000, 2),
            request.sent,
            request.client,
            request.principal.actor.name if request.principal else "",
            request.headers.get("user-agent", "")[:LONGEST_AGENT],
        )
        self._lines.append(self._encoder.encode(line))
        if len(self._lines) == 1:
            asyncio.get_running_loop().call_later(PAUSE_SECONDS, self.flush)
        elif len(self._lines) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Every line is written."""
        if not self._lines:
            return
        text = b"\n".join([*self._lines, b""])
        self._lines.clear()
        sys.stderr.buffer.write(text)
        sys.stderr.buffer.flush()
