"""The list of tags. Spec: OCI distribution-spec, "Listing Tags"."""

from urllib.parse import urlencode

import msgspec

from entrepot.errors import InvalidError
from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services
from entrepot.web.v2.errors import JSON


async def get(request: Request, services: Services, name: str, reference: str) -> None:
    """A page of tags, with a link to the next."""
    del reference
    principal = await services.authn.registry(request)
    text = request.query_value("n")
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidError("n is not a number of tags", "n")
    limit = int(text) if text is not None else None
    names, more = services.list_tags(principal, name, request.query_value("last") or "", limit)
    headers: Headers = [JSON]
    if more and names:
        query = urlencode({"n": limit or len(names), "last": names[-1]})
        headers.append(("link", f'</v2/{name}/tags/list?{query}>; rel="next"'))
    await respond(request, 200, headers, msgspec.json.encode({"name": name, "tags": names}))
