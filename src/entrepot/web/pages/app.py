"""The pages: HTML that works without scripts. Every answer has the headers of security.md, section 5."""

from collections.abc import MutableMapping
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Route

from entrepot.errors import EntrepotError
from entrepot.web.asgi import Message, Receive, Scope, Send
from entrepot.web.pages import (
    account,
    accounts,
    artifacts,
    deletions,
    difference,
    help,  # noqa: A004  the page is called so
    home,
    operations,
    people,
    policies,
    project_settings,
    projects,
    promotions,
    repositories,
    settings,
    sign_in,
    storage,
    tags,
    trash,
    why,
)
from entrepot.web.pages.assets import Assets
from entrepot.web.pages.faults import show_failure, show_fault, show_missing
from entrepot.web.pages.look import Look
from entrepot.web.respond import AsgiApp
from entrepot.web.services import Services

# The more particular paths first: the name of a repository takes all it is given.
PARTS: Final = (
    sign_in,
    home,
    account,
    accounts,
    projects,
    project_settings,
    people,
    trash,
    deletions,
    artifacts,
    difference,
    why,
    tags,
    repositories,
    promotions,
    policies,
    operations,
    storage,
    settings,
    help,
)
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
NO_STORE: Final = (b"cache-control", b"no-store")
ONLY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")


def pages_app(services: Services) -> AsgiApp:
    """The application behind every path that is neither /v2 nor /api nor of machines that watch."""
    assets = Assets.read()
    app = Starlette(
        routes=[Route("/static/{name}", assets.serve), *(route for part in PARTS for route in part.ROUTES)],
        exception_handlers={EntrepotError: show_fault, HTTPException: show_missing, Exception: show_failure},
    )
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.look = Look.of(assets, services.claims.clock)
    always = (*HEADERS, ONLY_TLS) if services.external.startswith("https:") else HEADERS

    async def secured(scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own: list[Any] = list(message["headers"])
                kept = any(name.lower() == NO_STORE[0] for name, _ in own)
                message = {**message, "headers": [*own, *always, *(() if kept else (NO_STORE,))]}
            await send(message)

        values: MutableMapping[str, Any] = scope
        await app(values, receive, with_headers)

    return secured
