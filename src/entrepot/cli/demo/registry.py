"""A small registry client: pushes and pulls images over /v2, checks every digest, and counts what it sends.

Spec: OCI distribution-spec, "Pushing", "Pulling"; tokens: distribution, "Token Authentication Specification".
"""

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import IO, TYPE_CHECKING, Final
from urllib.parse import urlsplit

from entrepot.cli.demo.build import Blob, Image, Index
from entrepot.cli.http import Http, basic
from entrepot.errors import EntrepotError, InvalidError
from entrepot.oci.digest import Digest
from entrepot.oci.mediatype import ALL
from entrepot.oci.reference import Reference

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

CHUNK: Final = 256 * 1024
MAX_MANIFEST: Final = 4 * 1024 * 1024
PARAMETER: Final = re.compile(r'(\w+)="([^"]*)"')
WARNING: Final = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class RegistryError(EntrepotError):
    """The registry's refusal. status: of HTTP. code: its first error's, as in the OCI table; empty if it gave none."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class ContentError(EntrepotError):
    """What the registry sent has another digest than the one asked for."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """What a push did. Bytes count blobs and manifests; skipped are those the registry had. done: time.monotonic()
    at the answer to the manifest.
    """

    digest: Digest
    sent_bytes: int
    skipped_bytes: int
    sent_blobs: int
    skipped_blobs: int
    done: float


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought. warning: the registry's own, empty if it gave none."""

    digest: Digest
    received_bytes: int
    warning: str


