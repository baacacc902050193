"""POST with an `Idempotency-Key`: carried out once, answered as often as it is sent. Design: product.md, section 4.

Only what succeeded is kept: a request that was refused changed nothing, and a retry may fare better. An answer with
`Cache-Control: no-store` shows a secret and is never kept.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Annotated, Any, Final

from fastapi import Depends, Header
from fastapi.routing import APIRoute
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import Scope

from entrepot.runtime.idempotency import Answer
from entrepot.runtime.uninterrupted import uninterrupted
from entrepot.web.api.context import context_of
from entrepot.web.request import Request

HEADER: Final = "Idempotency-Key"
KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
KEPT: Final = ("content-type", "etag", "link", "location")
STREAMED: Final = "/api/v1/feeds"
TEXT: Final = "Of the client's choice, up to 255 visible characters: the same within 24 h gets the same answer again."

Handler = Callable[[HttpRequest], Awaitable[Response]]


def _declared(
    key: Annotated[str | None, Header(alias=HEADER, pattern=f"^{KEY.pattern}$", description=TEXT)] = None,
) -> None:
    del key  # it was looked at before; here it stands for the description, and for its form


class KeyedRoute(APIRoute):
    """A route whose POST may be sent twice."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        if "POST" in (more.get("methods") or ()):
            more["dependencies"] = [*(more.get("dependencies") or ()), Depends(_declared)]
        super().__init__(path, endpoint, **more)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As the framework's, but a repository's name ends before the first `/-/`: behind it are other routes."""
        match, found = super().matches(scope)
        is_elsewhere = match is not Match.NONE and "/-/" in found.get("path_params", {}).get("name", "")
        return (Match.NONE, {}) if is_elsewhere else (match, found)

    def get_route_handler(self) -> Callable[[HttpRequest], Coroutine[Any, Any, Response]]:
        """As the framework's, once for each key."""
        handler = super().get_route_handler()
        if "POST" not in (self.methods or ()):
            return handler

        async def keyed(request: HttpRequest) -> Response:
            key = request.headers.get(HEADER, "")
            return await (_once(request, key, handler) if KEY.fullmatch(key) else handler(request))

        return keyed


async def _once(request: HttpRequest, key: str, handler: Handler) -> Response:
    context = await context_of(request)
    claims, principal = context.services.claims, context.principal
    actor = principal.actor
    before = await claims.claim(actor, key, await _fingerprint(request))
    if before is not None:
        return Response(before.body, before.status, {**before.headers, "Idempotency-Replayed": "true"})
    context.principal = replace(principal, actor=replace(actor, is_keyed=True))
    try:
        response = await handler(request)
    except BaseException:
        await uninterrupted(claims.release(actor))
        raise
    headers = {name: response.headers[name] for name in KEPT if name in response.headers}
    is_secret = response.headers.get("cache-control") == "no-store"
    answer = Answer(response.status_code, headers, bytes(response.body))
    await uninterrupted(claims.keep(actor, answer, is_secret=is_secret))
    return response


async def _fingerprint(request: HttpRequest) -> str:
    """Of what is asked; of a feed, which is read as it comes, the length stands for the bytes."""
    own: Request = request.scope["entrepot.request"]
    body = str(own.length()).encode() if own.path == STREAMED else await request.body()
    parts = (own.path.encode("latin-1"), request.scope["query_string"], body)
    return hashlib.sha256(b"".join(len(part).to_bytes(8) + part for part in parts)).hexdigest()
