"""What a pull asks the database: one statement each, on the raw driver (runtime/hot.py)."""

from dataclasses import dataclass

from entrepot.access.model import Project, Repository
from entrepot.runtime.hot import HotReader, Statement


@dataclass(frozen=True, slots=True)
class RegistryStatements:
    """SQL, compiled by hot_sql.py; the columns are those of the values below, in their order."""

    by_tag: Statement
    by_digest: Statement
    blob: Statement
    repository: Statement
    project: Statement
    tags: Statement


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
class FoundBlob:
    """A repository, and the copy of the blob asked for (key None: not linked here, or no good copy)."""

    repository: Repository
    key: str | None
    size: int


@dataclass(frozen=True, slots=True)
class RegistryReads:
    """Asks by name; nothing it gives may be used before `authorize()` has seen its repository."""

    hot: HotReader
    statements: RegistryStatements

    def manifest(self, name: str, reference: str, account: int | None) -> Found | None:
        """The manifest *reference* (tag or digest) of *name*; None if there is no such repository."""
        by_digest = ":" in reference
        statement = self.statements.by_digest if by_digest else self.statements.by_tag
        row = self.hot.one(statement, {"name": name, "reference": reference, "account": account})
        if row is None:
            return None
        repository = Repository(row[0], name, Project(row[1], row[2]))
        return Found(
            repository, row[3] or "monitor", row[4], row[5] or "", row[6] or "", row[7] or 0, row[8] or b"", *row[9:]
        )

    def blob(self, name: str, digest: str) -> FoundBlob | None:
        """The blob *digest* of *name*; None if there is no such repository."""
        row = self.hot.one(self.statements.blob, {"name": name, "digest": digest})
        if row is None:
            return None
        return FoundBlob(Repository(row[0], name, Project(row[1], row[2])), row[3], row[4] or 0)

    def repository(self, name: str) -> Repository | None:
        """The repository *name*."""
        row = self.hot.one(self.statements.repository, {"name": name})
        return None if row is None else Repository(row[0], name, Project(row[1], row[2]))

    def project(self, name: str) -> Project | None:
        """The project *name*."""
        row = self.hot.one(self.statements.project, {"name": name})
        return None if row is None else Project(row[0], name)

    def tags(self, repo_id: int, last: str, limit: int) -> list[str]:
        """Tags of the repository behind *last* in the order of their bytes, at most *limit*."""
        rows = self.hot.all(self.statements.tags, {"repo": repo_id, "last": last, "limit": limit})
        return [row[0] for row in rows]
