"""Errors as the distribution specification writes them. Spec: OCI distribution-spec, "Error Codes"."""

from functools import lru_cache
from typing import Any, Final

import msgspec

from entrepot.access.errors import InsufficientScopeError
from entrepot.catalog.errors import ManifestBlobUnknownError, QuotaExceededError, StillReferencedError
from entrepot.content.errors import RangeInvalidError, RangeNotSatisfiableError
from entrepot.errors import EntrepotError, LimitError, UnauthenticatedError, UnavailableError
from entrepot.web.errors import answer_for
from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services

JSON: Final = ("content-type", "application/json")
MAX_MISSING: Final = 100
OPERATION: Final = "entrepot-operation"
"""The header that names the operation by which a deletion can be undone."""


async def respond_error(request: Request, services: Services, error: EntrepotError, scope: str) -> None:
    """Answers with *error*. scope: what a token for this request would have to cover, for the challenge.

    HEAD has no body, so the text stands in a Warning header too (RFC 9110, 5.5; product.md 5).
    """
    answer = answer_for(error)
    headers: Headers = [JSON]
    if isinstance(error, UnauthenticatedError):
        headers.append(("www-authenticate", challenge(services, error, scope)))
    if isinstance(error, UnavailableError | LimitError) and error.retry_after_seconds is not None:
        headers.append(("retry-after", str(error.retry_after_seconds)))
    if isinstance(error, RangeInvalidError):
        location, _, _ = request.path.partition("?")
        headers += [("range", f"0-{max(error.offset - 1, 0)}"), ("location", f"{location}?epoch={error.epoch}")]
    if isinstance(error, RangeNotSatisfiableError):
        headers.append(("content-range", f"bytes */{error.size}"))
    if answer.status == 403:
        headers.append(warning(error.message))
    entries: list[dict[str, Any]] = [{"code": answer.code, "message": error.message}]
    if isinstance(error, ManifestBlobUnknownError):
        entries[0]["detail"] = {"digest": error.missing[0]}
        more = error.missing[1:MAX_MISSING]
        entries += [{"code": answer.code, "message": f"{x} is missing too", "detail": {"digest": x}} for x in more]
    if isinstance(error, StillReferencedError):
        entries[0]["detail"] = {"parents": [{"digest": each.digest, "tags": each.tags} for each in error.parents]}
    if isinstance(error, QuotaExceededError):
        largest = [{"repository": name, "bytes": size} for name, size in error.largest]
        entries[0]["detail"] = {"used": error.used, "limit": error.limit, "largest": largest}
    await respond(request, answer.status, headers, msgspec.json.encode({"errors": entries}))


@lru_cache(maxsize=1024)
def warning(text: str) -> tuple[str, str]:
    """The header that podman, skopeo and newer containerd show to people. Spec: RFC 7234, 5.5, code 299."""
    quoted = text.encode("ascii", "replace").decode().replace("\\", "/").replace('"', '\\"')
    return ("warning", f'299 - "{quoted}"')


def challenge(services: Services, error: EntrepotError, scope: str) -> str:
    """Where to get a token, and for what. Spec: distribution docs, token authentication."""
    text = f'Bearer realm="{services.realm}",service="{services.service}"'
    wanted = error.scope if isinstance(error, InsufficientScopeError) else scope
    if wanted:
        text += f',scope="{wanted}"'
    return text + (',error="insufficient_scope"' if isinstance(error, InsufficientScopeError) else "")
