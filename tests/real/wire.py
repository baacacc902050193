"""A line between a client and a server that breaks: bytes go through as they are until it does."""

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

CHUNK_BYTES: Final = 1 << 16


@dataclass(slots=True)
class CuttingWire:
    """Listens at *port* for what is meant for *upstream*, a port of the loopback address.

    The first *times* connections whose answers grow beyond *after_bytes* are cut there, without a farewell.
    *requests*: what clients sent; *sent_down*: bytes of answers that reached them.
    """

    upstream: int
    after_bytes: int
    times: int
    cuts: int = 0
    sent_down: int = 0
    requests: list[bytes] = field(default_factory=list)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def port(self) -> int:
        """Where clients connect to."""
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._begin(self._accept)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for each in (self._listener, *self._open):
            _hang_up(each)
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
                self._open += [client, server]
                self._begin(self._up, client, server)
                self._begin(self._down, client, server)

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(CHUNK_BYTES):
                self.requests.append(data)
                server.sendall(data)
        _hang_up(server)

    def _down(self, client: socket.socket, server: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := server.recv(CHUNK_BYTES):
                client.sendall(data)
                passed += len(data)
                with self._lock:
                    self.sent_down += len(data)
                    if passed > self.after_bytes and self.cuts < self.times:
                        self.cuts += 1
                        break
        _hang_up(client)
        _hang_up(server)

    def _begin(self, target: object, *arguments: socket.socket) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
    line.close()
