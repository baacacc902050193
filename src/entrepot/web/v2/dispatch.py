"""Routes of /v2, read from the right: the last segments name the operation, all before is the repository's name.

So `a/manifests` and `tags/list` are legal names. The raw path is used: an encoded slash, `//` or `..` is no name.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from entrepot.access.scopes import CATALOG
from entrepot.catalog.errors import RepositoryUnknownError
from entrepot.errors import EntrepotError, UnavailableError
from entrepot.oci.reference import check_name
from entrepot.registry.errors import UnsupportedRequestError
from entrepot.web.refusals import record
from entrepot.web.request import Request
from entrepot.web.respond import respond
from entrepot.web.services import Services
from entrepot.web.v2 import blobs, catalog, manifests, referrers, tags, token, uploads
from entrepot.web.v2.errors import JSON, respond_error

PREFIX: Final = "/v2/"
BY_REFERENCE: Final = frozenset({"manifests", "blobs", "referrers"})


@dataclass(frozen=True, slots=True)
class Route:
    """What a path means. reference: tag, digest or upload id."""

    operation: str
    name: str
    reference: str


Handler = Callable[[Request, Services, str, str], Awaitable[None]]
HANDLERS: Final[dict[tuple[str, str], tuple[Handler, str]]] = {
    ("manifests", "GET"): (manifests.get, "pull"),
    ("manifests", "HEAD"): (manifests.get, "pull"),
    ("manifests", "PUT"): (manifests.put, "pull,push"),
    ("manifests", "DELETE"): (manifests.delete, "delete"),
    ("blobs", "GET"): (blobs.get, "pull"),
    ("blobs", "HEAD"): (blobs.get, "pull"),
    ("blobs", "DELETE"): (blobs.delete, "delete"),
    ("uploads", "POST"): (uploads.begin, "pull,push"),
    ("uploads", "PATCH"): (uploads.add, "pull,push"),
    ("uploads", "PUT"): (uploads.finish, "pull,push"),
    ("uploads", "GET"): (uploads.state, "pull,push"),
    ("uploads", "DELETE"): (uploads.cancel, "pull,push"),
    ("tags", "GET"): (tags.get, "pull"),
    ("referrers", "GET"): (referrers.get, "pull"),
}


@lru_cache(maxsize=1024)
def route(path: str) -> Route | None:
    """What *path*, below /v2/, means; None if it means nothing. The name is not checked yet."""
    segments = path.split("/")
    if len(segments) >= 3 and segments[-2:] == ["tags", "list"]:
        return Route("tags", "/".join(segments[:-2]), "")
    if len(segments) >= 3 and segments[-2] in BY_REFERENCE and segments[-2:] != ["blobs", "uploads"]:
        return Route(segments[-2], "/".join(segments[:-2]), segments[-1])
    if len(segments) >= 3 and segments[-2:] == ["blobs", "uploads"]:
        return Route("uploads", "/".join(segments[:-2]), "")
    if len(segments) >= 4 and segments[-3:-1] == ["blobs", "uploads"]:
        return Route("uploads", "/".join(segments[:-3]), segments[-1])
    return None


async def dispatch(request: Request, services: Services) -> None:
    """Answers a request to /v2."""
    below = request.path[len(PREFIX) :]
    found = route(below)
    scope = ""
    try:
        if found is None:
            scope = CATALOG if below == catalog.PATH else ""
            await _base(request, services, below)
            return
        request.operation = found.operation
        entry = HANDLERS.get((found.operation, request.method))
        name = check_name(found.name)
        if entry is None:
            raise UnsupportedRequestError(f"{request.method} is not offered here")
        handler, actions = entry
        scope = f"repository:{name}:{actions}"
        await handler(request, services, name, found.reference)
    except EntrepotError as error:
        if request.status:
            raise
        try:
            await record(request, services, error, found.name if found else "", found.reference if found else "")
        except UnavailableError as unavailable:
            error = unavailable  # who is refused without a record of it may try again
        await respond_error(request, services, error, scope)


async def _base(request: Request, services: Services, below: str) -> None:
    if below == "auth" and request.method in {"GET", "POST"}:
        await token.issue(request, services)
        return
    if below == catalog.PATH and request.method == "GET":
        await catalog.get(request, services)
        return
    # Whoever asks must be known before he learns which paths there are.
    await services.authn.registry(request)
    if below not in {"", catalog.PATH}:
        raise RepositoryUnknownError
    if below == catalog.PATH or request.method not in {"GET", "HEAD"}:
        raise UnsupportedRequestError(f"{request.method} is not offered here")
    await respond(request, 200, [JSON], b"{}")
