"""What a pull asks the database: one statement each, on the raw driver (runtime/hot.py)."""

from dataclasses import dataclass
from typing import Any, Final

from entrepot.access.model import Project, Repository
from entrepot.catalog.stages import protected_places
from entrepot.content.model import Upload
from entrepot.runtime.hot import HotReader, Statement, Value

PUBLIC: Final = "public"
STRICT: Final = "enforce"
MAX_REFERRER_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class RegistryStatements:
    """SQL, compiled by hot_sql.py; the columns are those of the values below, in their order."""

    by_tag: Statement
    by_digest: Statement
    removed_tag: Statement
    removed_digest: Statement
    blob: Statement
    copy: Statement
    holders: Statement
    repository: Statement
    project: Statement
    tags: Statement
    referrers: Statement
    upload: Statement
    all_repositories: Statement
    some_repositories: Statement


@dataclass(frozen=True, slots=True)
class Found:
    """A repository, and what it has under the reference asked for (digest None: nothing).

    mode: the project's; gate: outcome and text of the gate row, None if it is not judged; pushed_at, own_push_at:
    microseconds since 1970, of the manifest and of the asking account's own push of it.
    """

    repository: Repository
    mode: str
    digest: str | None
    media_type: str
    kind: str
    size: int
    body: bytes
    pushed_at: int
    gate: str | None
    gate_text: str
    own_push_at: int | None


@dataclass(frozen=True, slots=True)
class Removed:
    """The operation that took something away and can be undone. at: microseconds since 1970."""

    operation: str
    actor: str
    at: int


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A repository, and the copy of the blob asked for (key None: not linked here, or no good copy).

    leased_until: microseconds since 1970 to which the link stays also without a manifest.
    """

    repository: Repository
    key: str | None
    size: int
    leased_until: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of referrers ends: microseconds since 1970 of a push, and the digest pushed."""

    at: int
    digest: str


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest with a subject. more: how many there are from this one on, up to the limit asked for."""

    place: Place
    media_type: str
    artifact_type: str
    size: int
    body: bytes
    more: int


@dataclass(frozen=True, slots=True)
class RegistryReads:
    """Asks by name; nothing it gives may be used before `authorize()` has seen its repository."""

    hot: HotReader
    statements: RegistryStatements

    async def manifest(self, name: str, reference: str, account: int | None) -> Found | None:
        """The manifest *reference* (tag or digest) of *name*; None if there is no such repository."""
        by_digest = ":" in reference
        statement = self.statements.by_digest if by_digest else self.statements.by_tag
        values = {"name": name, "reference": reference, "account": account}
        return await self.hot.found(statement, values, lambda row: _found(name, row))

    async def removed(self, repo_id: int, reference: str, now_us: int) -> Removed | None:
        """What took *reference* (tag or digest) away from the repository; None if nothing did that can be undone."""
        statement = self.statements.removed_digest if ":" in reference else self.statements.removed_tag
        row = await self.hot.one(statement, {"repo": repo_id, "reference": reference, "now": now_us})
        return None if row is None else Removed(*row)

    async def blob(self, name: str, digest: str) -> FoundBlob | None:
        """The blob *digest* of *name*; None if there is no such repository."""
        row = await self.hot.one(self.statements.blob, {"name": name, "digest": digest})
        if row is None:
            return None
        return FoundBlob(_repository(name, row), row[5], row[6] or 0, row[7] or 0)

    async def copy(self, digest: str) -> tuple[str, int] | None:
        """Key and size of a good copy of *digest*, wherever it is linked."""
        row = await self.hot.one(self.statements.copy, {"digest": digest})
        return None if row is None else (row[0], row[1])

    async def holders(self, digest: str, project_id: int, limit: int) -> list[FoundBlob]:
        """Repositories that have *digest*, at most *limit*, those of the project first."""
        rows = await self.hot.all(self.statements.holders, {"digest": digest, "project": project_id, "limit": limit})
        return [FoundBlob(_repository(row[7], row), row[5], row[6]) for row in rows]

    async def repository(self, name: str) -> Repository | None:
        """The repository *name*."""
        row = await self.hot.one(self.statements.repository, {"name": name})
        return None if row is None else _repository(name, row)

    async def project(self, name: str) -> Project | None:
        """The project *name*."""
        row = await self.hot.one(self.statements.project, {"name": name})
        return None if row is None else Project(row[0], name, row[1] == PUBLIC, protected_places(row[2]))

    async def tags(self, repo_id: int, last: str, limit: int) -> list[str]:
        """Tags of the repository behind *last* in the order of their bytes, at most *limit*."""
        rows = await self.hot.all(self.statements.tags, {"repo": repo_id, "last": last, "limit": limit})
        return [row[0] for row in rows]

    async def referrers(
        self, repo_id: int, subject: str, artifact_type: str, after: Place, limit: int
    ) -> list[Referrer]:
        """Referrers of *subject* behind *after*, in order of push, at most *limit*; of *artifact_type* only, if given.

        As many as there are bytes of manifests in MAX_REFERRER_BYTES, and one more.
        """
        wanted: dict[str, Value] = {"repo": repo_id, "subject": subject, "type": artifact_type}
        values = wanted | {"at": after.at, "last": after.digest, "limit": limit}
        rows = await self.hot.all(self.statements.referrers, values)
        return [Referrer(Place(row[0], row[1]), *row[2:]) for row in rows]

    async def untouched(self, repo_id: int, id_: str, account: int) -> Upload | None:
        """The account's upload *id_*, if it holds nothing yet and nobody writes to it."""
        row = await self.hot.one(self.statements.upload, {"repo": repo_id, "upload": id_, "account": account})
        return None if row is None else Upload(id_, repo_id, account, 0, 0, row[0])

    async def repositories(self, account: int | None, last: str, limit: int) -> list[str]:
        """Names of repositories behind *last* in the order of their bytes, at most *limit*.

        account: only those in projects it has a role on, and in public ones; None: all there are.
        """
        if account is None:
            rows = await self.hot.all(self.statements.all_repositories, {"last": last, "limit": limit})
        else:
            values: dict[str, Value] = {"account": account, "last": last, "limit": limit}
            rows = await self.hot.all(self.statements.some_repositories, values)
        return [row[0] for row in rows]


def _found(name: str, row: tuple[Any, ...]) -> Found:
    """What a row of `by_tag` or `by_digest` says of the repository *name*."""
    mode, digest, media_type, kind, size, body = row[5:11]
    whole = (media_type or "", kind or "", size or 0, body or b"")
    repository = _repository(name, row)
    # Where nobody pushes, nothing is served that would not be let in.
    mode = STRICT if repository.protection else mode or "monitor"
    return Found(repository, mode, digest, *whole, *row[11:])


def _repository(name: str, row: tuple[Any, ...]) -> Repository:
    """The repository *name* of a row that begins with its id and its project's id, name, visibility and pipeline."""
    return Repository(row[0], name, Project(row[1], row[2], row[3] == PUBLIC, protected_places(row[4])))
