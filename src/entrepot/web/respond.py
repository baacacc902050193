"""Sends responses: small ones at once, large ones in pieces."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from functools import lru_cache
from time import monotonic
from typing import Final

from entrepot.web.asgi import Receive, Scope, Send
from entrepot.web.limits.errors import ReaderTooSlowError
from entrepot.web.request import ClientGoneError, Request

Headers = list[tuple[str, str]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
CLOSE: Final = (b"connection", b"close")
# Pushed bytes share the origin of everything else: no browser may take them for a page.
ALWAYS: Final = ((b"docker-distribution-api-version", b"registry/2.0"), (b"x-content-type-options", b"nosniff"))


@lru_cache(maxsize=2048)
def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    """A header as it is sent. Those of what many pull are the same each time."""
    return name.encode("latin-1"), value.encode("latin-1", "replace")


async def start(request: Request, status: int, headers: Headers) -> None:
    """The status line and headers go out; whoever calls sends the body."""
    request.status = status
    if request.times is not None:
        request.times.begun = monotonic()
    lines = [*ALWAYS, (b"x-request-id", request.id.encode())]
    lines += [_encoded(name, value) for name, value in headers]
    if request.ends_connection():
        lines.append(CLOSE)
    await request.send({"type": "http.response.start", "status": status, "headers": lines})


async def respond(request: Request, status: int, headers: Headers, body: bytes = b"") -> None:
    """A whole response; its length is announced. On HEAD the body stays here."""
    if status not in {204, 304} and not any(name == "content-length" for name, _ in headers):
        headers = [*headers, ("content-length", str(len(body)))]
    await start(request, status, headers)
    body = b"" if request.method == "HEAD" else body
    request.sent += len(body)
    await request.send({"type": "http.response.body", "body": body})


async def respond_pieces(
    request: Request,
    status: int,
    headers: Headers,
    length: int,
    pieces: AsyncGenerator[bytes, None],
    patience: timedelta,
) -> None:
    """*length* bytes that come in *pieces*, which are closed at once when the client leaves.

    Raises ClientGoneError, ReaderTooSlowError: the client took no piece for as long as *patience*.
    """
    seconds = patience.total_seconds()
    # The server takes pieces for a client that has left as it took them before, and says so only to who asks.
    left = asyncio.ensure_future(_disconnected(request))
    try:
        async with aclosing(pieces):
            await start(request, status, [*headers, ("content-length", str(length))])
            async for piece in pieces:
                if left.done():
                    raise ClientGoneError
                request.sent += len(piece)
                try:
                    async with asyncio.timeout(seconds):
                        await request.send({"type": "http.response.body", "body": piece, "more_body": True})
                except TimeoutError:
                    raise ReaderTooSlowError(seconds) from None
            await request.send({"type": "http.response.body", "body": b""})
    finally:
        left.cancel()


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
