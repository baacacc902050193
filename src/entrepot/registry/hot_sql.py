"""The statements of the pull path, built from the tables and compiled once."""

from typing import Any

from sqlalchemy import CompoundSelect, Select, String, and_, bindparam, func, or_, select, tuple_, union_all

from entrepot.access.tables import role_grant
from entrepot.catalog.tables import manifest, manifest_push, operation, project, repo, repo_blob, tag, tag_history
from entrepot.content.tables import blob, blob_copy, upload
from entrepot.policy.tables import gate, policy_mode
from entrepot.registry.hot import MAX_REFERRER_BYTES, PUBLIC, RegistryStatements
from entrepot.runtime.compiled import compiled
from entrepot.runtime.database_url import Kind

REPOSITORY = (repo.c.id, project.c.id, project.c.name, project.c.visibility, project.c.pipeline)


def registry_statements(kind: Kind) -> RegistryStatements:
    """The statements of `registry/hot.py`, for the database of *kind*."""
    return RegistryStatements(
        by_tag=compiled(_manifest(by_tag=True), kind),
        by_digest=compiled(_manifest(by_tag=False), kind),
        removed_tag=compiled(_removed(by_tag=True), kind),
        removed_digest=compiled(_removed(by_tag=False), kind),
        blob=compiled(_blob(), kind),
        copy=compiled(_copy(), kind),
        holders=compiled(_holders(), kind),
        repository=compiled(
            _named(select(*REPOSITORY).select_from(repo.join(project, project.c.id == repo.c.project_id))), kind
        ),
        project=compiled(
            select(project.c.id, project.c.visibility, project.c.pipeline).where(project.c.name == bindparam("name")),
            kind,
        ),
        tags=compiled(
            select(tag.c.name)
            .where(tag.c.repo_id == bindparam("repo"), tag.c.name > bindparam("last"))
            .order_by(tag.c.name)
            .limit(bindparam("limit")),
            kind,
        ),
        referrers=compiled(_referrers(), kind),
        upload=compiled(
            select(upload.c.algorithm).where(
                upload.c.repo_id == bindparam("repo"),
                upload.c.id == bindparam("upload"),
                upload.c.account_id == bindparam("account"),
                upload.c.epoch == 0,
                upload.c.lease == "",
            ),
            kind,
        ),
        all_repositories=compiled(_repositories(), kind),
        some_repositories=compiled(_repositories().where(_may_see()), kind),
    )


def _named(question: Select[Any]) -> Select[Any]:
    """A deleted repository is as absent."""
    return question.where(repo.c.name == bindparam("name"), repo.c.deleted_at.is_(None))


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
        *REPOSITORY,
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
    return _named(select(*columns).select_from(source))


def _removed(*, by_tag: bool) -> Select[Any]:
    """The operation that took the reference away last, while it can be undone."""
    if by_tag:
        source = operation.join(tag_history, tag_history.c.op == operation.c.id)
        wanted = and_(tag_history.c.repo_id == bindparam("repo"), tag_history.c.name == bindparam("reference"))
    else:
        source = operation.join(manifest, manifest.c.delete_op == operation.c.id)
        wanted = and_(
            manifest.c.repo_id == bindparam("repo"),
            manifest.c.digest == bindparam("reference"),
            manifest.c.deleted_at.is_not(None),
        )
    return (
        select(operation.c.id, operation.c.actor, operation.c.at)
        .select_from(source)
        .where(
            wanted,
            operation.c.undone_at.is_(None),
            operation.c.purged_at.is_(None),
            operation.c.undo_until > bindparam("now"),
        )
        .order_by(operation.c.at.desc())
        .limit(1)
    )


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
    columns = (*REPOSITORY, blob_copy.c.key, blob.c.size, repo_blob.c.leased_until)
    return _named(select(*columns).select_from(source)).limit(1)


def _copy() -> Select[Any]:
    source = blob_copy.join(blob, blob.c.digest == blob_copy.c.digest)
    good = (blob_copy.c.digest == bindparam("digest")) & (blob_copy.c.state == "ready")
    return select(blob_copy.c.key, blob.c.size).select_from(source).where(good).limit(1)


def _holders() -> CompoundSelect[Any]:
    """Of the project as many as are wanted, then of all: each half ends there, however many have the digest."""
    source = (
        repo_blob.join(repo, repo.c.id == repo_blob.c.repo_id)
        .join(project, project.c.id == repo.c.project_id)
        .join(blob, blob.c.digest == repo_blob.c.digest)
        .join(blob_copy, and_(blob_copy.c.digest == repo_blob.c.digest, blob_copy.c.state == "ready"))
    )
    has = and_(repo_blob.c.digest == bindparam("digest"), repo_blob.c.hidden_at.is_(None), repo.c.deleted_at.is_(None))
    columns = (*REPOSITORY, blob_copy.c.key, blob.c.size, repo.c.name)
    some = select(*(each.label(f"c{i}") for i, each in enumerate(columns))).select_from(source).where(has)
    own = some.where(repo.c.project_id == bindparam("project")).limit(bindparam("limit")).subquery()
    others = some.where(repo.c.project_id != bindparam("project")).limit(bindparam("limit")).subquery()
    return union_all(select(own), select(others)).limit(bindparam("limit"))


def _referrers() -> Select[Any]:
    """A page: by the index, without the bytes; cut where the bytes would be too many; and only then with them."""
    order = (manifest.c.pushed_at, manifest.c.digest)
    wanted = bindparam("type", type_=String)
    page = (
        select(manifest.c.pushed_at, manifest.c.digest, manifest.c.size)
        .where(
            manifest.c.repo_id == bindparam("repo"),
            manifest.c.subject_digest == bindparam("subject"),
            manifest.c.deleted_at.is_(None),
            tuple_(*order) > tuple_(bindparam("at"), bindparam("last")),
            or_(wanted == "", manifest.c.artifact_type == wanted),
        )
        .order_by(*order)
        .limit(bindparam("limit"))
        .subquery("page")
    )
    same = (page.c.pushed_at, page.c.digest)
    before = func.sum(page.c.size).over(order_by=same) - page.c.size
    more = func.count().over() - func.row_number().over(order_by=same) + 1
    cut = select(page.c.pushed_at, page.c.digest, before.label("before"), more.label("more")).subquery("cut")
    whole = and_(manifest.c.repo_id == bindparam("repo"), manifest.c.digest == cut.c.digest)
    return (
        select(
            cut.c.pushed_at,
            cut.c.digest,
            manifest.c.media_type,
            manifest.c.artifact_type,
            manifest.c.size,
            manifest.c.bytes,
            cut.c.more,
        )
        .select_from(cut.join(manifest, whole))
        .where(cut.c.before <= MAX_REFERRER_BYTES)
        .order_by(cut.c.pushed_at, cut.c.digest)
    )


def _repositories() -> Select[Any]:
    return (
        select(repo.c.name)
        .where(repo.c.name > bindparam("last"), repo.c.deleted_at.is_(None))
        .order_by(repo.c.name)
        .limit(bindparam("limit"))
    )


def _may_see() -> Any:
    """Repositories of projects the account has a role on, whichever: all let it look; and of public projects."""
    granted = select(role_grant.c.project_id).where(
        role_grant.c.account_id == bindparam("account"), role_grant.c.project_id.is_not(None)
    )
    return repo.c.project_id.in_(
        select(project.c.id).where(or_(project.c.visibility == PUBLIC, project.c.id.in_(granted)))
    )
