"""A client without a socket: does what a plain client does, and says before and after what it was promised."""

import json
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from entrepot.content.errors import UploadUnknownError
from entrepot.errors import NotFoundError
from entrepot.oci.digest import Digest
from entrepot.oci.mediatype import OCI_CONFIG, OCI_INDEX, OCI_LAYER_GZIP, OCI_MANIFEST
from entrepot.registry.model import ManifestPush
from entrepot.registry.uploads import Chunk
from tests.faults.site import Site
from tests.faults.world import (
    BLOB,
    GONE,
    LINE,
    MANIFEST,
    RECORD,
    TAG,
    UPLOAD,
    Key,
    Said,
    World,
    blob_bytes,
)

PIECE_BYTES: Final = 5000


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    """*data* as a server gives it."""
    for start in range(0, len(data), PIECE_BYTES):
        yield data[start : start + PIECE_BYTES]


def manifest_of(config: bytes, *layers: bytes) -> bytes:
    """An image manifest that names *config* and *layers*."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": _descriptor(OCI_CONFIG, config),
            "layers": [_descriptor(OCI_LAYER_GZIP, layer) for layer in layers],
        }
    ).encode()


def index_of(*manifests: bytes) -> bytes:
    """An index that names *manifests*."""
    children = [_descriptor(OCI_MANIFEST, each) for each in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}).encode()


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


class Requests(Protocol):
    """What a client can ask. Each raises if the answer is no success; ids of requests are those of the record."""

    async def begin(self, repo: str) -> str:
        """A new upload: its id."""
        ...

    async def add(self, repo: str, id_: str, start: int, data: bytes) -> None:
        """A chunk that begins at *start*."""
        ...

    async def finish(self, repo: str, id_: str, digest: Digest, rest: bytes | None) -> str:
        """The upload's end, with *rest*; the request's id."""
        ...

    async def cancel(self, repo: str, id_: str) -> None:
        """The upload's end, without a blob. One that is not there is cancelled."""
        ...

    async def mount(self, repo: str, digest: Digest, source: str) -> str:
        """A mount, which must succeed; the request's id."""
        ...

    async def put(self, repo: str, reference: str, body: bytes) -> str:
        """A manifest; the request's id."""
        ...

    async def delete(self, repo: str, reference: str) -> None:
        """A manifest or tag is gone, or was not there."""
        ...

    async def delete_blob(self, repo: str, digest: Digest) -> None:
        """A blob is gone from *repo*, or was not there."""
        ...

    async def pull(self, repo: str, reference: str) -> str:
        """A GET of a manifest; the request's id."""
        ...

    async def has_blob(self, repo: str, digest: Digest) -> bool:
        """A HEAD."""
        ...


@dataclass(frozen=True, slots=True)
class Direct:
    """Asks the parts of *site*, without a socket."""

    site: Site

    async def begin(self, repo: str) -> str:
        """See Requests."""
        return (await self.site.services.uploads.begin(self.site.principal(), repo)).id

    async def add(self, repo: str, id_: str, start: int, data: bytes) -> None:
        """See Requests."""
        await self.site.services.uploads.add(self.site.principal(), repo, id_, Chunk(start), pieces(data))

    async def finish(self, repo: str, id_: str, digest: Digest, rest: bytes | None) -> str:
        """See Requests."""
        body, principal = None if rest is None else pieces(rest), self.site.principal()
        await self.site.services.uploads.finish(principal, repo, id_, digest, Chunk(), body)
        return principal.actor.request_id

    async def cancel(self, repo: str, id_: str) -> None:
        """See Requests."""
        with suppress(UploadUnknownError):
            await self.site.services.uploads.cancel(self.site.principal(), repo, id_)

    async def mount(self, repo: str, digest: Digest, source: str) -> str:
        """See Requests."""
        principal = self.site.principal()
        assert await self.site.services.uploads.mount(principal, repo, digest, source)
        return principal.actor.request_id

    async def put(self, repo: str, reference: str, body: bytes) -> str:
        """See Requests."""
        principal, media_type = self.site.principal(), json.loads(body)["mediaType"]
        await self.site.services.put_manifest(principal, repo, ManifestPush(reference, body, media_type))
        return principal.actor.request_id

    async def delete(self, repo: str, reference: str) -> None:
        """See Requests."""
        with suppress(NotFoundError):
            await self.site.services.delete.manifest(self.site.principal(), repo, reference)

    async def delete_blob(self, repo: str, digest: Digest) -> None:
        """See Requests."""
        with suppress(NotFoundError):
            await self.site.services.delete.blob(self.site.principal(), repo, digest)

    async def pull(self, repo: str, reference: str) -> str:
        """See Requests."""
        principal = self.site.principal()
        await self.site.services.pull.manifest(principal, repo, reference, head=False)
        return principal.actor.request_id

    async def has_blob(self, repo: str, digest: Digest) -> bool:
        """See Requests."""
        return await blob_bytes(self.site, repo, str(digest)) is not None


