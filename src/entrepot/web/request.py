"""A request as our own code sees it: parsed once, no framework."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl

from entrepot.access.model import Principal
from entrepot.content.errors import BodyTooLargeError
from entrepot.errors import EntrepotError, InvalidError
from entrepot.ids import ulid
from entrepot.runtime.events.model import Actor
from entrepot.web.asgi import Message, Receive, Scope, Send
from entrepot.web.limits.body import Incoming
from entrepot.web.limits.turns import Who
from entrepot.web.pull_times import PullTimes

MAX_QUERY_FIELDS: Final = 300


class ClientGoneError(Exception):
    """The client closed the connection before its request was read. There is nobody to answer."""


@dataclass(slots=True)
class Request:
    """An HTTP request. path: raw, as sent, without the query; headers: by lower-case name, the last of each.

    What is learned while it is served is noted here for the log: *principal*, *status*, *sent* (bytes of body), *error*
    (the kind of what was answered instead: the error itself would hold on to the request by its traceback).
    about: the project or repository it turned out to be about; operation: what of /v2 it asks for; times: if it was
    picked to be measured; incoming: its body, if it has one; turn: whose turn it has; hang_up: the connection ends with
    the answer.
    """

    scope: Scope
    receive: Receive
    send: Send
    method: str
    path: str
    headers: dict[str, str]
    client: str
    id: str = field(default_factory=ulid)
    principal: Principal | None = None
    about: str = ""
    operation: str = ""
    status: int = 0
    sent: int = 0
    error: type[EntrepotError] | None = None
    incoming: Incoming | None = None
    turn: Who | None = None
    times: PullTimes | None = None
    hang_up: bool = False

    @classmethod
    def of(cls, scope: Scope, receive: Receive, send: Send) -> "Request":
        """The request of an ASGI *scope*. Spec: ASGI, HTTP connection scope."""
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        raw = scope.get("raw_path") or scope["path"].encode()
        client = scope.get("client")
        path = raw.partition(b"?")[0].decode("latin-1")
        return cls(scope, receive, send, scope["method"], path, headers, client[0] if client else "")

    def query(self) -> list[tuple[str, str]]:
        """The query's fields, in order. Raises InvalidError: more than 300."""
        try:
            text = self.scope["query_string"].decode("latin-1")
            return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_QUERY_FIELDS)
        except ValueError:
            raise InvalidError(f"more than {MAX_QUERY_FIELDS} query fields") from None

    def query_value(self, name: str) -> str | None:
        """The first value of the query's field *name*."""
        return next((value for key, value in self.query() if key == name), None)

    def actor(self) -> Actor:
        """Who asks, as far as it is known before any credential."""
        return Actor("", "anonymous", None, "", self.client, self.agent(), self.id)

    def agent(self) -> str:
        """What the client calls itself."""
        return self.headers.get("user-agent", "")[:512]

    def length(self) -> int | None:
        """Content-Length; None if the body's length was not announced. Raises InvalidError."""
        text = self.headers.get("content-length")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            raise InvalidError("Content-Length is not a number", "Content-Length")
        return int(text)

    def let_go(self) -> None:
        """Gives up the connection. The server keeps it while anybody could still read the rest of a body from it, be it
        only an object in a cycle that waits to be collected.
        """
        if self.incoming is not None:
            self.incoming.close()
            self.send = _nobody

    def ends_connection(self) -> bool:
        """Whether the connection ends with the answer: it is told to, or the rest of the body stands in the way."""
        return self.hang_up or (self.incoming is not None and not self.incoming.whole)

    def has_body(self) -> bool:
        """Whether a body was announced."""
        return bool(self.length()) or "transfer-encoding" in self.headers

    async def body(self) -> AsyncIterator[bytes]:
        """The body, in pieces as they come. Raises ClientGoneError."""
        while True:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            piece = message.get("body", b"")
            if piece:
                yield piece
            if not message.get("more_body", False):
                return

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises BodyTooLargeError over *limit* bytes, ClientGoneError."""
        if (self.length() or 0) > limit:
            raise BodyTooLargeError(limit)
        read = bytearray()
        async for piece in self.body():
            if len(read) + len(piece) > limit:
                raise BodyTooLargeError(limit)
            read += piece
        return bytes(read)


async def _nobody(message: Message) -> None:
    del message
