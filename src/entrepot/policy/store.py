"""Rows of verdicts, gates and modes, and the locking reads a judgement needs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from entrepot.catalog.tables import manifest, project, ref_manifest, repo
from entrepot.policy.model import DEFAULT_MODE, Facts, Judgement, Mode, Outcome, Reason, mode_in
from entrepot.policy.tables import gate, policy_mode, verdict
from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or
from entrepot.scanning.codec import finding_of
from entrepot.scanning.model import ScanStatus
from entrepot.scanning.tables import image_scan, pv_finding, set_pv

VERDICT: Final = ("policy", "verdict")
"""Held, with the digest, by whoever judges it, and with those of its children by whoever judges an index."""

MODE: Final = ("policy", "mode")
"""Held, with the project's name, by whoever writes gates by its mode, or changes that."""


@dataclass(frozen=True, slots=True)
class Place:
    """A digest in a repository, as something to judge."""

    repo_id: int
    repository: str
    project: str
    mode: Mode
    kind: str


async def places(unit: Unit, digest: str) -> list[Place]:
    """Every repository that has the digest, with its mode: its project's, or enforce where pushes are refused."""
    columns = (repo.c.id, repo.c.name, project.c.name.label("project"), project.c.pipeline)
    question = (
        select(*columns, policy_mode.c.mode, manifest.c.kind)
        .join(repo, repo.c.id == manifest.c.repo_id)
        .join(project, project.c.id == repo.c.project_id)
        .outerjoin(policy_mode, policy_mode.c.project_id == project.c.id)
        .where(manifest.c.digest == digest)
    )
    rows = await unit.fetch_all(question)
    return [
        Place(row.id, row.name, row.project, mode_in(row.name, row.pipeline, Mode(row.mode or DEFAULT_MODE)), row.kind)
        for row in rows
    ]


async def facts(unit: Unit, digest: str) -> Facts:
    """What is known of the image *digest*."""
    row = await unit.fetch_one(
        select(image_scan.c.status, image_scan.c.reasons, image_scan.c.set_id).where(image_scan.c.digest == digest)
    )
    if row is None:
        return Facts(None, (), ())
    question = (
        select(pv_finding.c.document)
        .join(set_pv, set_pv.c.pv_id == pv_finding.c.pv_id)
        .where(set_pv.c.set_id == row.set_id, pv_finding.c.closed_at.is_(None), pv_finding.c.counted)
    )
    findings = tuple(finding_of(each.document) for each in await unit.fetch_all(question))
    return Facts(ScanStatus(row.status), tuple(json.loads(row.reasons)), findings)


async def children(unit: Unit, repo_id: int, digest: str) -> list[Judgement]:
    """The judgements of the children of an index that count: images and indexes; an unjudged one is pending."""
    question = (
        select(manifest.c.kind, verdict.c.outcome, verdict.c.reasons)
        .select_from(ref_manifest)
        .join(manifest, (manifest.c.repo_id == ref_manifest.c.repo_id) & (manifest.c.digest == ref_manifest.c.child))
        .outerjoin(verdict, (verdict.c.repo_id == manifest.c.repo_id) & (verdict.c.digest == manifest.c.digest))
        .where(ref_manifest.c.repo_id == repo_id, ref_manifest.c.parent == digest, manifest.c.kind != "artifact")
        .order_by(ref_manifest.c.position)
    )
    return [
        Judgement(Outcome(row.outcome), parse_reasons(row.reasons)) if row.outcome else Judgement(Outcome.PENDING)
        for row in await unit.fetch_all(question)
    ]


async def parents(unit: Unit, digest: str) -> list[str]:
    """Digests of the indexes that list *digest*, anywhere."""
    question = select(ref_manifest.c.parent).distinct().where(ref_manifest.c.child == digest)
    return [row.parent for row in await unit.fetch_all(question)]


async def listed(unit: Unit, digest: str) -> list[str]:
    """Digests of what the index *digest* lists, in their order; none if it is no index."""
    question = select(ref_manifest.c.child).distinct().where(ref_manifest.c.parent == digest)
    return [row.child for row in await unit.fetch_all(question.order_by(ref_manifest.c.child))]


