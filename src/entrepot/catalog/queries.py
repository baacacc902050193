"""Read-only questions about what exists."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select

from entrepot.access.model import Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import ManifestUnknownError
from entrepot.catalog.model import ASIDE
from entrepot.catalog.tables import manifest, project, ref_blob, ref_manifest, repo, tag, tag_history
from entrepot.content.tables import blob, blob_copy
from entrepot.oci.manifest import Manifest
from entrepot.runtime.database import Database


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project, how it stands, and how many repositories it has."""

    row_id: int
    id: str
    name: str
    created_at: datetime
    visibility: str
    strict_sizes: bool
    repositories: int


@dataclass(frozen=True, slots=True)
class LayerRow:
    """A layer of an image: its place, lowest 0, and its blob."""

    index: int
    digest: str
    size: int
    media_type: str


@dataclass(frozen=True, slots=True)
class ChildRow:
    """A manifest an index lists; kind: image, index or artifact."""

    digest: str
    platform: str
    kind: str


@dataclass(frozen=True, slots=True)
class Artifact:
    """A manifest in a repository, with what it is made of. size: of the manifest and all blobs it names, in bytes."""

    repo_id: int
    repository: str
    project: str
    digest: str
    media_type: str
    artifact_type: str
    kind: str
    size: int
    tags: tuple[str, ...]
    pushed_at: datetime
    pushed_by: str
    layers: tuple[LayerRow, ...]
    children: tuple[ChildRow, ...]


@dataclass(frozen=True, slots=True)
class ReferrerRow:
    """A manifest that speaks of another."""

    digest: str
    artifact_type: str
    size: int
    pushed_at: datetime


@dataclass(frozen=True, slots=True)
class TagRow:
    """A tag: what it names, since when, how often it was moved, and who locked it (None: nobody)."""

    name: str
    digest: str
    rev: int
    moved_at: datetime
    locked_by: str | None


@dataclass(frozen=True, slots=True)
class TagMove:
    """One move of a tag; digest None: it was deleted, by *operation*."""

    rev: int
    digest: str | None
    actor: str
    at: datetime
    operation: str | None


