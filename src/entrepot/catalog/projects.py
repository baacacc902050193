"""Projects: who owns repositories."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from sqlalchemy import select, update

from entrepot.access.model import Project, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import ProjectExistsError, ProjectNameInvalidError, ProjectUnknownError
from entrepot.catalog.model import ProjectCreated, ProjectEdited
from entrepot.catalog.tables import project
from entrepot.clock import Clock
from entrepot.ids import uuid7
from entrepot.oci.reference import COMPONENT
from entrepot.runtime.errors import StaleError
from entrepot.runtime.unit_of_work import Work
from entrepot.runtime.upsert import insert_or

MAX_NAME: Final = 128
NAME: Final = re.compile(rf"{COMPONENT}\Z")


class Visibility(StrEnum):
    """Who may pull from a project without a role on it: nobody, or everybody, logged in or not."""

    PRIVATE = "private"
    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class NewProject:
    """A project just made."""

    id: str
    project: Project
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CreateProject:
    """Makes a project: the first part of the names of its repositories."""

    work: Work
    clock: Clock

    async def __call__(self, site: Scoped[Site], name: str, visibility: Visibility = Visibility.PRIVATE) -> NewProject:
        """The new project *name*. Raises ProjectNameInvalidError, ProjectExistsError."""
        if len(name) > MAX_NAME or not NAME.match(name):
            raise ProjectNameInvalidError(
                "a project's name has up to 128 lower-case letters and digits, with . _ - between them", "/name"
            )
        values = {"uid": uuid7(), "name": name, "created_at": self.clock.now(), "visibility": visibility.value}
        async with self.work(site.principal.actor) as unit:
            statement = insert_or(project).values(values).on_conflict_do_nothing().returning(project.c.id)
            row = await unit.fetch_one(statement)
            if row is None:
                raise ProjectExistsError(f"project {name} is there already")
            unit.emit(ProjectCreated(project=name))
            if visibility is not Visibility.PRIVATE:
                unit.emit(ProjectEdited(project=name, visibility=visibility.value, strict_sizes=True))
        return NewProject(str(values["uid"]), Project(row.id, name, visibility is Visibility.PUBLIC), self.clock.now())


@dataclass(frozen=True, slots=True)
class Switches:
    """How a project stands. strict_sizes: whether a manifest's sizes must be those of the stored bytes."""

    visibility: Visibility
    strict_sizes: bool


@dataclass(frozen=True, slots=True)
class EditProject:
    """Sets a project's switches."""

    work: Work

    async def __call__(
        self,
        scoped: Scoped[Project],
        visibility: Visibility | None,
        *,
        strict_sizes: bool | None,
        expected: Switches | None = None,
    ) -> Switches:
        """How the project stands now; None leaves a switch as it is. At once, for those who pull already too.

        expected: how it must have stood before, None for any way. Raises StaleError.
        """
        own = project.c.id == scoped.resource.id
        async with self.work(scoped.principal.actor) as unit:
            question = select(project.c.visibility, project.c.strict_sizes).where(own).with_for_update()
            row = await unit.fetch_one(question)
            if row is None:
                raise ProjectUnknownError(f"no project {scoped.resource.name}")
            before = Switches(Visibility(row.visibility), row.strict_sizes)
            if expected not in {None, before}:
                raise StaleError
            after = Switches(
                before.visibility if visibility is None else visibility,
                before.strict_sizes if strict_sizes is None else strict_sizes,
            )
            if after != before:
                change = update(project).where(own)
                await unit.execute(change.values(visibility=after.visibility.value, strict_sizes=after.strict_sizes))
                unit.emit(
                    ProjectEdited(
                        project=scoped.resource.name,
                        visibility=after.visibility.value,
                        strict_sizes=after.strict_sizes,
                    )
                )
        return after
