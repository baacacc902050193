"""A proxy before an S3 server that goes wrong on purpose: at chosen requests, in one chosen way, so and so many times.

Real TCP and real HTTP/1.1, so that the client library's own reading and retrying is what is tested.
"""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Final
from urllib.parse import parse_qs, urlsplit

HEAD_END: Final = b"\r\n\r\n"
ERROR: Final = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>{}</Message></Error>'


class Operation(Enum):
    """What a request asks of an S3 server."""

    PUT = "PutObject"
    CREATE = "CreateMultipartUpload"
    PART = "UploadPart"
    COMPLETE = "CompleteMultipartUpload"
    HEAD = "HeadObject"
    GET = "GetObject"
    RANGE = "GetObject, a range"
    DELETE = "DeleteObjects"
    LIST = "ListObjects"


class Fault(Enum):
    """How it goes wrong."""

    ERROR = "500"
    SLOW_DOWN = "503 SlowDown"
    STALL = "no answer"
    RESET = "a reset before anything is done"
    TRUNCATED = "half an answer"
    GARBLED = "another ETag, or a document that is none"
    EXPIRED = "expired credentials"
    LOST = "done, but the answer is lost"
    STALE = "the state before"
    DOUBLED = "done twice"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came: its method, its target, and all its bytes."""

    method: str
    target: str
    raw: bytes

    @property
    def operation(self) -> Operation | None:
        """What it is; None if it is none of these."""
        parts = urlsplit(self.target)
        query = parse_qs(parts.query, keep_blank_values=True)
        has_key = parts.path.count("/") > 1 and not parts.path.endswith("/")
        match self.method:
            case "PUT":
                return Operation.PART if "partNumber" in query else Operation.PUT if has_key else None
            case "POST" if "uploads" in query:
                return Operation.CREATE
            case "POST" if "uploadId" in query:
                return Operation.COMPLETE
            case "POST" if "delete" in query:
                return Operation.DELETE
            case "HEAD":
                return Operation.HEAD
            case "GET" if "list-type" in query:
                return Operation.LIST
            case "GET" if has_key:
                return Operation.RANGE if re.search(rb"\r\nrange:", self.raw, re.IGNORECASE) else Operation.GET
            case _:
                return None


@dataclass(slots=True)
class FaultyProxy:
    """Passes all on to the server at *upstream*, but for the next *left* requests of *operation*.

    hit: how many went wrong so far.
    """

    upstream: str
    endpoint: str = ""
    operation: Operation | None = None
    fault: Fault | None = None
    left: int = 0
    hit: int = 0
    _stalled: asyncio.Event = field(default_factory=asyncio.Event)
    _connections: set[asyncio.Task[None]] = field(default_factory=set)

    def go_wrong(self, operation: Operation, fault: Fault, times: int) -> None:
        """The next *times* requests of *operation* meet *fault*."""
        self.operation, self.fault, self.left, self.hit = operation, fault, times, 0

    def recover(self) -> None:
        """From now on all is well."""
        self.left = 0
        self._stalled.set()
        self._stalled = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the client."""
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            while (asked := await _request(reader)) is not None and await self._answer(asked, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test has ended
        finally:
            self._connections.discard(task)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        """Answers, or not; whether the connection goes on."""
        if self.left and asked.operation is self.operation and self.fault is not None:
            self.left -= 1
            self.hit += 1
            return await FAULTS[self.fault](self, asked, writer)
        writer.write(await self.pass_on(asked))
        await writer.drain()
        return True

    async def pass_on(self, asked: Asked) -> bytes:
        """What the server answers."""
        parts = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(asked.raw)
            await writer.drain()
            head = await reader.readuntil(HEAD_END)
            length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
            if asked.method == "HEAD" or head.split()[1] in {b"204", b"304"}:
                return head
            if length is not None:
                return head + await reader.readexactly(int(length[1]))
            if b"transfer-encoding: chunked" in head.lower():
                return head + await _chunked(reader)
            return head + await reader.read()
        finally:
            writer.close()

    async def close(self) -> None:
        """Every connection ends."""
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections)

    async def stall(self) -> None:
        """Waits until all is well again."""
        await self._stalled.wait()


Behave = Callable[[FaultyProxy, Asked, asyncio.StreamWriter], Awaitable[bool]]


def refuse(status: str, code: str) -> Behave:
    """Answers *status* with the S3 error *code*, and does nothing."""

    async def behave(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        del proxy
        body = b"" if asked.method == "HEAD" else ERROR.format(code, "on purpose").encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        return True

    return behave


async def stall(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Says nothing, for as long as it goes wrong."""
    del asked, writer
    await proxy.stall()
    return False


async def reset(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Resets the connection before anything is done."""
    del proxy, asked
    raw: socket.socket = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def truncate(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Does it, and sends half of the answer."""
    answer = await proxy.pass_on(asked)
    writer.write(answer[: len(answer) // 2])
    await writer.drain()
    return False


async def garble(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Does it, and answers with another ETag and, where the body is a document, with one that can't be read."""
    head, _, body = (await proxy.pass_on(asked)).partition(HEAD_END)
    head = re.sub(rb"(\r\netag: *)[^\r]*", rb'\1"00000000000000000000000000000000"', head, flags=re.IGNORECASE)
    if body.startswith(b"<"):
        body = b"?" * len(body)
    writer.write(head + HEAD_END + body)
    await writer.drain()
    return True


async def lose(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Does it, and answers nothing."""
    del writer
    await proxy.pass_on(asked)
    return False


async def stale(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Answers as if what is there were not: an empty list, or 404. What changes something is not done."""
    if asked.operation is not Operation.LIST:
        return await refuse("404 Not Found", "NoSuchKey")(proxy, asked, writer)
    body = b"<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>0</KeyCount></ListBucketResult>"
    writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    await writer.drain()
    return True


async def double(proxy: FaultyProxy, asked: Asked, writer: asyncio.StreamWriter) -> bool:
    """Does it twice, and gives the second answer."""
    await proxy.pass_on(asked)
    writer.write(await proxy.pass_on(asked))
    await writer.drain()
    return True


FAULTS: Final[dict[Fault, Behave]] = {
    Fault.ERROR: refuse("500 Internal Server Error", "InternalError"),
    Fault.SLOW_DOWN: refuse("503 Slow Down", "SlowDown"),
    Fault.STALL: stall,
    Fault.RESET: reset,
    Fault.TRUNCATED: truncate,
    Fault.GARBLED: garble,
    Fault.EXPIRED: refuse("403 Forbidden", "ExpiredToken"),
    Fault.LOST: lose,
    Fault.STALE: stale,
    Fault.DOUBLED: double,
}


@asynccontextmanager
async def faulty_proxy(upstream: str) -> AsyncIterator[FaultyProxy]:
    """A proxy before *upstream*, in this event loop."""
    proxy = FaultyProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0, limit=1 << 20)
    proxy.endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    """The next request of a connection; None at its end."""
    try:
        head = await reader.readuntil(HEAD_END)
    except asyncio.IncompleteReadError:
        return None
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    body = await reader.readexactly(int(length[1])) if length else b""
    method, target, _ = head.split(b" ", 2)
    return Asked(method.decode(), target.decode(), head + body)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    """A chunked body as it came."""
    read = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        chunk = await reader.readexactly(int(line, 16) + 2)
        read += line + chunk
        if line == b"0\r\n":
            return read
