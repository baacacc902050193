"""Blob uploads: POST, PATCH, PUT, GET, DELETE. Spec: OCI distribution-spec, "Pushing blobs"."""

import asyncio
import re
from typing import Final

from entrepot.content.errors import AlgorithmUnknownError, BodyTooLargeError
from entrepot.errors import InvalidError
from entrepot.oci.digest import LENGTHS, Digest
from entrepot.oci.errors import DigestInvalidError, SizeInvalidError
from entrepot.oci.reference import NAME
from entrepot.registry.model import UploadState
from entrepot.registry.uploads import Chunk
from entrepot.web.request import Request
from entrepot.web.respond import Headers, respond
from entrepot.web.services import Services

# Unlike HTTP's own header, this one has no unit in front. Clients that send one are understood.
CONTENT_RANGE: Final = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/.*)?\Z")
UPLOAD: Final = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}\Z")


async def begin(request: Request, services: Services, name: str, reference: str) -> None:
    """Begins an upload; with `mount` links a blob instead if that is possible; with `digest` takes the whole body."""
    del reference
    principal = await services.authn.registry(request)
    await services.pull.may_push(principal, name)
    mount, source = request.query_value("mount"), request.query_value("from")
    if mount and (source is None or NAME.match(source)):
        digest = Digest.parse(mount)
        if await services.uploads.mount(principal, name, digest, source):
            await respond(request, 201, _created(name, digest))
            return
    whole = request.query_value("digest")
    digest_wanted = Digest.parse(whole) if whole else None
    algorithm = digest_wanted.algorithm if digest_wanted else _algorithm(request)
    state = await services.uploads.begin(principal, name, algorithm)
    if digest_wanted is None:
        headers = _state_headers(name, state)
        if services.chunk_min_bytes:
            headers.append(("oci-chunk-min-length", str(services.chunk_min_bytes)))
        await respond(request, 202, headers)
        return
    _check_length(request, services)
    chunk = Chunk(length=request.length())
    await services.uploads.finish(principal, name, state.id, digest_wanted, chunk, request.body())
    await respond(request, 201, _created(name, digest_wanted))


async def add(request: Request, services: Services, name: str, reference: str) -> None:
    """Appends the body to the upload."""
    principal = await services.authn.registry(request)
    _check_length(request, services)
    chunk = _chunk(request)
    state = await services.uploads.add(principal, name, _id(reference), chunk, request.body())
    await respond(request, 202, _state_headers(name, state))


async def finish(request: Request, services: Services, name: str, reference: str) -> None:
    """Ends the upload: its bytes, with the body's, are the blob."""
    principal = await services.authn.registry(request)
    text = request.query_value("digest")
    if not text:
        raise DigestInvalidError("a PUT that ends an upload names the digest: ?digest=sha256:...", "digest")
    digest = Digest.parse(text)
    _check_length(request, services)
    body = request.body() if request.has_body() else None
    await services.uploads.finish(principal, name, _id(reference), digest, _chunk(request), body)
    await respond(request, 201, _created(name, digest))


async def state(request: Request, services: Services, name: str, reference: str) -> None:
    """How far the upload is."""
    principal = await services.authn.registry(request)
    found = await services.uploads.state(principal, name, _id(reference))
    await respond(request, 204, _state_headers(name, found))


async def cancel(request: Request, services: Services, name: str, reference: str) -> None:
    """Ends the upload without a blob."""
    principal = await services.authn.registry(request)
    await asyncio.shield(services.uploads.cancel(principal, name, _id(reference)))
    await respond(request, 204, [])


def _id(reference: str) -> str:
    """The upload's id; one of another form names no upload, and no file either."""
    return reference if UPLOAD.match(reference) else ""


def _algorithm(request: Request) -> str:
    """The algorithm of the digest to come. Raises AlgorithmUnknownError."""
    named = request.query_value("digest-algorithm")
    if named is not None and named not in LENGTHS:
        raise AlgorithmUnknownError(f"digest-algorithm is one of {', '.join(LENGTHS)}", "digest-algorithm")
    return named or "sha256"


def _chunk(request: Request) -> Chunk:
    epoch = request.query_value("epoch")
    if epoch is not None and not (epoch.isascii() and epoch.isdigit() and len(epoch) < 10):
        raise InvalidError("epoch is not a number: use the Location as it was given", "epoch")
    text = request.headers.get("content-range")
    known = int(epoch) if epoch is not None else None
    if text is None:
        return Chunk(None, known, request.length())
    match = CONTENT_RANGE.match(text)
    if match is None or int(match[2]) < int(match[1]):
        raise InvalidError("Content-Range is written <first>-<last>", "Content-Range")
    start, length = int(match[1]), int(match[2]) - int(match[1]) + 1
    if request.length() not in {None, length}:
        raise SizeInvalidError("Content-Range and Content-Length differ", "Content-Range")
    return Chunk(start, known, length, is_exact=True)


def _check_length(request: Request, services: Services) -> None:
    if (request.length() or 0) > services.limits.blob_bytes:
        raise BodyTooLargeError(services.limits.blob_bytes)


def _state_headers(name: str, state: UploadState) -> Headers:
    """Docker reads Range and fails without it; nothing and one byte both read 0-0."""
    return [
        ("location", f"/v2/{name}/blobs/uploads/{state.id}?epoch={state.epoch}"),
        ("range", f"0-{max(state.offset - 1, 0)}"),
        ("docker-upload-uuid", state.id),
    ]


def _created(name: str, digest: Digest) -> Headers:
    return [("location", f"/v2/{name}/blobs/{digest}"), ("docker-content-digest", str(digest))]
