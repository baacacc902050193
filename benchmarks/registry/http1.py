"""A small HTTP/1.1 client on blocking sockets, for load: it sends files by the kernel and reads into one buffer.

It does as little as it can, so that what is measured is the server. Spec: RFC 9112.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

READ_BYTES: Final = 256 * 1024
TIMEOUT_SECONDS: Final = 120
MAX_HEAD: Final = 64 * 1024


class HttpError(Exception):
    """The server broke the protocol, or answered another status than the one that was expected."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes to send: *head*, then *count* bytes from the start of *file*, then *tail*."""

    head: bytes
    file: Path | None = None
    count: int = 0
    tail: bytes = b""

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self.head) + self.count + len(self.tail)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. *body* is empty where it was not kept; *length* counts its bytes all the same."""

    status: int
    headers: Mapping[str, str]
    length: int
    body: bytes = b""


@dataclass(slots=True)
class Connection:
    """One connection that is kept alive, and opened again when the server closed it."""

    address: Address
    _socket: socket.socket | None = None
    _buffer: bytearray = field(default_factory=lambda: bytearray(READ_BYTES))
    _rest: bytes = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """The connection is closed; the next request opens another."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._rest = None, b""

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], part: Part | None = None, *, keep: bool = False
    ) -> Answer:
        """The answer to one request. *keep*: the body is kept. Raises HttpError, OSError."""
        if self._socket is None:
            self._socket = socket.create_connection((self.address.host, self.address.port), TIMEOUT_SECONDS)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.address}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value]
        if part is not None or method in {"POST", "PUT", "PATCH"}:
            lines.append(f"Content-Length: {part.size if part else 0}")
        head = "\r\n".join(lines).encode() + b"\r\n\r\n"
        try:
            self._send(self._socket, head, part)
            answer = self._receive(self._socket, method, keep=keep)
        except (OSError, HttpError):
            self.close()
            raise
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer

    def expect(
        self,
        status: int,
        method: str,
        target: str,
        headers: Mapping[str, str],
        part: Part | None = None,
        *,
        keep: bool = False,
    ) -> Answer:
        """As `ask`. Raises HttpError if the status is not *status*."""
        answer = self.ask(method, target, headers, part, keep=keep)
        if answer.status != status:
            raise HttpError(f"{method} {target}: {answer.status}, not {status} {answer.body[:300]!r}")
        return answer

    @staticmethod
    def _send(sock: socket.socket, head: bytes, part: Part | None) -> None:
        if part is None:
            sock.sendall(head)
            return
        sock.sendall(head + part.head)
        if part.file is not None:
            with part.file.open("rb", 0) as file:
                sock.sendfile(file, 0, part.count)
        if part.tail:
            sock.sendall(part.tail)

    def _receive(self, sock: socket.socket, method: str, *, keep: bool) -> Answer:
        status, headers = self._head(sock)
        while 100 <= status < 200:
            status, headers = self._head(sock)
        if method == "HEAD" or status in {204, 304}:
            return Answer(status, headers, 0)
        keep = keep or status >= 400
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = self._chunks(sock)
            return Answer(status, headers, len(body), body if keep else b"")
        if "content-length" not in headers:
            raise HttpError("an answer without a length")
        length = int(headers["content-length"])
        return Answer(status, headers, length, self._body(sock, length, keep=keep))

    def _head(self, sock: socket.socket) -> tuple[int, dict[str, str]]:
        while (end := self._rest.find(b"\r\n\r\n")) < 0:
            if len(self._rest) > MAX_HEAD:
                raise HttpError("an answer with endless headers")
            self._rest += self._more(sock)
        text, self._rest = self._rest[:end].decode("latin-1"), self._rest[end + 4 :]
        first, *lines = text.split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(first.split(" ", 2)[1]), headers

    def _more(self, sock: socket.socket) -> bytes:
        count = sock.recv_into(self._buffer)
        if not count:
            raise HttpError("the server hung up")
        return bytes(memoryview(self._buffer)[:count])

    def _body(self, sock: socket.socket, length: int, *, keep: bool) -> bytes:
        kept = [self._rest[:length]] if keep else []
        left = length - len(self._rest[:length])
        self._rest = self._rest[length:]
        view = memoryview(self._buffer)
        while left:
            count = sock.recv_into(view, min(left, READ_BYTES))
            if not count:
                raise HttpError(f"the server hung up {left} bytes before the end of {length}")
            left -= count
            if keep:
                kept.append(bytes(view[:count]))
        return b"".join(kept)

    def _chunks(self, sock: socket.socket) -> bytes:
        body = bytearray()
        while True:
            size = int(self._line(sock).partition(b";")[0], 16)
            body += self._body(sock, size, keep=True)
            if self._line(sock) or not size:
                return bytes(body)

    def _line(self, sock: socket.socket) -> bytes:
        while (end := self._rest.find(b"\r\n")) < 0:
            self._rest += self._more(sock)
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line


def write_part(part: Part, target: Path) -> None:
    """*part* as the new file *target*."""
    with target.open("wb") as file:
        file.write(part.head)
        if part.file is not None:
            with part.file.open("rb") as source:
                file.flush()
                left = part.count
                while left:
                    left -= os.sendfile(file.fileno(), source.fileno(), part.count - left, left)
            file.seek(0, os.SEEK_END)
        file.write(part.tail)
