"""The ASGI application: one door for /v2, /api, and the pages of people and machines; one log line per request."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final

import msgspec
import structlog

from entrepot.errors import EntrepotError, InvalidError, LimitError
from entrepot.runtime.telemetry.families import METHODS
from entrepot.runtime.telemetry.metrics import Metrics
from entrepot.web.access_log import AccessLog
from entrepot.web.admission import Admission
from entrepot.web.asgi import Message, Receive, Scope, Send
from entrepot.web.errors import answer_for
from entrepot.web.limits.breaches import breach
from entrepot.web.limits.errors import BodyBrokenError, ReaderTooSlowError, TooManyRequestsError
from entrepot.web.ops import Ops
from entrepot.web.problem import MEDIA_TYPE, document
from entrepot.web.pull_times import measure, picked
from entrepot.web.request import ClientGoneError, Request
from entrepot.web.respond import CLOSE, AsgiApp, respond
from entrepot.web.services import Services
from entrepot.web.v2 import dispatch
from entrepot.web.v2.errors import JSON, respond_error

FAULT: Final = b'{"errors":[{"code":"UNKNOWN","message":"an error on our side; its id is in X-Request-Id"}]}'
FEEDS: Final = frozenset({"/api/v1/feeds", "/feeds/import"})

log = structlog.get_logger("web")


@dataclass(frozen=True, slots=True)
class App:
    """Serves requests.

    api: the management API; pages: all that people see; life: what runs beside the requests while the process lives.
    """

    services: Services
    ops: Ops
    api: AsgiApp
    pages: AsgiApp
    metrics: Metrics
    log: AccessLog
    life: Callable[[], AbstractAsyncContextManager[None]]
    admission: Admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Spec: ASGI 3.0."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(Request.of(scope, receive, send))

    async def _http(self, request: Request) -> None:
        try:
            await self._answer(request)
            await self.admission.linger(request)
        finally:
            self.admission.leave(request)

    async def _answer(self, request: Request) -> None:
        started = monotonic()
        request.times = picked()
        try:
            self.admission.check(request)
            await self._route(request)
        except ClientGoneError:
            if not request.status:
                # Chunks that can't be read look like a client that left, and that one does not mind an answer.
                await self._refuse(request, BodyBrokenError())
                request.status = 499
        except EntrepotError as error:
            if not request.status:
                await self._refuse(request, error)
                return
            request.error = type(error)
            # The answer had begun: all that is left is to break off, so that nobody takes it for whole.
            log.warning("request.broken_off", id=request.id, path=request.path, reason=error.message)
            if not isinstance(error, ReaderTooSlowError):  # what the client does is no fault to the server
                raise
        except Exception:
            log.exception("request.failed", id=request.id, method=request.method, path=request.path)
            if request.status:
                raise
            await respond(request, 500, [JSON], FAULT)
        finally:
            seconds = monotonic() - started
            self.metrics.answered(
                request.operation or _route_label(request.path),
                request.method if request.method in METHODS else "other",
                request.status,
                seconds,
                request.sent,
            )
            if request.times is not None and request.method in {"GET", "HEAD"}:
                measure(self.metrics, request.operation, request.status, request.times)
            if request.error is not None and (limit := breach(request.error)) is not None:
                self.metrics.breached(limit)
            self.log.add(request, seconds)

    async def _refuse(self, request: Request, error: EntrepotError) -> None:
        """Answers what was refused before, or beside, the registry and the API, as those would."""
        request.error = type(error)
        request.hang_up = not isinstance(error, TooManyRequestsError)
        if request.path.startswith(dispatch.PREFIX):
            await respond_error(request, self.services, error, "")
            return
        answer = answer_for(error)
        headers = [("content-type", MEDIA_TYPE)]
        if isinstance(error, LimitError) and error.retry_after_seconds is not None:
            headers.append(("retry-after", str(error.retry_after_seconds)))
        text = msgspec.json.encode(document(answer.api_status, error.message, answer.code, [], request.id))
        await respond(request, answer.api_status, headers, text)

    async def _route(self, request: Request) -> None:
        path = request.path
        if path.startswith(dispatch.PREFIX):
            if "authorization" not in request.headers:
                await self.admission.by_address(request)
            await dispatch.dispatch(request, self.services)
        elif path == "/v2":
            await respond(request, 308, [("location", dispatch.PREFIX)])
        elif path.startswith("/api/"):
            await self.admission.by_address(request)
            await self._framework(self.api, request)
        elif path == "/healthz":
            await self.ops.healthz(request)
        elif path == "/readyz":
            await self.ops.readyz(request)
        elif path == "/metrics":
            await self.ops.metrics(request)
        elif path.startswith("/"):
            await self.admission.by_address(request)
            await self._framework(self.pages, request)
        else:  # meant for a proxy, which we are none
            raise InvalidError("the target of a request here is a path that begins with /")

    async def _framework(self, app: AsgiApp, request: Request) -> None:
        """Hands over to *app*, made with the framework, and watches what it answers.

        The request goes along for identity and log.
        """

        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start":
                request.status = message["status"]
                more = [(b"x-request-id", request.id.encode()), *([CLOSE] if request.ends_connection() else [])]
                message = {**message, "headers": [*message["headers"], *more]}
            else:
                request.sent += len(message.get("body", b""))
            await request.send(message)

        # Feeds are streamed, under a limit of their own; of all else the framework gets what was read in time.
        receive = request.receive if request.path in FEEDS else await self._whole_body(request)
        request.scope["entrepot.request"] = request
        try:
            await app(request.scope, receive, watched)
        finally:
            del request.scope["entrepot.request"]

    async def _whole_body(self, request: Request) -> Receive:
        """Gives the request's body at once. Raises BodyTooLargeError, BodyTooSlowError, ClientGoneError."""
        body = await request.read(self.services.limits.api_body_bytes)
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            return pending.pop() if pending else await request.receive()

        return receive

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.life():
            await send({"type": "lifespan.startup.complete"})
            await receive()
        self.log.flush()
        await send({"type": "lifespan.shutdown.complete"})


def _route_label(path: str) -> str:
    if path.startswith(dispatch.PREFIX) or path == "/v2":
        return "token" if path == "/v2/auth" else "v2"
    if path.startswith("/api/"):
        return "api"
    return "ops" if path in {"/healthz", "/readyz", "/metrics"} else "pages"
