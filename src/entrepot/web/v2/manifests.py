"""GET, HEAD, PUT and DELETE of manifests. Spec: OCI distribution-spec, "Pulling manifests", "Pushing manifests"."""

import asyncio
from math import ceil
from typing import Final

from entrepot.registry.model import ManifestPush
from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services
from entrepot.web.v2.conditions import condition, has_already
from entrepot.web.v2.errors import OPERATION, warning

MAX_LINES: Final = 50
"""Header lines that name tags: clients in Python read no answer of more than 100 headers."""


async def get(request: Request, services: Services, name: str, reference: str) -> None:
    """The manifest, byte for byte as it was pushed, with the type it was pushed with, whatever Accept says."""
    principal = await services.authn.registry(request)
    found = await services.pull.manifest(principal, name, reference, head=request.method == "HEAD")
    headers: Headers = [
        ("content-type", found.media_type),
        ("docker-content-digest", found.digest),
        ("etag", f'"{found.digest}"'),
        ("content-security-policy", "sandbox"),
    ]
    if found.warning:
        headers.append(warning(found.warning))
    if has_already(request, found.digest):
        await respond(request, 304, headers)
        return
    await respond(request, 200, [*headers, ("content-length", str(found.size))], found.body)


async def put(request: Request, services: Services, name: str, reference: str) -> None:
    """Takes a manifest of up to `server.limits.manifest_bytes`; each `tag` of the query names it too."""
    principal = await services.authn.registry(request)
    await services.pull.may_push(principal, name)
    tags = tuple(dict.fromkeys(value for key, value in request.query() if key == "tag"))
    body = await request.read(services.limits.manifest_bytes)
    push = ManifestPush(reference, body, request.headers.get("content-type", ""), tags, condition(request))
    pushed = await asyncio.shield(services.put_manifest(principal, name, push))
    headers: Headers = [
        ("location", f"/v2/{name}/manifests/{pushed.digest}"),
        ("docker-content-digest", str(pushed.digest)),
        *(("oci-tag", names) for names in _lines(pushed.tags)),
    ]
    if pushed.subject is not None:
        headers.append(("oci-subject", str(pushed.subject)))
    if pushed.warning:
        headers.append(warning(pushed.warning))
    await respond(request, 201, headers)


def _lines(tags: tuple[str, ...]) -> list[str]:
    """*tags*, one a line, or more than one where that would be too many lines."""
    each = ceil(len(tags) / MAX_LINES)
    return [", ".join(tags[start : start + each]) for start in range(0, len(tags), each)] if tags else []


async def delete(request: Request, services: Services, name: str, reference: str) -> None:
    """Deletes a tag, or a manifest with its tags and referrers."""
    principal = await services.authn.registry(request)
    op = await asyncio.shield(services.delete.manifest(principal, name, reference))
    await respond(request, 202, [(OPERATION, op)])
