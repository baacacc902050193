"""Projects: who owns repositories."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from entrepot.access.model import Project, Site
from entrepot.access.scoped import Scoped
from entrepot.catalog.errors import ProjectExistsError, ProjectNameInvalidError
from entrepot.catalog.model import ProjectCreated
from entrepot.catalog.tables import project
from entrepot.clock import Clock
from entrepot.ids import uuid7
from entrepot.oci.reference import COMPONENT
from entrepot.runtime.unit_of_work import Work
from entrepot.runtime.upsert import insert_or

MAX_NAME: Final = 128
NAME: Final = re.compile(rf"{COMPONENT}\Z")


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

    async def __call__(self, site: Scoped[Site], name: str) -> NewProject:
        """The new project *name*. Raises ProjectNameInvalidError, ProjectExistsError."""
        if len(name) > MAX_NAME or not NAME.match(name):
            raise ProjectNameInvalidError(
                "a project's name has up to 128 lower-case letters and digits, with . _ - between them", "/name"
            )
        values = {"uid": uuid7(), "name": name, "created_at": self.clock.now()}
        async with self.work(site.principal.actor) as unit:
            statement = insert_or(project).values(values).on_conflict_do_nothing().returning(project.c.id)
            row = await unit.fetch_one(statement)
            if row is None:
                raise ProjectExistsError(f"project {name} is there already")
            unit.emit(ProjectCreated(project=name))
        return NewProject(str(values["uid"]), Project(row.id, name), self.clock.now())
