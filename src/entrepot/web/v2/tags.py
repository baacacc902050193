"""The list of tags. Spec: OCI distribution-spec, "Listing Tags"."""

import msgspec

from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services
from entrepot.web.v2.errors import JSON
from entrepot.web.v2.pages import link_to_next, page_asked_for


async def get(request: Request, services: Services, name: str, reference: str) -> None:
    """A page of tags, with a link to the next."""
    del reference
    principal = await services.authn.registry(request)
    last, limit = page_asked_for(request)
    names, more = await services.list_tags(principal, name, last, limit)
    headers: Headers = [JSON]
    if more:
        headers.append(link_to_next(f"/v2/{name}/tags/list", {"n": str(limit or len(names)), "last": names[-1]}))
    await respond(request, 200, headers, msgspec.json.encode({"name": name, "tags": names}))
