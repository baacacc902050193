"""The token endpoint, under /v2 so that a proxy which forwards only that works. Spec: distribution docs, token and
OAuth2 authentication.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl

import msgspec

from entrepot.access.errors import CredentialsInvalidError, ScopeInvalidError
from entrepot.access.issue import IssuedToken
from entrepot.access.scopes import parse_scopes
from entrepot.errors import EntrepotError, InvalidError, LimitError, UnauthenticatedError
from entrepot.web.request import Request
from entrepot.web.respond import respond
from entrepot.web.services import Services
from entrepot.web.v2.errors import JSON

MAX_FORM: Final = 64 * 1024
FORM: Final = "application/x-www-form-urlencoded"
REASONS: Final[Mapping[type[EntrepotError], str]] = {
    UnauthenticatedError: "credentials",
    InvalidError: "scope",
    LimitError: "limit",
    EntrepotError: "other",
}
"""Why there is no token, as the metrics call it."""


async def issue(request: Request, services: Services) -> None:
    """A token for the scopes asked for, cut to what the caller may have.

    Without a credential it is one for public projects; wrong credentials are 401, never that.
    """
    try:
        token = await _issued(request, services)
    except EntrepotError as error:
        services.token_metrics.refused(next(REASONS[kind] for kind in type(error).__mro__ if kind in REASONS))
        raise
    services.token_metrics.issued(cut=token.cut)
    # containerd keeps a token without expires_in for ever; a clock that is off must not matter, so no issued_at.
    answer = {"token": token.text, "access_token": token.text, "expires_in": services.token_seconds}
    await respond(request, 200, [JSON, ("cache-control", "no-store")], msgspec.json.encode(answer))


async def _issued(request: Request, services: Services) -> IssuedToken:
    fields = await _fields(request)
    scopes = parse_scopes(value for key, value in fields if key == "scope")
    if request.method == "POST":
        given = dict(fields)
        if given.get("grant_type") != "password":
            raise CredentialsInvalidError("this registry takes grant_type=password only")
        name, secret = given.get("username", ""), given.get("password", "")
        if not secret:
            raise CredentialsInvalidError("the form holds no password", name)
        principal = await services.authn.login_as(request, name, secret, "registry")
    else:
        principal = await services.authn.login_or_anonymous(request, "registry")
    return await services.issue(principal, scopes)


async def _fields(request: Request) -> list[tuple[str, str]]:
    if request.method != "POST":
        return request.query()
    if request.headers.get("content-type", FORM).partition(";")[0].strip().lower() != FORM:
        raise ScopeInvalidError("a token request is a form", "Content-Type")
    try:
        return parse_qsl((await request.read(MAX_FORM)).decode(), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        raise ScopeInvalidError("the form can't be read") from None
