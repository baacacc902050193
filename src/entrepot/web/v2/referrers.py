"""The list of referrers. Spec: OCI distribution-spec, "Listing Referrers"."""

from typing import Final

import msgspec

from entrepot.errors import InvalidError
from entrepot.oci import mediatype
from entrepot.oci.digest import Digest
from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services
from entrepot.web.v2.pages import link_to_next

INDEX: Final = ("content-type", mediatype.OCI_INDEX)
FILTER: Final = "artifactType"


async def get(request: Request, services: Services, name: str, reference: str) -> None:
    """An index of the manifests whose subject is *reference*: a page of it, with a link to the next."""
    principal = await services.authn.registry(request)
    subject = Digest.parse(reference)
    # No media type has a space: it is the `+` of `…+json` that was not escaped.
    wanted = (request.query_value(FILTER) or "").replace(" ", "+")
    if not wanted.isprintable():
        raise InvalidError("artifactType is no media type", FILTER)
    page = await services.list_referrers(principal, name, subject, wanted, request.query_value("last") or "")
    headers: Headers = [INDEX]
    if wanted:
        headers.append(("oci-filters-applied", FILTER))
    if page.cursor:
        query = {FILTER: wanted} if wanted else {}
        headers.append(link_to_next(f"/v2/{name}/referrers/{subject}", query | {"last": page.cursor}))
    index = {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_INDEX,
        "manifests": [msgspec.Raw(entry) for entry in page.entries],
    }
    await respond(request, 200, headers, msgspec.json.encode(index))