@dataclass(frozen=True, slots=True)
class CatalogQueries:
    """Asks *database*."""

    database: Database

    async def projects(self, ids: Iterable[int] | None, after: str | None, limit: int) -> list[ProjectRow]:
        """Projects by name, behind the name *after*; only those of *ids*, if given."""
        there = and_(repo.c.project_id == project.c.id, repo.c.deleted_at.is_(None))
        repositories = select(func.count()).where(there).scalar_subquery()
        columns = (project.c.id, project.c.uid, project.c.name, project.c.created_at)
        question = select(*columns, project.c.visibility, project.c.strict_sizes, repositories)
        question = question.order_by(project.c.name).limit(limit)
        question = question.where(project.c.name.not_like(f"{ASIDE}%"))
        question = question.where(project.c.name > after) if after else question
        question = question.where(project.c.id.in_(list(ids))) if ids is not None else question
        async with self.database.reading() as connection:
            return [ProjectRow(*row) for row in await connection.execute(question)]

    async def nearly_full(self, ids: Iterable[int] | None, percent: int, limit: int) -> list[tuple[str, int, int]]:
        """Projects that keep *percent* % of what they may: names, bytes kept and allowed; the least room first."""
        share = 100 * project.c.quota_used >= percent * project.c.quota_limit
        question = select(project.c.name, project.c.quota_used, project.c.quota_limit)
        question = question.where(project.c.quota_limit.is_not(None), share, project.c.name.not_like(f"{ASIDE}%"))
        question = question.where(project.c.id.in_(list(ids))) if ids is not None else question
        question = question.order_by((project.c.quota_limit - project.c.quota_used), project.c.name).limit(limit)
        async with self.database.reading() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(question)]

    async def tags(self, repository: Scoped[Repository], after: str, limit: int) -> list[TagRow]:
        """Tags behind the name *after*, in the order of their bytes."""
        question = select(tag.c.name, tag.c.digest, tag.c.rev, tag.c.moved_at, tag.c.locked_by)
        question = question.where(tag.c.repo_id == repository.resource.id, tag.c.name > after)
        async with self.database.reading() as connection:
            return [TagRow(*row) for row in await connection.execute(question.order_by(tag.c.name).limit(limit))]

    async def tag(self, repository: Scoped[Repository], name: str) -> TagRow:
        """The tag *name*. Raises ManifestUnknownError."""
        question = select(tag.c.name, tag.c.digest, tag.c.rev, tag.c.moved_at, tag.c.locked_by)
        question = question.where(tag.c.repo_id == repository.resource.id, tag.c.name == name)
        async with self.database.reading() as connection:
            row = (await connection.execute(question)).one_or_none()
        if row is None:
            raise ManifestUnknownError(f"{repository.resource.name} has no tag {name}")
        return TagRow(*row)

    async def tag_history(
        self, repository: Scoped[Repository], name: str, before: int | None, limit: int
    ) -> list[TagMove]:
        """Moves of the tag *name* before the move *before*, the last first."""
        columns = (tag_history.c.rev, tag_history.c.digest, tag_history.c.actor, tag_history.c.at, tag_history.c.op)
        there = (tag_history.c.repo_id == repository.resource.id) & (tag_history.c.name == name)
        question = select(*columns).where(there).order_by(tag_history.c.rev.desc()).limit(limit)
        question = question if before is None else question.where(tag_history.c.rev < before)
        async with self.database.reading() as connection:
            return [TagMove(*row) for row in await connection.execute(question)]

    async def referrers(self, artifact: Artifact, limit: int) -> list[ReferrerRow]:
        """Manifests beside *artifact* whose subject it is, as pushed; at most *limit*."""
        columns = (manifest.c.digest, manifest.c.artifact_type, manifest.c.size, manifest.c.pushed_at)
        there = (manifest.c.repo_id == artifact.repo_id) & (manifest.c.subject_digest == artifact.digest)
        question = select(*columns).where(there, manifest.c.deleted_at.is_(None))
        question = question.order_by(manifest.c.pushed_at, manifest.c.digest).limit(limit)
        async with self.database.reading() as connection:
            return [ReferrerRow(*row) for row in await connection.execute(question)]

    async def config_copy(self, artifact: Artifact) -> tuple[str, int] | None:
        """Key and size of the config blob of *artifact*; None where it has none, or no good copy of it."""
        names = (ref_blob.c.repo_id == artifact.repo_id) & (ref_blob.c.parent == artifact.digest)
        question = (
            select(blob_copy.c.key, blob_copy.c.size)
            .join(ref_blob, ref_blob.c.digest == blob_copy.c.digest)
            .where(names, ref_blob.c.kind == "config", blob_copy.c.state == "ready")
            .limit(1)
        )
        async with self.database.reading() as connection:
            row = (await connection.execute(question)).one_or_none()
        return None if row is None else (row.key, row.size)

    async def artifact(self, repository: Scoped[Repository], reference: str) -> Artifact:
        """What *reference*, a tag or digest, names there. Raises ManifestUnknownError."""
        where = repository.resource
        digest = (
            reference
            if ":" in reference
            else select(tag.c.digest).where(tag.c.repo_id == where.id, tag.c.name == reference).scalar_subquery()
        )
        found = select(manifest).where(
            manifest.c.repo_id == where.id, manifest.c.digest == digest, manifest.c.deleted_at.is_(None)
        )
        async with self.database.reading() as connection:
            row = (await connection.execute(found)).one_or_none()
            if row is None:
                raise ManifestUnknownError(f"{where.name} has no {reference}")
            names = select(tag.c.name).where(tag.c.repo_id == where.id, tag.c.digest == row.digest)
            tags = (await connection.execute(names.order_by(tag.c.name))).scalars().all()
            sizes = select(func.sum(blob.c.size)).where(
                blob.c.digest.in_(
                    select(ref_blob.c.digest).where(ref_blob.c.repo_id == where.id, ref_blob.c.parent == row.digest)
                )
            )
            bytes_below = (await connection.execute(sizes)).scalar_one() or 0
            listed = (
                select(ref_manifest.c.child, ref_manifest.c.platform, manifest.c.kind)
                .join(
                    manifest,
                    (manifest.c.repo_id == ref_manifest.c.repo_id) & (manifest.c.digest == ref_manifest.c.child),
                )
                .where(ref_manifest.c.repo_id == where.id, ref_manifest.c.parent == row.digest)
            )
            children = (await connection.execute(listed.order_by(ref_manifest.c.position))).all()
        layers = Manifest.parse(row.bytes, row.media_type).layers if row.kind != "index" else ()
        return Artifact(
            where.id,
            where.name,
            where.project.name,
            row.digest,
            row.media_type,
            row.artifact_type,
            row.kind,
            row.size + bytes_below,
            tuple(tags),
            row.pushed_at,
            row.pushed_by,
            tuple(LayerRow(i, str(x.digest), x.size, x.media_type) for i, x in enumerate(layers)),
            tuple(ChildRow(child.child, child.platform, child.kind) for child in children),
        )
