"""Uploads: begin, add, finish, ask, cancel, mount. A blob is acknowledged when bytes, name and rows are durable.

One writer at a time has an upload's lease; another gets 416 with the true range. The epoch in each Location moves on
with the offset, so that a request repeated after a lost answer changes nothing.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from entrepot.access.errors import InsufficientScopeError, PermissionDeniedError
from entrepot.access.model import Permission, Principal, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, repositories
from entrepot.clock import Clock
from entrepot.content import copies, sessions
from entrepot.content.errors import CopySuspectError, RangeInvalidError, UploadUnknownError
from entrepot.content.model import Upload
from entrepot.content.writer import BlobWriter
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError, SizeInvalidError
from entrepot.registry.model import UploadState
from entrepot.registry.ports import Grants
from entrepot.registry.pull import Pull
from entrepot.runtime.unit_of_work import Unit, Work

RENEW: Final = timedelta(seconds=10)
UNKNOWN: Final = "no such upload; it has ended or is too old: begin again"


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a PATCH or PUT says of its body: where it begins (None: where the upload stands), its length in bytes
    (None: whatever comes), and the epoch it knows.
    """

    start: int | None = None
    epoch: int | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Uploads:
    """The sessions by which blobs come in."""

    pull: Pull
    work: Work
    writer: BlobWriter
    clock: Clock
    roles: Grants

    async def begin(self, principal: Principal, name: str) -> UploadState:
        """A new upload into *name*. Raises PermissionDeniedError, StorageUnavailableError."""
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        new = ulid()
        await self.writer.create(new)
        async with self.work(principal.actor) as unit:
            inside = await repositories.ensure(unit, repository, self.clock.now())
            await sessions.open_upload(unit, new, inside.resource.id, principal.actor.account_id or 0, self.clock.now())
        return UploadState(new, 0, 0)

    async def add(
        self, principal: Principal, name: str, id_: str, chunk: Chunk, body: AsyncIterator[bytes]
    ) -> UploadState:
        """Appends *body*; what this returns is durable.

        Raises UploadUnknownError, RangeInvalidError (wrong start, old epoch, another writer), BodyTooLargeError,
        SizeInvalidError (not as long as announced; then nothing was added).
        """
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        lease, upload = await self._take(repository, id_, chunk)
        try:
            offset = await self._append(principal, lease, upload, chunk, body)
        except BaseException:
            await self._free(principal, id_, lease)
            raise
        async with self.work(principal.actor) as unit:
            epoch = await sessions.move_upload(unit, id_, lease, offset, self.clock.now())
        if epoch is None:
            raise UploadUnknownError(UNKNOWN)
        return UploadState(id_, offset, epoch)

    async def finish(
        self, principal: Principal, name: str, id_: str, digest: Digest, chunk: Chunk, body: AsyncIterator[bytes] | None
    ) -> int:
        """Appends *body*, if there is one, and makes the upload the blob *digest* of *name*; its size in bytes.

        Raises as `add`, and DigestInvalidError: then the upload is gone.
        """
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        lease, upload = await self._take(repository, id_, chunk)
        offset = upload.offset
        try:
            if body is not None:
                offset = await self._append(principal, lease, upload, chunk, body)
            stored = await self.writer.publish(id_, offset, digest)
        except DigestInvalidError:
            async with self.work(principal.actor) as unit:
                await sessions.end_upload(unit, id_)
            raise
        except BaseException:
            await self._free(principal, id_, lease)
            raise
        async with self.work(principal.actor) as unit:
            now = self.clock.now()
            await self._give_up_damaged(unit, digest)
            kept = await copies.add_copy(unit, stored, now)
            await blobs.link(unit, repository, digest, now)
            await sessions.end_upload(unit, id_)
            unit.emit(blobs.committed(repository, digest, stored.size))
        if not kept:
            await self.writer.drop(stored)
        return stored.size

    async def state(self, principal: Principal, name: str, id_: str) -> UploadState:
        """How far the upload is. Raises UploadUnknownError."""
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        async with self.work(principal.actor) as unit:
            upload = await self._known(unit, repository, id_)
        return UploadState(id_, upload.offset, upload.epoch)

    async def cancel(self, principal: Principal, name: str, id_: str) -> None:
        """The upload is no more. Raises UploadUnknownError."""
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        async with self.work(principal.actor) as unit:
            await self._known(unit, repository, id_)
            await sessions.end_upload(unit, id_)
        await self.writer.discard(id_)

    async def mount(self, principal: Principal, name: str, digest: Digest, source: str) -> bool:
        """Links *digest* of *source* here, if the principal may pull it there and it is there; False otherwise.

        Never raises because of the source: whether it has the blob is not for everybody to know.
        """
        repository = self.pull.repository(principal, Permission.REPO_PUSH, name)
        found = self.pull.reads.blob(source, str(digest))
        if found is None or found.key is None:
            return False
        try:
            origin = self._source(principal, source, found.repository)
            self.pull.reader.whole(found.key, found.size)
        except (PermissionDeniedError, CopySuspectError):
            return False
        async with self.work(principal.actor) as unit:
            now = self.clock.now()
            if not await blobs.linked(unit, origin.resource.id, [digest]):
                return False
            inside = await repositories.ensure(unit, repository, now)
            await blobs.link(unit, inside, digest, now)
            unit.emit(blobs.mounted(inside, digest, source))
        return True

    async def _give_up_damaged(self, unit: Unit, digest: Digest) -> None:
        """A known copy that is damaged must not stand in for bytes that came whole."""
        known = await copies.copy_key(unit, digest)
        if known is None:
            return
        try:
            self.pull.reader.whole(*known)
        except CopySuspectError as error:
            await blobs.suspect(unit, error.key, "missing or short")

    def _source(self, principal: Principal, name: str, repository: Repository) -> Scoped[Repository]:
        """A handle on the *repository* to mount from: by the token, or where it never asked, by the account's roles.

        Not every client asks for a scope on the source. Raises PermissionDeniedError.
        """
        try:
            return self.pull.require(principal, Permission.REPO_PULL, name, repository)
        except InsufficientScopeError:
            own = replace(principal, grants=self.roles.grants(principal.actor.account_id or 0), access=None)
            return self.pull.require(own, Permission.REPO_PULL, name, repository)

    async def _known(self, unit: Unit, repository: Scoped[Repository], id_: str) -> Upload:
        upload = await sessions.get_upload(unit, repository.resource.id, id_)
        if upload is None or upload.account_id != repository.principal.actor.account_id:
            raise UploadUnknownError(UNKNOWN)
        return upload

    async def _take(self, repository: Scoped[Repository], id_: str, chunk: Chunk) -> tuple[str, Upload]:
        lease = ulid()
        async with self.work(repository.principal.actor) as unit:
            upload = await self._known(unit, repository, id_)
            if chunk.epoch is not None and chunk.epoch != upload.epoch:
                raise RangeInvalidError("the upload has moved on", upload.offset, upload.epoch)
            if chunk.start is not None and chunk.start != upload.offset:
                raise RangeInvalidError(
                    f"the chunk begins at {chunk.start}, the upload stands at {upload.offset}",
                    upload.offset,
                    upload.epoch,
                )
            if not await sessions.lease_upload(unit, id_, lease, self.clock.now()):
                raise RangeInvalidError("another request is writing to this upload", upload.offset, upload.epoch)
        return lease, upload

    async def _append(
        self, principal: Principal, lease: str, upload: Upload, chunk: Chunk, body: AsyncIterator[bytes]
    ) -> int:
        """The length with *body*, which is durable. What is refused is cut off by the next append."""
        renewing = self._renewing(principal, upload.id, lease, body)
        offset = await self.writer.append(upload.id, upload.offset, renewing)
        if chunk.length is not None and offset - upload.offset != chunk.length:
            raise SizeInvalidError(
                f"the body has {offset - upload.offset} bytes, its range says {chunk.length}", "Content-Range"
            )
        return offset

    async def _free(self, principal: Principal, id_: str, lease: str) -> None:
        async with self.work(principal.actor) as unit:
            await sessions.free_upload(unit, id_, lease)

    async def _renewing(
        self, principal: Principal, id_: str, lease: str, body: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """*body*, with a sign of life for the lease every ten seconds."""
        renewed = self.clock.now()
        async for piece in body:
            yield piece
            if self.clock.now() - renewed > RENEW:
                renewed = self.clock.now()
                async with self.work(principal.actor) as unit:
                    await sessions.renew_upload(unit, id_, lease, renewed)
