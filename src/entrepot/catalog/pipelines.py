"""The row that holds a project's pipeline (stages.py says what that is)."""

import msgspec
from sqlalchemy import select, update

from entrepot.catalog.errors import ProjectUnknownError
from entrepot.catalog.stages import DEFAULT, Pipeline, read_pipeline
from entrepot.catalog.tables import project
from entrepot.runtime.unit_of_work import Unit


async def pipeline_of(unit: Unit, project_id: int, *, for_change: bool = False) -> Pipeline:
    """The project's pipeline; it stays until *unit* ends. Raises ProjectUnknownError."""
    question = select(project.c.pipeline).where(project.c.id == project_id)
    row = await unit.fetch_one(question.with_for_update(read=not for_change, key_share=not for_change))
    if row is None:
        raise ProjectUnknownError("the project is gone")
    return read_pipeline(row.pipeline)


async def put_pipeline(unit: Unit, project_id: int, pipeline: Pipeline) -> None:
    """The project's pipeline, checked before."""
    text = None if pipeline == DEFAULT else msgspec.json.encode(pipeline).decode()
    await unit.execute(update(project).where(project.c.id == project_id).values(pipeline=text))
