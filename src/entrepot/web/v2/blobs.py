"""GET, HEAD and DELETE of blobs, whole or a range. Spec: OCI distribution-spec, "Pulling blobs"; RFC 9110, 14."""

import asyncio
import re
from typing import Final

from entrepot.content.errors import CopySuspectError, RangeNotSatisfiableError
from entrepot.content.model import Content
from entrepot.oci.digest import Digest
from entrepot.registry.model import BlobAnswer
from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond, respond_pieces
from entrepot.web.services import Services
from entrepot.web.v2.conditions import has_already
from entrepot.web.v2.errors import OPERATION

RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})\Z", re.IGNORECASE)


async def get(request: Request, services: Services, name: str, reference: str) -> None:
    """The blob. A damaged copy is answered 404 and marked, so that a plain push heals it."""
    principal = await services.authn.registry(request)
    digest = Digest.parse(reference)
    try:
        found = await services.pull.blob(principal, name, digest, head=request.method == "HEAD")
        etag = f'"{found.digest}"'
        headers: Headers = [
            ("content-type", "application/octet-stream"),
            ("docker-content-digest", found.digest),
            ("etag", etag),
            ("accept-ranges", "bytes"),
            ("cache-control", "private, max-age=31536000, immutable"),
            ("content-security-policy", "sandbox"),
        ]
        if has_already(request, found.digest):
            await respond(request, 304, headers)
        elif request.method == "HEAD":
            await respond(request, 200, [*headers, ("content-length", str(found.size))])
        else:
            part = _range(request, found, etag)
            content = await services.pull.content(principal, name, found, part, request.client)
            await _send(request, services, headers, found.size, part, content)
    except CopySuspectError as error:
        await services.suspect(error.key)
        raise


async def _send(
    request: Request,
    services: Services,
    headers: Headers,
    size: int,
    part: tuple[int, int] | None,
    content: Content | str,
) -> None:
    """Answers with *content*: all *size* bytes of the blob, the *part* [start, end) of them, or where to get them."""
    if isinstance(content, str):
        await respond(request, 307, [*headers, ("location", content)])
        return
    status, length = 200, size
    if part is not None:
        status, length = 206, part[1] - part[0]
        headers = [*headers, ("content-range", f"bytes {part[0]}-{part[1] - 1}/{size}")]
    if request.times is not None:
        request.times.source = content.source
    if content.data is not None:
        await respond(request, status, [*headers, ("content-length", str(length))], bytes(content.data))
    elif content.pieces is not None:
        await respond_pieces(request, status, headers, length, content.pieces, services.limits.send_window)


async def delete(request: Request, services: Services, name: str, reference: str) -> None:
    """The repository has the blob no more, unless a manifest needs it."""
    principal = await services.authn.registry(request)
    op = await asyncio.shield(services.delete.blob(principal, name, Digest.parse(reference)))
    await respond(request, 202, [(OPERATION, op)])


def _range(request: Request, found: BlobAnswer, etag: str) -> tuple[int, int] | None:
    """The bytes [start, end) asked for; None for all of them, also where several ranges are asked for.

    Raises RangeNotSatisfiableError: outside the blob, or the wrong way round, which the conformance program wants
    refused though RFC 9110 would ignore it.
    """
    text = request.headers.get("range", "")
    match = RANGE.match(text)
    if match is None or request.headers.get("if-range", etag) != etag:
        return None
    first, last = match[1], match[2]
    if not first and not last:
        return None
    if not first:
        start, end = max(0, found.size - int(last)), found.size
    else:
        start, end = int(first), min(int(last) + 1, found.size) if last else found.size
    if start >= end or start >= found.size:
        raise RangeNotSatisfiableError(found.size)
    return start, end
