"""Uploads: begin, add, finish, ask, cancel, mount. A blob is acknowledged when bytes, name and rows are durable.

One writer at a time has an upload's lease; another gets 416 with the true range. The epoch in each Location moves on
with the offset, so that a request repeated after a lost answer changes nothing. All of it stands in the database:
any process may take the next request. A request that brings a whole blob of some size needs no lease: what it writes is
its own until it ends the upload, which one request alone can do.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from entrepot.access.errors import InsufficientScopeError, PermissionDeniedError
from entrepot.access.model import Permission, Principal, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import blobs, repositories
from entrepot.catalog.errors import QuotaExceededError
from entrepot.clock import Clock
from entrepot.content import copies, sessions
from entrepot.content.errors import CopySuspectError, RangeInvalidError, StorageUnavailableError, UploadUnknownError
from entrepot.content.model import Body, Part, Stored, Upload
from entrepot.content.ports import UploadWriter
from entrepot.ids import ulid
from entrepot.oci.digest import Digest
from entrepot.oci.errors import DigestInvalidError, SizeInvalidError
from entrepot.registry.errors import TooManyUploadsError
from entrepot.registry.hot import FoundBlob
from entrepot.registry.model import UploadState
from entrepot.registry.ports import Grants
from entrepot.registry.pull import Pull
from entrepot.runtime.unit_of_work import Unit, Work

RENEW: Final = timedelta(seconds=10)
UNKNOWN: Final = "no such upload; it has ended or is too old: begin again"
IDLE: Final = timedelta(minutes=10)
"""After so long an upload makes room for a new one: broken lines must not lock a team out."""
AT_ONCE_BYTES: Final = 16 << 20
"""A body up to this length may come without a lease: the upload is not idle for long meanwhile."""

MOST_SOURCES: Final = 20
"""Repositories that are tried where a mount names none."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What a PATCH or PUT says of its body: where it begins (None: where the upload stands), its length in bytes
    (None: whatever comes), and the epoch it knows. is_exact: that length was promised by a range, and must be met.
    """

    start: int | None = None
    epoch: int | None = None
    length: int | None = None
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """Most open uploads of one repository and of one account. A race may pass them by a few."""

    per_repository: int = 200
    per_account: int = 500


@dataclass(frozen=True, slots=True)
class Uploads:
    """The sessions by which blobs come in."""

    pull: Pull
    work: Work
    writer: UploadWriter
    clock: Clock
    roles: Grants
    limits: UploadLimits = field(default_factory=UploadLimits)

    async def begin(self, principal: Principal, name: str, algorithm: str = "sha256") -> UploadState:
        """A new upload into *name*, of a blob whose digest will be by *algorithm*.

        Raises PermissionDeniedError, TooManyUploadsError.
        """
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        new, account, now = ulid(), principal.actor.account_id or 0, self.clock.now()
        async with self.work(principal.actor) as unit:
            inside = await repositories.ensure(unit, repository, now)
            evicted = [
                await self._room(unit, "repo_id", inside.resource.id, self.limits.per_repository),
                await self._room(unit, "account_id", account, self.limits.per_account),
            ]
            await sessions.open_upload(unit, new, inside.resource.id, account, algorithm, now)
        for id_ in filter(None, evicted):
            await discard(self.work, self.writer, principal, id_)
        return UploadState(new, 0, 0)

    async def add(
        self, principal: Principal, name: str, id_: str, chunk: Chunk, body: AsyncIterator[bytes]
    ) -> UploadState:
        """Appends *body*; what this returns is durable.

        Raises UploadUnknownError, RangeInvalidError (wrong start, old epoch, another writer), BodyTooLargeError,
        SizeInvalidError (not as long as announced; then nothing was added), ChunksExhaustedError.
        """
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        held = await self._take(repository, id_, chunk)
        try:
            offset = await self.writer.append(held.upload, held.place, self._body(principal, held, chunk, body))
        except BaseException as error:
            await self._give_back(principal, held, error)
            raise
        async with self.work(principal.actor) as unit:
            epoch = await sessions.move_upload(unit, id_, held.lease, offset, self.clock.now())
            if epoch is not None and held.place:
                await sessions.keep_part(unit, held.place, offset - held.upload.offset)
        if epoch is None:
            await self._drop_place(principal, held)
            raise UploadUnknownError(UNKNOWN)
        return UploadState(id_, offset, epoch)

    async def finish(
        self, principal: Principal, name: str, id_: str, digest: Digest, chunk: Chunk, body: AsyncIterator[bytes] | None
    ) -> int:
        """Appends *body*, if there is one, and makes the upload the blob *digest* of *name*; its size in bytes.

        Raises as `add`, and DigestInvalidError: then the upload is gone.
        """
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        held = None if body is None else await self._whole(repository, id_, chunk)
        held = held or await self._take(repository, id_, chunk)
        try:
            last = None if body is None else self._body(principal, held, chunk, body)
            stored = await self.writer.finish(held.file, held.place, last, digest)
            damaged = await self._damaged(digest)
        except BaseException as error:
            await self._give_back(principal, held, error)
            raise
        try:
            kept = await self.work.run(
                principal.actor, lambda unit: self._commit(unit, repository, held, stored, damaged)
            )
        except UploadUnknownError:
            # The upload ended, or the lease was lost: whoever has it has its parts.
            if held.is_own:
                await self.writer.drop(stored)
            await self._drop_place(principal, held)
            raise
        except QuotaExceededError as error:
            await self.writer.drop(stored)
            await self._give_back(principal, held, error)
            raise
        if not kept:
            await self.writer.drop(stored)
        if held.place and (len(held.upload.parts) > 1 or not kept):
            await discard(self.work, self.writer, principal, id_)
        return stored.size

    async def state(self, principal: Principal, name: str, id_: str) -> UploadState:
        """How far the upload is. Raises UploadUnknownError."""
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        async with self.work(principal.actor) as unit:
            upload = await self._known(unit, repository, id_)
        return UploadState(id_, upload.offset, upload.epoch)

    async def cancel(self, principal: Principal, name: str, id_: str) -> None:
        """The upload is no more. Raises UploadUnknownError."""
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        async with self.work(principal.actor) as unit:
            await self._known(unit, repository, id_)
            await sessions.end_upload(unit, id_)
        await discard(self.work, self.writer, principal, id_)

    async def mount(self, principal: Principal, name: str, digest: Digest, source: str | None) -> bool:
        """Links *digest* of *source* here, if the principal may pull it there and it is there; False otherwise.

        source None: of any repository the principal may pull, out of the first few that have it. Never raises because
        of the source: whether it has the blob is not for everybody to know.
        """
        repository = await self.pull.repository(principal, Permission.REPO_PUSH, name)
        if source is None:
            found = await self.pull.reads.holders(str(digest), repository.resource.project.id, MOST_SOURCES)
        else:
            there = await self.pull.reads.blob(source, str(digest))
            found = [] if there is None or there.key is None else [there]
        origin = await self._first_allowed(principal, found)
        if origin is None:
            return False
        async with self.work(principal.actor) as unit:
            now = self.clock.now()
            inside = await repositories.ensure(unit, repository, now)
            if not await blobs.linked(unit, origin.resource.id, [digest]):
                return False
            await blobs.link(unit, inside, digest, now)
            unit.emit(blobs.mounted(inside, digest, origin.resource.name))
        return True

    async def _first_allowed(self, principal: Principal, found: Sequence[FoundBlob]) -> Scoped[Repository] | None:
        """The first of *found* that the principal may pull from, if its bytes are there."""
        own: Principal | None = None
        for each in found:
            name = each.repository.name
            try:
                try:
                    origin = await self.pull.require(principal, Permission.REPO_PULL, name, each.repository)
                except InsufficientScopeError:
                    # Not every client asks for a scope on the source: then the account's roles say.
                    own = own or replace(
                        principal, grants=await self.roles.grants(principal.actor.account_id or 0), access=None
                    )
                    origin = await self.pull.require(own, Permission.REPO_PULL, name, each.repository)
            except PermissionDeniedError:
                continue
            try:
                await self.pull.reader.look(each.key or "", each.size)
            except (CopySuspectError, StorageUnavailableError):
                return None
            return origin
        return None

    async def _commit(
        self, unit: Unit, repository: Scoped[Repository], held: "_Held", stored: Stored, damaged: str | None
    ) -> bool:
        """The rows of a finished upload; False if another good copy makes *stored* needless."""
        now, digest = self.clock.now(), stored.digest
        inside = await repositories.ensure(unit, repository, now)
        if inside.resource.id != held.upload.repo_id or not await sessions.end_held(unit, held.upload, held.lease):
            raise UploadUnknownError(UNKNOWN)
        await unit.serialize("blob", str(digest))
        if damaged is not None:
            await blobs.suspect(unit, damaged, "missing or short")
        kept = await copies.add_copy(unit, stored, now)
        if held.place:
            # What is not the copy is found by its row, also if we end before it is removed.
            await sessions.keep_part(unit, held.place, stored.size if stored.key == held.place else 0)
            await sessions.forget_parts(unit, [stored.key] if kept else [])
        await blobs.link(unit, inside, digest, now)
        unit.emit(blobs.committed(inside, digest, stored.size))
        return kept

    async def _damaged(self, digest: Digest) -> str | None:
        """The key of a known copy that is damaged: it must not stand in for bytes that came whole."""
        known = await self.pull.reads.copy(str(digest))
        if known is None:
            return None
        try:
            await self.pull.reader.look(*known)
        except CopySuspectError as error:
            return error.key
        return None

    async def _room(self, unit: Unit, column: str, owner: int, most: int) -> str | None:
        try:
            return await sessions.make_room(unit, column, owner, most, self.clock.now() - IDLE)
        except LookupError:
            raise TooManyUploadsError(most, "repository" if column == "repo_id" else "account") from None

    async def _known(self, unit: Unit, repository: Scoped[Repository], id_: str, *, locked: bool = False) -> Upload:
        upload = await sessions.get_upload(unit, repository.resource.id, id_, locked=locked)
        if upload is None or upload.account_id != (repository.principal.actor.account_id or 0):
            raise UploadUnknownError(UNKNOWN)
        return upload

    async def _take(self, repository: Scoped[Repository], id_: str, chunk: Chunk) -> "_Held":
        lease, place = ulid(), self.writer.place()
        async with self.work(repository.principal.actor) as unit:
            upload = await self._known(unit, repository, id_, locked=True)
            if chunk.epoch is not None and chunk.epoch != upload.epoch:
                raise RangeInvalidError("the upload has moved on", upload.offset, upload.epoch)
            if chunk.start is not None and chunk.start != upload.offset:
                raise RangeInvalidError(
                    f"the chunk begins at {chunk.start}, the upload stands at {upload.offset}",
                    upload.offset,
                    upload.epoch,
                )
            reserved = upload.offset + (chunk.length or 0)
            if not await sessions.lease_upload(unit, id_, lease, reserved, self.clock.now()):
                raise RangeInvalidError("another request is writing to this upload", upload.offset, upload.epoch)
            if place:
                upload = await sessions.with_parts(unit, upload)
                await sessions.begin_part(unit, id_, place)
        return _Held(lease, place, upload, upload)

    async def _whole(self, repository: Scoped[Repository], id_: str, chunk: Chunk) -> "_Held | None":
        """An upload that this request alone begins and ends, in a file of its own; None: it has to take its turn."""
        known_end = chunk.length is not None and chunk.length <= AT_ONCE_BYTES
        if not known_end or chunk.start or chunk.epoch or self.writer.place():
            return None
        account = repository.principal.actor.account_id or 0
        upload = await self.pull.reads.untouched(repository.resource.id, id_, account)
        return None if upload is None else _Held("", "", upload, replace(upload, id=ulid()))

    def _body(self, principal: Principal, held: "_Held", chunk: Chunk, pieces: AsyncIterator[bytes]) -> Body:
        if chunk.is_exact and chunk.length is not None:
            pieces = _exactly(pieces, chunk.length)
        return Body(self._renewing(principal, held, pieces), chunk.length)

    async def _give_back(self, principal: Principal, held: "_Held", error: BaseException) -> None:
        """The request failed: the upload is as it was before, or gone if its bytes are."""
        is_over = isinstance(error, DigestInvalidError | QuotaExceededError | UploadUnknownError)
        async with self.work(principal.actor) as unit:
            if is_over:
                is_over = await sessions.end_held(unit, held.upload, held.lease)
            elif held.lease:
                await sessions.free_upload(unit, held.upload.id, held.lease)
        with suppress(StorageUnavailableError):  # then the rows of the parts stay, and the expiry of uploads finds them
            await self._drop_place(principal, held)
            if held.is_own:
                await self.writer.discard(held.file.id, ())
            if is_over:
                await discard(self.work, self.writer, principal, held.upload.id)

    async def _drop_place(self, principal: Principal, held: "_Held") -> None:
        """What the request stored is gone."""
        if held.place:
            await self.writer.discard(held.upload.id, [Part(held.place, 0)])
            async with self.work(principal.actor) as unit:
                await sessions.forget_parts(unit, [held.place])

    async def _renewing(self, principal: Principal, held: "_Held", body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """*body*, with a sign of life for the lease every ten seconds. Raises RangeInvalidError: another has it now.

        Asked before a byte is given on: after a long silence these bytes may belong to nobody any more.
        """
        renewed = self.clock.now()
        async for piece in body:
            if held.lease and self.clock.now() - renewed > RENEW:
                renewed = self.clock.now()
                async with self.work(principal.actor) as unit:
                    if not await sessions.renew_upload(unit, held.upload.id, held.lease, renewed):
                        raise RangeInvalidError(
                            "another request writes to this upload", held.upload.offset, held.upload.epoch
                        )
            yield piece


@dataclass(frozen=True, slots=True)
class _Held:
    """An *upload* that one request has, by its *lease*, or hopes to be alone with (lease empty).

    place: where its bytes go; file: the upload, or another of the same kind, if the bytes are this request's alone.
    """

    lease: str
    place: str
    upload: Upload
    file: Upload

    @property
    def is_own(self) -> bool:
        """Whether nobody else knows of the bytes."""
        return self.file is not self.upload


async def discard(work: Work, writer: UploadWriter, principal: Principal, id_: str) -> None:
    """The bytes of an upload that has ended are gone. A request that still writes some will see to those itself."""
    async with work(principal.actor) as unit:
        parts = [part for part in await sessions.parts_of(unit, id_) if part.size]
    await writer.discard(id_, parts)
    if parts:
        async with work(principal.actor) as unit:
            await sessions.forget_parts(unit, [part.key for part in parts])


async def _exactly(pieces: AsyncIterator[bytes], length: int) -> AsyncIterator[bytes]:
    """*pieces*, all *length* bytes of them. Raises SizeInvalidError."""
    came = 0
    async for piece in pieces:
        came += len(piece)
        if came > length:
            break
        yield piece
    if came != length:
        more = "more than " if came > length else ""
        raise SizeInvalidError(
            f"the body has {more}{min(came, length)} bytes, its range says {length}", "Content-Range"
        )
