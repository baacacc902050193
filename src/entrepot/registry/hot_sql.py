"""The statements of the pull path, built from the tables and compiled once."""

from typing import Any

from sqlalchemy import Select, and_, bindparam, select

from entrepot.catalog.tables import manifest, manifest_push, project, repo, repo_blob, tag
from entrepot.content.tables import blob, blob_copy
from entrepot.policy.tables import gate, policy_mode
from entrepot.registry.hot import RegistryStatements
from entrepot.runtime.compiled import compiled


def registry_statements() -> RegistryStatements:
    """The statements of `registry/hot.py`."""
    return RegistryStatements(
        by_tag=compiled(_manifest(by_tag=True)),
        by_digest=compiled(_manifest(by_tag=False)),
        blob=compiled(_blob()),
        repository=compiled(
            select(repo.c.id, project.c.id, project.c.name)
            .select_from(repo.join(project, project.c.id == repo.c.project_id))
            .where(repo.c.name == bindparam("name"))
        ),
        project=compiled(select(project.c.id).where(project.c.name == bindparam("name"))),
        tags=compiled(
            select(tag.c.name)
            .where(tag.c.repo_id == bindparam("repo"), tag.c.name > bindparam("last"))
            .order_by(tag.c.name)
            .limit(bindparam("limit"))
        ),
    )


def _manifest(*, by_tag: bool) -> Select[Any]:
    """Repository, tag, manifest, gate and the asker's own push in one row, also when only the repository is there."""
    source = repo.join(project, project.c.id == repo.c.project_id).outerjoin(
        policy_mode, policy_mode.c.project_id == project.c.id
    )
    if by_tag:
        source = source.outerjoin(tag, and_(tag.c.repo_id == repo.c.id, tag.c.name == bindparam("reference")))
        wanted = manifest.c.digest == tag.c.digest
    else:
        wanted = manifest.c.digest == bindparam("reference")
    source = (
        source.outerjoin(manifest, and_(manifest.c.repo_id == repo.c.id, wanted, manifest.c.deleted_at.is_(None)))
        .outerjoin(gate, and_(gate.c.repo_id == repo.c.id, gate.c.digest == manifest.c.digest))
        .outerjoin(
            manifest_push,
            and_(
                manifest_push.c.repo_id == repo.c.id,
                manifest_push.c.digest == manifest.c.digest,
                manifest_push.c.account_id == bindparam("account"),
            ),
        )
    )
    columns = (
        repo.c.id,
        project.c.id,
        project.c.name,
        policy_mode.c.mode,
        manifest.c.digest,
        manifest.c.media_type,
        manifest.c.kind,
        manifest.c.size,
        manifest.c.bytes,
        manifest.c.pushed_at,
        gate.c.outcome,
        gate.c.text,
        manifest_push.c.at,
    )
    return select(*columns).select_from(source).where(repo.c.name == bindparam("name"))


def _blob() -> Select[Any]:
    source = (
        repo.join(project, project.c.id == repo.c.project_id)
        .outerjoin(
            repo_blob,
            and_(
                repo_blob.c.repo_id == repo.c.id,
                repo_blob.c.digest == bindparam("digest"),
                repo_blob.c.hidden_at.is_(None),
            ),
        )
        .outerjoin(blob_copy, and_(blob_copy.c.digest == repo_blob.c.digest, blob_copy.c.state == "ready"))
        .outerjoin(blob, blob.c.digest == repo_blob.c.digest)
    )
    columns = (repo.c.id, project.c.id, project.c.name, blob_copy.c.key, blob.c.size)
    return select(*columns).select_from(source).where(repo.c.name == bindparam("name")).limit(1)
