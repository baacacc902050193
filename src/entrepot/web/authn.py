"""Reads the credential of a request: a registry token, or a name and a secret. Spec: RFC 7617, RFC 6750."""

import base64
import binascii
from dataclasses import dataclass
from time import monotonic
from typing import Final

from entrepot.access.authenticate import Authenticate
from entrepot.access.errors import CredentialsInvalidError, LoginRequiredError
from entrepot.access.model import Principal
from entrepot.access.secrets import is_secret
from entrepot.access.tokens import Tokens
from entrepot.web.admission import Admission
from entrepot.web.request import Request

LOGIN: Final = "log in first: docker login, or entrepot login"


@dataclass(frozen=True, slots=True)
class Authn:
    """Turns requests into principals."""

    authenticate: Authenticate
    tokens: Tokens
    admission: Admission

    async def registry(self, request: Request) -> Principal:
        """Who asks on /v2: a registry token, or Basic with the secret of a robot or a personal token.

        Raises LoginRequiredError, TokenInvalidError, CredentialsInvalidError, TooManyRequestsError.
        """
        scheme, value = _authorization(request)
        if scheme == "bearer":
            principal = self.tokens.principal(value, request.client, request.agent(), request.id)
        else:
            name, secret = basic(value)
            principal = await self.authenticate.by_secret(
                request.actor(), name, secret, passwords=False, surface="registry"
            )
        request.principal = principal
        if request.times is not None:
            request.times.known, request.times.credential = monotonic(), "token" if scheme == "bearer" else "secret"
        await self.admission.by_principal(request, principal)
        return principal

    async def login(self, request: Request, surface: str) -> Principal:
        """Who asks with a name and secret, a person's password too, or with a personal token as bearer.

        Raises LoginRequiredError, CredentialsInvalidError, LoginBusyError, LoginDelayedError, TooManyRequestsError.
        """
        scheme, value = _authorization(request)
        if scheme == "bearer":
            if not is_secret(value):
                raise CredentialsInvalidError("not a personal token: make one with entrepot login")
            name, secret = "", value
        else:
            name, secret = basic(value)
        return await self.login_as(request, name, secret, surface)

    async def login_or_anonymous(self, request: Request, surface: str) -> Principal:
        """As `login`; anonymous is who sends no credential at all."""
        if "authorization" in request.headers:
            return await self.login(request, surface)
        return Principal(request.actor())

    async def login_as(self, request: Request, name: str, secret: str, surface: str) -> Principal:
        """As `login`, with *name* and *secret* from elsewhere than the header."""
        principal = await self.authenticate.by_secret(request.actor(), name, secret, passwords=True, surface=surface)
        request.principal = principal
        await self.admission.by_principal(request, principal)
        return principal


def _authorization(request: Request) -> tuple[str, str]:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    scheme = scheme.lower()
    if scheme not in {"basic", "bearer"} or not value:
        raise LoginRequiredError(LOGIN)
    return scheme, value.strip()


def basic(value: str) -> tuple[str, str]:
    """Name and secret of a Basic credential. Raises CredentialsInvalidError."""
    try:
        name, colon, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise CredentialsInvalidError("the Authorization header is not readable") from None
    if not colon or not secret:
        raise CredentialsInvalidError("name and secret do not belong together", name)
    return name, secret
