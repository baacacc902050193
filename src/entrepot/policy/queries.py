"""Read-only questions about modes and verdicts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sqlalchemy import String, func, literal, select, text

from entrepot.access.model import Project, Repository
from entrepot.access.scoped import Scoped
from entrepot.catalog.model import ASIDE
from entrepot.catalog.queries import Artifact
from entrepot.catalog.tables import project, repo, tag
from entrepot.policy.model import BASELINE, DEFAULT_MODE, Mode, Outcome, mode_in
from entrepot.policy.tables import REFUSED, gate, policy_mode, verdict
from entrepot.runtime.database import Database
from entrepot.runtime.filters import Field, Kind
from entrepot.runtime.lists import Listing, Part, Wanted
from entrepot.runtime.pages import Columns

BINDINGS: Final = Listing(
    {
        "project": Field(Kind.TEXT),
        "policy": Field(Kind.TEXT, sorts=False),
        "mode": Field(Kind.TEXT),
        "wanted": Field(Kind.TEXT),
    },
    key="project",
    default="project",
)
BINDING_COLUMNS: Final = Columns(
    BINDINGS,
    {
        "project": project.c.name,
        "policy": literal(BASELINE.name, String),
        "mode": func.coalesce(policy_mode.c.mode, DEFAULT_MODE.value, type_=String),
        "wanted": func.coalesce(policy_mode.c.wanted, "", type_=String),
    },
)


@dataclass(frozen=True, slots=True)
class VerdictState:
    """What a pull of a digest meets, and why. outcome: of the verdict, before the mode."""

    outcome: Outcome
    policy: str
    mode: Mode
    text: str


@dataclass(frozen=True, slots=True)
class BlockedRow:
    """A manifest with a tag whose verdict is block or error; text: what a pull of it is told."""

    repository: str
    digest: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True)
class Binding:
    """How a policy binds a project. wanted: a mode that was asked for and is not in force yet; empty: none was."""

    project: str
    policy: str
    mode: str
    wanted: str


@dataclass(frozen=True, slots=True)
class PolicyQueries:
    """Asks *database*."""

    database: Database

    async def mode(self, project: Scoped[Project]) -> tuple[Mode, Mode | None]:
        """The project's mode, and the one that is wanted, if it is not in force yet."""
        return (await self.modes([project.resource.id])).get(project.resource.id, (DEFAULT_MODE, None))

    async def modes(self, project_ids: Iterable[int]) -> dict[int, tuple[Mode, Mode | None]]:
        """As `mode`, by project row; projects in the default mode may be absent."""
        columns = (policy_mode.c.project_id, policy_mode.c.mode, policy_mode.c.wanted)
        question = select(*columns).where(policy_mode.c.project_id.in_(list(project_ids)))
        async with self.database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return {row.project_id: (Mode(row.mode), Mode(row.wanted) if row.wanted else None) for row in rows}

    async def bindings(self, project_ids: Iterable[int] | None, wanted: Wanted) -> Part[Binding]:
        """How projects are bound by the policy; only those of *project_ids*, if given."""
        question = select(*(column.label(name) for name, column in BINDING_COLUMNS.of.items())).select_from(project)
        question = question.outerjoin(policy_mode, policy_mode.c.project_id == project.c.id)
        question = question.where(project.c.name.not_like(f"{ASIDE}%"))
        question = question if project_ids is None else question.where(project.c.id.in_(list(project_ids)))
        async with self.database.reading() as connection:
            part = await BINDING_COLUMNS.page(connection, question, wanted)
        return Part([Binding(*row[:4]) for row in part.items], part.next, part.total)

    async def verdict(self, artifact: Artifact) -> VerdictState:
        """The verdict on *artifact* where it lies; pending while there is none."""
        question = (
            select(
                verdict.c.outcome, verdict.c.policy, policy_mode.c.mode, gate.c.text, repo.c.name, project.c.pipeline
            )
            .select_from(repo)
            .join(project, project.c.id == repo.c.project_id)
            .outerjoin(policy_mode, policy_mode.c.project_id == repo.c.project_id)
            .outerjoin(verdict, (verdict.c.repo_id == repo.c.id) & (verdict.c.digest == artifact.digest))
            .outerjoin(gate, (gate.c.repo_id == repo.c.id) & (gate.c.digest == artifact.digest))
            .where(repo.c.id == artifact.repo_id)
        )
        async with self.database.reading() as connection:
            row = (await connection.execute(question)).one()
        mode = mode_in(row.name, row.pipeline, Mode(row.mode or DEFAULT_MODE))
        if artifact.kind == "artifact":
            return VerdictState(Outcome.PASS, "", mode, "")
        return VerdictState(Outcome(row.outcome or Outcome.PENDING), row.policy or "", mode, row.text or "")

    async def outcomes(self, artifact: Artifact) -> dict[str, Outcome]:
        """Outcomes of the children of the index *artifact*, by digest."""
        digests = [child.digest for child in artifact.children]
        question = select(verdict.c.digest, verdict.c.outcome).where(
            verdict.c.repo_id == artifact.repo_id, verdict.c.digest.in_(digests)
        )
        async with self.database.reading() as connection:
            return {row.digest: Outcome(row.outcome) for row in await connection.execute(question)}

    async def outcomes_of(self, repository: Scoped[Repository], digests: Iterable[str]) -> dict[str, Outcome]:
        """Outcomes of *digests* in *repository*; those without a verdict are absent."""
        question = select(verdict.c.digest, verdict.c.outcome).where(
            verdict.c.repo_id == repository.resource.id, verdict.c.digest.in_(list(digests))
        )
        async with self.database.reading() as connection:
            return {row.digest: Outcome(row.outcome) for row in await connection.execute(question)}

    async def blocked(self, project_ids: Iterable[int] | None, limit: int) -> list[BlockedRow]:
        """Tagged manifests that are blocked or of which too little is known, the last judged first.

        project_ids: only those of these projects, if given.
        """
        tagged = select(tag.c.repo_id).where(tag.c.repo_id == verdict.c.repo_id, tag.c.digest == verdict.c.digest)
        question = (
            select(repo.c.name, verdict.c.digest, verdict.c.outcome, gate.c.text)
            .join(repo, repo.c.id == verdict.c.repo_id)
            .outerjoin(gate, (gate.c.repo_id == verdict.c.repo_id) & (gate.c.digest == verdict.c.digest))
            .where(text(f"verdict.{REFUSED}"), tagged.exists(), repo.c.deleted_at.is_(None))
            .order_by(verdict.c.at.desc(), verdict.c.digest.desc())
            .limit(limit)
        )
        question = question if project_ids is None else question.where(repo.c.project_id.in_(list(project_ids)))
        async with self.database.reading() as connection:
            rows = (await connection.execute(question)).all()
        return [BlockedRow(row[0], row[1], Outcome(row[2]), row[3] or "") for row in rows]

    async def by_outcome(self) -> dict[str, int]:
        """How many digests there are in repositories by what a pull of them meets."""
        question = select(gate.c.outcome, func.count()).group_by(gate.c.outcome)
        async with self.database.reading() as connection:
            return {row[0]: row[1] for row in await connection.execute(question)}
