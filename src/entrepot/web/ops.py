"""`/healthz`, `/readyz`, `/metrics`: for machines that watch, without login, and without anything secret."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from entrepot.errors import EntrepotError
from entrepot.runtime.hot import HotReader, Statement
from entrepot.runtime.telemetry.families import Reading
from entrepot.runtime.telemetry.metrics import exposition
from entrepot.web.request import Request
from entrepot.web.respond import respond

TEXT: Final = ("content-type", "text/plain; charset=utf-8")
ALIVE: Final = Statement("SELECT 1 FROM project LIMIT 1")


@dataclass(frozen=True, slots=True)
class Ops:
    """draining: whether the server is about to stop; metrics_folder: where all processes keep their metrics;
    readings: what is measured for a scrape.
    """

    hot: HotReader
    draining: Callable[[], bool]
    metrics_folder: str
    readings: Callable[[], Awaitable[Sequence[Reading]]]

    async def healthz(self, request: Request) -> None:
        """200: this process runs."""
        await respond(request, 200, [TEXT], b"ok\n")

    async def readyz(self, request: Request) -> None:
        """200: it can serve; 503 while it stops, or when the database does not answer."""
        if self.draining():
            await respond(request, 503, [TEXT], b"draining\n")
            return
        try:
            await self.hot.one(ALIVE, {})
        except EntrepotError as error:
            await respond(request, 503, [TEXT], f"{error.message}\n".encode())
            return
        await respond(request, 200, [TEXT], b"ready\n")

    async def metrics(self, request: Request) -> None:
        """Everything counted, in the Prometheus text format."""
        body = await asyncio.to_thread(exposition, self.metrics_folder, await self.readings())
        await respond(request, 200, [("content-type", "text/plain; version=0.0.4; charset=utf-8")], body)