@dataclass(slots=True)
class Client:
    """Makes *requests*. *world* is what it was told; each change of it goes to *hear* too."""

    requests: Requests
    world: World
    hear: Callable[[Said], None] = lambda _: None
    offsets: dict[str, int] = field(default_factory=dict)

    def say(self, key: Key, *allowed: Hashable) -> None:
        """From now on *key* is in one of the states *allowed*."""
        said = Said(key, frozenset(allowed))
        self.world.hear(said)
        self.hear(said)

    def may_become(self, key: Key, absent: Hashable, state: Hashable) -> None:
        """*key*, which is *absent* where nothing was said of it, may be in *state* from now on."""
        self.say(key, *self.world.allowed.get(key, {absent}), state)

    # uploads

    async def begin(self, repo: str) -> str:
        """A new upload."""
        id_ = await self.requests.begin(repo)
        self.say((UPLOAD, repo, id_), 0)
        self.offsets[id_] = 0
        return id_

    async def add(self, repo: str, id_: str, data: bytes) -> None:
        """A chunk behind what was acknowledged."""
        start = self.offsets[id_]
        end = start + len(data)
        self.say((UPLOAD, repo, id_), start, end)
        await self.requests.add(repo, id_, start, data)
        self.say((UPLOAD, repo, id_), end)
        self.offsets[id_] = end

    async def finish(self, repo: str, id_: str, whole: bytes, rest: bytes | None = None) -> None:
        """The upload is the blob *whole*, whose end *rest* comes with this request."""
        digest, offset = Digest.of(whole), self.offsets[id_]
        upload, blob = (UPLOAD, repo, id_), (BLOB, repo, str(digest))
        self.world.content[str(digest)] = whole
        self.say(upload, offset, offset + len(rest or b""), GONE)
        self.may_become(blob, absent=False, state=True)
        request = await self.requests.finish(repo, id_, digest, rest)
        self.say(blob, True)
        self.say((RECORD, "blob.pushed", request), 1)
        self.say(upload, GONE)

    async def cancel(self, repo: str, id_: str) -> None:
        """The upload is no more."""
        self.say((UPLOAD, repo, id_), self.offsets[id_], GONE)
        await self.requests.cancel(repo, id_)
        self.say((UPLOAD, repo, id_), GONE)

    async def push_blob(self, repo: str, data: bytes) -> None:
        """HEAD, and POST and PUT of all bytes where it is not there."""
        digest = Digest.of(data)
        self.world.content[str(digest)] = data
        if not await self.requests.has_blob(repo, digest):
            await self.finish(repo, await self.begin(repo), data, data)
        self.say((BLOB, repo, str(digest)), True)

    async def mount(self, repo: str, data: bytes, source: str) -> None:
        """A mount, which must succeed."""
        digest = Digest.of(data)
        key = (BLOB, repo, str(digest))
        self.world.content[str(digest)] = data
        self.may_become(key, absent=False, state=True)
        request = await self.requests.mount(repo, digest, source)
        self.say(key, True)
        self.say((RECORD, "blob.mounted", request), 1)

    # manifests

    async def push_manifest(self, repo: str, body: bytes, tag: str = "") -> None:
        """A PUT by *tag*, or by digest."""
        digest = str(Digest.of(body))
        manifest, tagged = (MANIFEST, repo, digest), (TAG, repo, tag)
        self.world.content[digest] = body
        self.may_become(manifest, absent=False, state=True)
        if tag:
            self.may_become(tagged, absent=GONE, state=digest)
        request = await self.requests.put(repo, tag or digest, body)
        self.say(manifest, True)
        self.say((RECORD, "manifest.pushed", request), 1)
        if tag:
            self.say(tagged, digest)

    async def delete_tag(self, repo: str, tag: str) -> None:
        """The tag is gone."""
        self.may_become((TAG, repo, tag), absent=GONE, state=GONE)
        await self.requests.delete(repo, tag)
        self.say((TAG, repo, tag), GONE)

    async def delete_manifest(self, repo: str, body: bytes) -> None:
        """The manifest is gone, and what names it."""
        digest = str(Digest.of(body))
        tags = [(TAG, repo, tag) for where, tag, allowed in self.world.of(TAG) if where == repo and digest in allowed]
        for key in tags:
            self.may_become(key, absent=GONE, state=GONE)
        self.may_become((MANIFEST, repo, digest), absent=False, state=False)
        await self.requests.delete(repo, digest)
        self.say((MANIFEST, repo, digest), False)
        for key in tags:
            self.say(key, GONE)

    async def delete_blob(self, repo: str, data: bytes) -> None:
        """The repository has the blob no more."""
        key = (BLOB, repo, str(Digest.of(data)))
        self.may_become(key, absent=False, state=False)
        await self.requests.delete_blob(repo, Digest.of(data))
        self.say(key, False)

    async def pull(self, repo: str, tag: str) -> None:
        """A GET, which stands in the record."""
        self.say((LINE, "manifest.pulled", await self.requests.pull(repo, tag)), 1)

    # what was promised, once more

    async def again(self, wanted: World) -> None:
        """Asks for all that *wanted* ends in, from the start and without cleanup, as after a push that broke off."""
        self.world.content |= wanted.content
        self.world.allowed = dict(wanted.allowed)
        await self._push_again(wanted)
        for repo, tag, allowed in wanted.of(TAG):
            if allowed == {GONE}:
                await self.delete_tag(repo, tag)
        for repo, digest, allowed in wanted.of(MANIFEST):
            if allowed == {False}:
                await self.delete_manifest(repo, wanted.content[digest])
        for repo, digest, allowed in wanted.of(BLOB):
            if allowed == {False}:
                await self.delete_blob(repo, wanted.content[digest])

    async def _push_again(self, wanted: World) -> None:
        for repo, digest, allowed in wanted.of(BLOB):
            if allowed == {True}:
                await self.push_blob(repo, wanted.content[digest])
        for repo, digest, allowed in wanted.of(MANIFEST):
            if allowed == {True}:
                await self.push_manifest(repo, wanted.content[digest])
        for repo, tag, allowed in wanted.of(TAG):
            (named,) = allowed
            if named is not GONE:
                await self.push_manifest(repo, wanted.content[str(named)], tag)