async def known(unit: Unit, repo_id: int, digest: str) -> Judgement | None:
    """The stored judgement of the digest there."""
    question = select(verdict.c.outcome, verdict.c.reasons)
    row = await unit.fetch_one(question.where(verdict.c.repo_id == repo_id, verdict.c.digest == digest))
    return None if row is None else Judgement(Outcome(row.outcome), parse_reasons(row.reasons))


async def put_verdict(
    unit: Unit, place: Place, digest: str, judgement: Judgement, policy: str, inputs: str, now: datetime
) -> None:
    """The judgement of the digest there."""
    values = {
        "policy": policy,
        "outcome": judgement.outcome.value,
        "reasons": json.dumps([asdict(reason) for reason in judgement.reasons]),
        "inputs_hash": inputs,
        "at": now,
    }
    row = insert_or(verdict).values(repo_id=place.repo_id, digest=digest, **values)
    await unit.execute(row.on_conflict_do_update(index_elements=[verdict.c.repo_id, verdict.c.digest], set_=values))


async def put_gate(unit: Unit, repo_id: int, digest: str, outcome: Outcome, text: str) -> None:
    """What a pull of the digest there meets from this commit on."""
    values = {"outcome": outcome.value, "text": text}
    row = insert_or(gate).values(repo_id=repo_id, digest=digest, **values)
    await unit.execute(row.on_conflict_do_update(index_elements=[gate.c.repo_id, gate.c.digest], set_=values))


async def repositories_of(unit: Unit, project_id: int) -> list[tuple[int, str]]:
    """Rows and names of the project's repositories."""
    question = select(repo.c.id, repo.c.name).where(repo.c.project_id == project_id).order_by(repo.c.id)
    return [(row.id, row.name) for row in await unit.fetch_all(question)]


async def verdicts_of(
    unit: Unit, project_id: int, mode: Mode, repo_id: int | None = None
) -> Sequence[tuple[int, str, Judgement, Mode]]:
    """Every stored judgement in the project, or in its repository *repo_id* alone: repository row, digest, judgement,
    and how strict that repository is if the project's mode is *mode*.
    """
    question = (
        select(verdict.c.repo_id, verdict.c.digest, verdict.c.outcome, verdict.c.reasons, repo.c.name)
        .add_columns(project.c.pipeline)
        .join(repo, repo.c.id == verdict.c.repo_id)
        .join(project, project.c.id == repo.c.project_id)
        .where(repo.c.project_id == project_id)
    )
    question = question if repo_id is None else question.where(verdict.c.repo_id == repo_id)
    return [
        (
            row.repo_id,
            row.digest,
            Judgement(Outcome(row.outcome), parse_reasons(row.reasons)),
            mode_in(row.name, row.pipeline, mode),
        )
        for row in await unit.fetch_all(question)
    ]


async def mode_of(unit: Unit, project_id: int) -> tuple[Mode, Mode | None]:
    """The project's mode, and the one that is wanted, if it is another."""
    question = select(policy_mode.c.mode, policy_mode.c.wanted).where(policy_mode.c.project_id == project_id)
    row = await unit.fetch_one(question)
    if row is None:
        return DEFAULT_MODE, None
    return Mode(row.mode), Mode(row.wanted) if row.wanted else None


async def put_mode(unit: Unit, project_id: int, mode: Mode, wanted: Mode | None, now: datetime) -> None:
    """The project's mode, and the one that is wanted."""
    values = {"mode": mode.value, "wanted": wanted.value if wanted else None, "changed_at": now}
    row = insert_or(policy_mode).values(project_id=project_id, **values)
    await unit.execute(row.on_conflict_do_update(index_elements=[policy_mode.c.project_id], set_=values))


async def project_name(unit: Unit, project_id: int) -> str:
    """The name of the project."""
    row = await unit.fetch_one(select(project.c.name).where(project.c.id == project_id))
    return "" if row is None else str(row.name)


def parse_reasons(text: str) -> tuple[Reason, ...]:
    """The reasons of a verdict's row."""
    return tuple(Reason(**each) for each in json.loads(text))
