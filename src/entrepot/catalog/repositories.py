"""Repositories come to be with the first push into them, and are set aside with all they have when they are deleted.

What is set aside gets a name that no request can ask for: it is gone at once, whole and for everybody, its old name
is free again, and undoing is one row more, however many tags it has.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, String, bindparam, func, literal, select, update

from entrepot.access.authorize import made
from entrepot.access.model import Project, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog import operations, tags
from entrepot.catalog.errors import RepositoryUnknownError, UndoImpossibleError
from entrepot.catalog.model import ASIDE, ProjectDeleted, RepositoryCreated, RepositoryDeleted
from entrepot.catalog.operations import Deletion, Operation
from entrepot.catalog.tables import project, repo, tag
from entrepot.ids import uuid7
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or

# It is asked with each push and stands built: building it takes longer than running it.
IS_THERE: Final = (
    select(repo.c.id)
    .where(repo.c.id == bindparam("repo"), repo.c.deleted_at.is_(None))
    .with_for_update(read=True, key_share=True)
)


async def ensure(unit: Unit, repository: Scoped[Repository], now: datetime) -> Scoped[Repository]:
    """*repository* with its row, made if it is not there or was deleted; it stays until *unit* ends."""
    wanted = repository.resource
    if wanted.id and await is_there(unit, wanted.id):
        return repository
    values = {"uid": uuid7(), "project_id": wanted.project.id, "name": wanted.name, "created_at": now}
    row = await unit.fetch_one(insert_or(repo).values(values).on_conflict_do_nothing().returning(repo.c.id))
    if row is not None:
        if not await _is_named(unit, wanted.project):
            raise RepositoryUnknownError
        unit.emit(RepositoryCreated(project=wanted.project.name, repository=wanted.name))
        return made(repository, int(row.id))
    question = select(repo.c.id).where(repo.c.name == wanted.name, repo.c.project_id == wanted.project.id)
    found = await unit.fetch_one(question.with_for_update(read=True, key_share=True))
    if found is None:  # deleted between the two statements; the client's plain retry makes it anew
        raise RepositoryUnknownError
    return made(repository, int(found.id))


async def delete(unit: Unit, repository: Scoped[Repository], when: Deletion) -> str:
    """The repository is gone with all it has; the operation that undoes it.

    Raises RepositoryUnknownError, TagLockedError.
    """
    resource = repository.resource
    there = (repo.c.id == resource.id) & repo.c.deleted_at.is_(None)
    if await unit.fetch_one(select(repo.c.id).where(there).with_for_update()) is None:
        raise RepositoryUnknownError
    await tags.check_unlocked(unit, tag.c.repo_id == resource.id)
    where = {"project": resource.project.name, "repository": resource.name}
    op = await operations.begin(unit, operations.Kind.REPOSITORY, when, **where, reference="")
    await unit.execute(update(repo).where(there).values(name=ASIDE + op, deleted_at=when.at, delete_op=op))
    unit.emit(RepositoryDeleted(**where, operation=op))
    return op


async def delete_project(unit: Unit, owner: Scoped[Project], when: Deletion) -> str:
    """The project is gone with its repositories; the operation that undoes it.

    Raises RepositoryUnknownError, TagLockedError.
    """
    resource = owner.resource
    named = (project.c.id == resource.id) & (project.c.name == resource.name)
    if await unit.fetch_one(select(project.c.id).where(named).with_for_update()) is None:
        raise RepositoryUnknownError
    theirs = (repo.c.project_id == resource.id) & repo.c.deleted_at.is_(None)
    await unit.fetch_all(select(repo.c.id).where(theirs).order_by(repo.c.id).with_for_update())
    await tags.check_unlocked(unit, tag.c.repo_id.in_(select(repo.c.id).where(theirs)))
    # The row's number is short, so the repositories' names get no longer than they may be.
    aside = f"{ASIDE}{resource.id}"
    op = await operations.begin(unit, operations.Kind.PROJECT, when, project=resource.name, reference=aside)
    values = {"name": _below(aside, resource.name), "deleted_at": when.at, "delete_op": op}
    changed = await unit.execute(update(repo).where(theirs).values(values))
    await unit.execute(update(project).where(named).values(name=aside))
    unit.emit(ProjectDeleted(project=resource.name, operation=op, repositories=changed.rowcount))
    return op


async def bring_back(unit: Unit, operation: Operation) -> None:
    """The repository that *operation* deleted is there again. Raises UndoImpossibleError: its name is taken."""
    name = operation.repository
    taken = await unit.fetch_one(select(repo.c.id).where(repo.c.name == name))
    if taken is not None:
        raise UndoImpossibleError(f"{name} is there again: delete that one first", [name])
    values = {"name": name, "deleted_at": None, "delete_op": None}
    if not (await unit.execute(update(repo).where(repo.c.delete_op == operation.id).values(values))).rowcount:
        raise UndoImpossibleError(f"{name} is gone for good", [name])


async def bring_back_project(unit: Unit, operation: Operation) -> None:
    """The project that *operation* deleted is there again, with its repositories. Raises UndoImpossibleError."""
    name, aside = operation.project, operation.reference
    if await unit.fetch_one(select(project.c.id).where(project.c.name == name)) is not None:
        raise UndoImpossibleError(f"{name} is there again: delete that one first", [name])
    if not (await unit.execute(update(project).where(project.c.name == aside).values(name=name))).rowcount:
        raise UndoImpossibleError(f"{name} is gone for good", [name])
    values = {"name": _below(name, aside), "deleted_at": None, "delete_op": None}
    await unit.execute(update(repo).where(repo.c.delete_op == operation.id).values(values))


async def deleted_by(unit: Unit, op: str) -> list[int]:
    """Rows of the repositories that the operation *op* holds in the trash."""
    return [row.id for row in await unit.fetch_all(select(repo.c.id).where(repo.c.delete_op == op))]


async def named(unit: Unit, name: str) -> list[int]:
    """The row of the repository *name*, if there is one."""
    return [row.id for row in await unit.fetch_all(select(repo.c.id).where(repo.c.name == name))]


async def project_named(unit: Unit, name: str) -> Project | None:
    """The project *name*, if there is one."""
    row = await unit.fetch_one(select(project.c.id).where(project.c.name == name))
    return None if row is None else Project(int(row.id), name)


def _below(new: str, old: str) -> ColumnElement[str]:
    """The name of a repository of the project *old* if that is called *new*."""
    return literal(new, String).concat(func.substr(repo.c.name, len(old) + 1, type_=String))


async def is_there(unit: Unit, repo_id: int) -> bool:
    """Whether the repository of that row is there; then it stays until *unit* ends."""
    return await unit.fetch_one(IS_THERE, {"repo": repo_id}) is not None


async def _is_named(unit: Unit, owner: Project) -> bool:
    question = select(project.c.id).where(project.c.id == owner.id, project.c.name == owner.name)
    return await unit.fetch_one(question) is not None
