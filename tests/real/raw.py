"""HTTP byte for byte: what a client that keeps no rules sends, and what comes back on the same connection."""

import contextlib
import json
import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Self

SECONDS: Final = 8.0
PIECE: Final = 65536


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer: status, headers by lower-case name, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def closes(self) -> bool:
        """Whether it says that the connection ends."""
        return self.headers.get("connection", "").lower() == "close"


@dataclass(slots=True)
class Wire:
    """A connection to 127.0.0.1:*port*."""

    port: int
    seconds: float = SECONDS
    line: socket.socket = field(init=False)
    received: bytes = b""

    def __post_init__(self) -> None:
        self.line = socket.create_connection(("127.0.0.1", self.port), self.seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def send(self, data: bytes) -> bool:
        """Sends all of *data*; False if the server hung up meanwhile."""
        try:
            self.line.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def drip(self, data: bytes, pause: float) -> bool:
        """Sends *data* a byte at a time; False as soon as the server answers or hangs up."""
        self.line.settimeout(pause)
        try:
            for byte in data:
                self.line.sendall(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    self.received += self.line.recv(PIECE)
                    return False
        except (BrokenPipeError, ConnectionResetError):
            return False
        finally:
            self.line.settimeout(self.seconds)
        return True

    def reply(self, *, head: bool = False) -> Reply:
        """The next answer; *head*: it is one to HEAD, without a body. Raises EOFError: the server hung up."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        top, _, self.received = self.received.partition(b"\r\n\r\n")
        line, *lines = top.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
        status = int(line.split(" ")[1])
        size = 0 if head or status < 200 or status in {204, 304} else int(headers["content-length"])
        while len(self.received) < size:
            self._more()
        body, self.received = self.received[:size], self.received[size:]
        return Reply(status, headers, body)

    def replies(self) -> list[Reply]:
        """All further answers, until the server hangs up. Raises TimeoutError: it does not."""
        found = []
        with contextlib.suppress(EOFError):
            while True:
                found.append(self.reply())
        assert self.received == b""
        return found

    def is_open(self, seconds: float = 0.3) -> bool:
        """Whether the server keeps the connection, and says nothing, for *seconds*."""
        self.line.settimeout(seconds)
        try:
            self._more()
        except TimeoutError:
            return True
        except EOFError:
            return False
        finally:
            self.line.settimeout(self.seconds)
        raise AssertionError(f"it said more: {self.received!r}")

    def closed_after(self) -> float:
        """Seconds until the server hangs up, saying nothing."""
        began = time.monotonic()
        with contextlib.suppress(EOFError):
            self._more()
            raise AssertionError(f"it said: {self.received!r}")
        return time.monotonic() - began

    def reset(self) -> None:
        """Hangs up as a crashed client does: with RST."""
        self.line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.line.close()

    def _more(self) -> None:
        try:
            piece = self.line.recv(PIECE)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise EOFError
        self.received += piece


def request(
    method: str,
    target: str,
    *headers: str,
    body: bytes = b"",
    version: str = "HTTP/1.1",
    host: str = "registry.example",
) -> bytes:
    """A request as text, with a Host and exactly *headers*."""
    lines = [f"{method} {target} {version}", *([f"Host: {host}"] if host else []), *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def chunked(*pieces: bytes) -> bytes:
    """*pieces* as chunks, with the last one."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


@contextlib.contextmanager
def wires(port: int, count: int) -> Iterator[list[Wire]]:
    """*count* connections at once."""
    made = [Wire(port) for _ in range(count)]
    try:
        yield made
    finally:
        for each in made:
            each.line.close()