@dataclass(slots=True)
class Registry:
    """One user's access to one registry. Anonymous with an empty *username*."""

    http: Http
    username: str = ""
    password: str = field(default="", repr=False)
    _challenge: str | None = field(default=None, init=False, repr=False)
    _tokens: dict[str, str] = field(default_factory=dict, init=False, repr=False)

    def push(self, reference: Reference, item: Image | Index) -> Pushed:
        """Push *item* and name it *reference*. Blobs that are there are not sent again.

        Raises RegistryError, UnavailableError.
        """
        sent = skipped = sent_blobs = skipped_blobs = 0
        images = item.images if isinstance(item, Index) else (item,)
        for blob in {blob.digest: blob for image in images for blob in image.blobs()}.values():
            if self.has_blob(reference.name, blob.digest):
                skipped, skipped_blobs = skipped + blob.size, skipped_blobs + 1
            else:
                self.put_blob(reference.name, blob.digest, BytesIO(blob.data), blob.size)
                sent, sent_blobs = sent + blob.size, sent_blobs + 1
        if isinstance(item, Index):
            for image in images:
                self.put_manifest(reference.name, str(image.digest), image.manifest)
                sent += image.manifest.size
        self.put_manifest(reference.name, reference.wanted(), item.manifest)
        done = time.monotonic()
        return Pushed(item.digest, sent + item.manifest.size, skipped, sent_blobs, skipped_blobs, done)

    def pull(self, reference: Reference) -> Pulled:
        """Fetch the image *reference* whole: its manifest and every blob, with children if it is an index.

        Each digest is checked and nothing is kept. Raises RegistryError, ContentError, UnavailableError.
        """
        body, warning = self.manifest(reference)
        children, blobs = _named(body)
        received = len(body)
        received += sum(self.pull(Reference(reference.name, None, child)).received_bytes for child in children)
        received += sum(len(chunk) for digest in blobs for chunk in self.blob(reference.name, digest))
        return Pulled(Digest.of(body), received, warning)

    def has_blob(self, name: str, digest: Digest) -> bool:
        """Whether the repository *name* has the blob. Raises RegistryError, UnavailableError."""
        response = self._send("HEAD", f"/v2/{name}/blobs/{digest}", name, push=True)
        if response.status not in {200, 404}:
            raise _refusal(response)
        return response.status == 200

    def put_blob(self, name: str, digest: Digest, body: IO[bytes], size: int) -> None:
        """Upload the blob in one PUT, streamed from *body* (seekable, from its start, *size* bytes).

        Raises RegistryError, UnavailableError.
        """
        begun = self._expect(202, self._send("POST", f"/v2/{name}/blobs/uploads/", name, push=True))
        location = begun.headers.get("Location", "")
        target = f"{location}{'&' if urlsplit(location).query else '?'}digest={digest}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
        self._expect(201, self._send("PUT", target, name, push=True, headers=headers, body=body))

    def put_manifest(self, name: str, wanted: str, manifest: Blob) -> None:
        """Store *manifest* under the tag or digest *wanted*. Raises RegistryError, UnavailableError."""
        headers = {"Content-Type": manifest.media_type, "Content-Length": str(manifest.size)}
        target = f"/v2/{name}/manifests/{wanted}"
        self._expect(201, self._send("PUT", target, name, push=True, headers=headers, body=BytesIO(manifest.data)))

    def manifest(self, reference: Reference) -> tuple[bytes, str]:
        """The manifest *reference*, and the registry's warning (empty if none).

        Raises RegistryError, ContentError, UnavailableError.
        """
        headers = {"Accept": ", ".join(sorted(ALL))}
        target = f"/v2/{reference.name}/manifests/{reference.wanted()}"
        response = self._expect(200, self._send("GET", target, reference.name, headers=headers, stream=True))
        try:
            body = response.read(MAX_MANIFEST + 1)
        finally:
            response.release_conn()
        if len(body) > MAX_MANIFEST:
            raise ContentError(f"the manifest of {reference} passes {MAX_MANIFEST} bytes")
        wanted = reference.digest or Digest.parse(response.headers.get("Docker-Content-Digest", str(Digest.of(body))))
        if Digest.of(body, wanted.algorithm) != wanted:
            raise ContentError(f"the manifest of {reference} has not the digest {wanted}")
        found = WARNING.match(response.headers.get("Warning", ""))
        return body, re.sub(r"\\(.)", r"\1", found[1]) if found else ""

    def blob(self, name: str, digest: Digest) -> Iterator[bytes]:
        """The blob in pieces of at most CHUNK. Raises RegistryError; ContentError after the last piece if it is not
        *digest*; UnavailableError.
        """
        response = self._expect(200, self._send("GET", f"/v2/{name}/blobs/{digest}", name, stream=True))
        running = hashlib.new(digest.algorithm)
        try:
            for chunk in response.stream(CHUNK, decode_content=False):
                running.update(chunk)
                yield chunk
        finally:
            response.release_conn()
        if running.hexdigest() != digest.hex:
            raise ContentError(f"the blob {digest.short()} of {name} came with other bytes")

    def _send(
        self,
        method: str,
        target: str,
        name: str,
        *,
        push: bool = False,
        headers: Mapping[str, str] | None = None,
        body: IO[bytes] | None = None,
        stream: bool = False,
    ) -> "BaseHTTPResponse":
        scope = f"repository:{name}:{'pull,push' if push else 'pull'}"
        response = self._attempt(method, target, scope, headers or {}, body, stream=stream)
        if response.status == 401 and scope in self._tokens:  # it may have expired: ask once for another
            del self._tokens[scope]
            response.drain_conn()
            if body is not None:
                body.seek(0)
            response = self._attempt(method, target, scope, headers or {}, body, stream=stream)
        return response

    def _attempt(
        self, method: str, target: str, scope: str, headers: Mapping[str, str], body: IO[bytes] | None, *, stream: bool
    ) -> "BaseHTTPResponse":
        allowed = {**headers, "User-Agent": "entrepot-cli"}
        authorization = self._authorization(scope)
        if authorization:
            allowed["Authorization"] = authorization
        return self.http.send(method, target, headers=allowed, body=body, stream=stream)

    def _authorization(self, scope: str) -> str:
        if self._challenge is None:
            answer = self.http.send("GET", "/v2/", headers={})
            self._challenge = answer.headers.get("WWW-Authenticate", "") if answer.status == 401 else ""
        scheme, _, rest = self._challenge.partition(" ")
        if scheme.lower() == "basic" and self.username:
            return basic(self.username, self.password)
        if scheme.lower() != "bearer":
            return ""
        if scope not in self._tokens:
            self._tokens[scope] = self._token(dict(PARAMETER.findall(rest)), scope)
        return f"Bearer {self._tokens[scope]}"

    def _token(self, challenge: Mapping[str, str], scope: str) -> str:
        headers = {"Authorization": basic(self.username, self.password)} if self.username else {}
        query = {"service": challenge.get("service", ""), "scope": scope}
        answer = self._expect(200, self.http.send("GET", challenge.get("realm", ""), headers=headers, query=query))
        document = json.loads(answer.data)
        return str(document.get("token") or document.get("access_token") or "")

    def _expect(self, status: int, response: "BaseHTTPResponse") -> "BaseHTTPResponse":
        if response.status != status:
            raise _refusal(response)
        return response


def _named(manifest: bytes) -> tuple[list[Digest], list[Digest]]:
    """The children and the blobs that *manifest* names. Raises ContentError if it is neither manifest nor index."""
    try:
        document = json.loads(manifest)
        if "manifests" in document:
            return [Digest.parse(child["digest"]) for child in document["manifests"]], []
        return [], [Digest.parse(each["digest"]) for each in (document["config"], *document["layers"])]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, InvalidError):
        raise ContentError("the registry served a manifest that can't be read") from None


def _refusal(response: "BaseHTTPResponse") -> RegistryError:
    """The registry's first error, which is what docker prints. Spec: OCI distribution-spec, "Error Codes"."""
    try:
        first = json.loads(response.data)["errors"][0]
        return RegistryError(response.status, str(first["code"]), str(first.get("message") or first["code"]))
    except (ValueError, LookupError, TypeError, AttributeError):
        found = WARNING.match(response.headers.get("Warning", ""))
        return RegistryError(response.status, "", found[1] if found else f"the registry answered {response.status}")
