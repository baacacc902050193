"""The list of repositories. Spec: distribution docs, "Listing Repositories"; OCI has none."""

import msgspec

from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services
from entrepot.web.v2.errors import JSON
from entrepot.web.v2.pages import link_to_next, page_asked_for

PATH = "_catalog"


async def get(request: Request, services: Services) -> None:
    """A page of the repositories the caller may see, with a link to the next."""
    principal = await services.authn.registry(request)
    last, limit = page_asked_for(request)
    names, more = await services.list_repositories(principal, last, limit)
    headers: Headers = [JSON]
    if more:
        headers.append(link_to_next(f"/v2/{PATH}", {"n": str(limit or len(names)), "last": names[-1]}))
    await respond(request, 200, headers, msgspec.json.encode({"repositories": names}))
