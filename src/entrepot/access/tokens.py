"""Registry tokens: JSON web tokens signed with ES256, verified once and then remembered until they end.

Invariant: the algorithm is ours, never the header's; a header that brings its own key is refused. A verify costs
about 250 us, a remembered one 1 us. Specs: RFC 7519, RFC 8725; distribution's token authentication.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError

from entrepot.access.errors import TokenInvalidError
from entrepot.access.keys import Keys
from entrepot.access.model import Principal
from entrepot.clock import Clock
from entrepot.runtime.events.model import Actor

ALGORITHM: Final = "ES256"
ISSUER: Final = "entrepot"
MAX_TOKEN: Final = 16 * 1024
REMEMBERED: Final = 50_000
HEADER: Final = frozenset({"alg", "typ", "kid"})


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token of ours says: who, with which credential, what he may do where, and until when (Unix seconds).

    access, public, catalog, denied: as in `Principal`. account_id: None of who is not logged in.
    """

    name: str
    kind: str
    account_id: int | None
    credential: str
    access: dict[str, frozenset[str]]
    public: frozenset[str]
    catalog: bool
    denied: dict[tuple[str, str], str]
    expires_at: int


@dataclass(slots=True)
class Tokens:
    """Signs and verifies. *service*: the audience, this registry's name; *revoked*: ids of credentials that ended
    before their time, with which a token made by them ends too.
    """

    keys: Keys
    service: str
    clock: Clock
    revoked: Container[str]
    _known: OrderedDict[bytes, Claims] = field(default_factory=OrderedDict)

    def sign(self, claims: dict[str, Any]) -> str:
        """A token with *claims*."""
        header = {"alg": ALGORITHM, "typ": "JWT", "kid": self.keys.token.kid}
        return jwt.encode(header, claims, self.keys.token, algorithms=[ALGORITHM])

    def principal(self, token: str, address: str, agent: str, request: str) -> Principal:
        """The principal *token* was made for, as seen in this *request*. Raises TokenInvalidError."""
        claims = self._claims(token)
        actor = Actor(claims.name, claims.kind, claims.account_id, claims.credential, address, agent, request)
        return Principal(actor, (), claims.access, claims.public, claims.catalog, claims.denied)

    def _claims(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN:
            raise TokenInvalidError("the token is too long")
        now = int(self.clock.now().timestamp())
        memory = hashlib.sha256(token.encode("utf-8", "replace")).digest()
        claims = self._known.get(memory)
        if claims is None:
            claims = self._known[memory] = self._verify(token, now)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        if claims.expires_at <= now:
            self._known.pop(memory, None)
            raise TokenInvalidError("the token has expired")
        if claims.credential in self.revoked:
            raise TokenInvalidError("the secret this token was made with was revoked: log in again")
        return claims

    def _verify(self, token: str, now: int) -> Claims:
        try:
            decoded = jwt.decode(token, self.keys.token, algorithms=[ALGORITHM])
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise TokenInvalidError("the token is not one of ours") from error
        claims = decoded.claims
        good = (
            HEADER.issuperset(decoded.header)
            and decoded.header.get("typ") == "JWT"
            and decoded.header.get("kid", self.keys.token.kid) == self.keys.token.kid
            and claims.get("iss") == ISSUER
            and claims.get("aud") == self.service
            and all(isinstance(claims.get(key), int) for key in ("exp", "nbf", "iat"))
            and claims["nbf"] <= now + 60
        )
        if not good:
            raise TokenInvalidError("the token is not for this registry")
        try:
            return _read(claims)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise TokenInvalidError("the token is of another version: ask for a new one") from error


def _read(claims: dict[str, Any]) -> Claims:
    """*claims* as `IssueToken` wrote them: what is allowed, and why the rest is not, each with its names."""
    denied: dict[tuple[str, str], str] = {}
    for refused, names in claims["ent_denied"].items():
        code, actions = refused.rsplit(" ", 1)
        denied |= {(name, action): code for name in names for action in actions.split(",")}
    access = {name: frozenset(actions.split(",")) for actions, names in claims["access"].items() for name in names}
    return Claims(
        name=claims["sub"],
        kind=claims["ent_kind"],
        account_id=claims["ent_account"],
        credential=claims["ent_cred"],
        access=access,
        public=frozenset(claims["ent_public"]),
        catalog=claims["ent_catalog"],
        denied=denied,
        expires_at=claims["exp"],
    )
