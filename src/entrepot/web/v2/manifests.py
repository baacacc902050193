"""GET, HEAD, PUT and DELETE of manifests. Spec: OCI distribution-spec, "Pulling manifests", "Pushing manifests"."""

import asyncio

from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services
from entrepot.web.v2.errors import warning


async def get(request: Request, services: Services, name: str, reference: str) -> None:
    """The manifest, byte for byte as it was pushed, with the type it was pushed with, whatever Accept says."""
    principal = await services.authn.registry(request)
    found = services.pull.manifest(principal, name, reference, head=request.method == "HEAD")
    etag = f'"{found.digest}"'
    headers: Headers = [
        ("content-type", found.media_type),
        ("docker-content-digest", found.digest),
        ("etag", etag),
        ("content-security-policy", "sandbox"),
    ]
    if found.warning:
        headers.append(warning(found.warning))
    if etag in request.headers.get("if-none-match", ""):
        await respond(request, 304, headers)
        return
    await respond(request, 200, [*headers, ("content-length", str(found.size))], found.body)


async def put(request: Request, services: Services, name: str, reference: str) -> None:
    """Takes a manifest of up to `server.limits.manifest_bytes`."""
    principal = await services.authn.registry(request)
    services.pull.may_push(principal, name)
    body = await request.read(services.limits.manifest_bytes)
    pushed = await asyncio.shield(
        services.put_manifest(principal, name, reference, body, request.headers.get("content-type", ""))
    )
    headers: Headers = [
        ("location", f"/v2/{name}/manifests/{pushed.digest}"),
        ("docker-content-digest", str(pushed.digest)),
    ]
    if pushed.subject is not None:
        headers.append(("oci-subject", str(pushed.subject)))
    await respond(request, 201, headers)


async def delete(request: Request, services: Services, name: str, reference: str) -> None:
    """Deletes a tag, or a manifest with its tags."""
    principal = await services.authn.registry(request)
    await services.delete.manifest(principal, name, reference)
    await respond(request, 202, [])
