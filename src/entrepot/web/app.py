"""The ASGI application: one door for /v2, /api, and the pages of machines; one log line and one count per request."""

import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import msgspec
import structlog

from entrepot.clock import Clock
from entrepot.errors import EntrepotError
from entrepot.runtime.telemetry.metrics import Metrics
from entrepot.web.errors import answer_for
from entrepot.web.ops import Ops
from entrepot.web.problem import MEDIA_TYPE, document
from entrepot.web.request import ClientGoneError, Message, Receive, Request, Scope, Send
from entrepot.web.respond import AsgiApp, respond
from entrepot.web.services import Services
from entrepot.web.v2 import dispatch
from entrepot.web.v2.errors import JSON

NOT_FOUND: Final = b'{"errors":[{"code":"NAME_UNKNOWN","message":"nothing is here; the registry is at /v2/"}]}'
FAULT: Final = b'{"errors":[{"code":"UNKNOWN","message":"an error on our side; its id is in X-Request-Id"}]}'
FEEDS: Final = "/api/v1/feeds"
METHODS: Final = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"})

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class App:
    """Serves requests. api: the management API; life: what runs beside the requests while the process lives."""

    services: Services
    ops: Ops
    api: AsgiApp
    metrics: Metrics
    clock: Clock
    life: Callable[[], AbstractAsyncContextManager[None]]
    quiet: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spec: ASGI 3.0."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(Request.of(scope, receive, send))

    async def _http(self, request: Request) -> None:
        started = monotonic()
        try:
            await self._route(request)
        except ClientGoneError:
            request.status = request.status or 499
        except EntrepotError as error:
            # The answer had begun: all that is left is to break off, so that nobody takes it for whole.
            log.warning("request.broken_off", id=request.id, path=request.path, reason=error.message)
            raise
        except Exception:
            log.exception("request.failed", id=request.id, method=request.method, path=request.path)
            if request.status:
                raise
            await respond(request, 500, [JSON], FAULT)
        finally:
            seconds = monotonic() - started
            self.metrics.answered(
                _route_label(request.path),
                request.method if request.method in METHODS else "other",
                request.status,
                seconds,
                request.sent,
            )
            if not self.quiet:
                self._log(request, seconds)

    async def _route(self, request: Request) -> None:
        path = request.path
        if path.startswith(dispatch.PREFIX):
            await dispatch.dispatch(request, self.services)
        elif path == "/v2":
            await respond(request, 308, [("location", dispatch.PREFIX)])
        elif path.startswith("/api/"):
            await self._api(request)
        elif path == "/healthz":
            await self.ops.healthz(request)
        elif path == "/readyz":
            await self.ops.readyz(request)
        elif path == "/metrics":
            await self.ops.metrics(request)
        else:
            await respond(request, 404, [JSON], NOT_FOUND)

    async def _api(self, request: Request) -> None:
        """Hands over to the framework, and watches what it answers. The request goes along for identity and log."""

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                message = {**message, "headers": [*message["headers"], (b"x-request-id", request.id.encode())]}
            else:
                request.sent += len(message.get("body", b""))
            await request.send(message)

        request.scope["entrepot.request"] = request
        # Feeds are streamed, under a limit of their own; of all else the framework gets what was read in time.
        receive = request.receive if request.path == FEEDS else await self._whole_body(request)
        if receive is not None:
            await self.api(request.scope, receive, watched)

    async def _whole_body(self, request: Request) -> Receive | None:
        """Gives the request's body at once; None if it was too large, and that was answered."""
        try:
            body = await request.read(self.services.limits.api_body_bytes)
        except EntrepotError as error:
            answer = answer_for(error)
            text = msgspec.json.encode(document(answer.api_status, error.message, answer.code, [], request.id))
            await respond(request, answer.api_status, [("content-type", MEDIA_TYPE)], text)
            return None
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return pending.pop() if pending else await request.receive()

        return receive

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.life():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    def _log(self, request: Request, seconds: float) -> None:
        line = {
            "time": self.clock.now().isoformat(),
            "level": "info",
            "event": "request",
            "id": request.id,
            "method": request.method,
            "path": request.path,
            "status": request.status,
            "ms": round(seconds * 1000, 2),
            "sent": request.sent,
            "client": request.client,
            "account": request.principal.actor.name if request.principal else "",
            "agent": request.headers.get("user-agent", "")[:200],
        }
        sys.stderr.buffer.write(msgspec.json.encode(line) + b"\n")
        sys.stderr.buffer.flush()


def _route_label(path: str) -> str:
    if path.startswith(dispatch.PREFIX):
        if path == "/v2/auth":
            return "token"
        found = dispatch.route(path[len(dispatch.PREFIX) :])
        return found.operation if found else "v2"
    if path.startswith("/api/"):
        return "api"
    return "ops" if path in {"/healthz", "/readyz", "/metrics"} else "other"
