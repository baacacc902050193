"""What people do around the images of a seeded site: robots, members, promotions, jobs."""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Table, func, select, text

from entrepot.access.tables import account, role_grant, secret
from entrepot.catalog.tables import project, repo, tag
from entrepot.lifecycle.tables import promotion, promotion_approval, promotion_item
from entrepot.runtime.tables import job

BESIDE: Final = (account, role_grant, secret, promotion, promotion_item, promotion_approval)
"""The tables, what others name before them."""

STATES: Final = ("executed", "executed", "executed", "rejected", "withdrawn", "superseded")
WAITING: Final = 20
"""So many promotions wait on each site: an inbox does not grow with the number of tags."""


@dataclass(slots=True)
class Around:
    """Robots: one for each repository, all of the first project; people: half as many, all its members; promotions:
    one for each 20 tags. *first_project*: its row.
    """

    dice: random.Random
    first_project: int
    repositories: int
    tags: int
    now: datetime

    def rows(self, connection: Connection) -> Iterator[tuple[Table, dict[str, Any]]]:
        """All of it, row by row."""
        owner = connection.execute(select(project.c.name).where(project.c.id == self.first_project)).scalar_one()
        first = (connection.execute(select(func.max(account.c.id))).scalar_one()) + 1
        grant = (connection.execute(select(func.coalesce(func.max(role_grant.c.id), 0))).scalar_one()) + 1
        robots, people = self.repositories, self.repositories // 2
        for number in range(robots + people):
            id_, at = first + number, self.now - timedelta(days=number % 300)
            is_robot = number < robots
            name = f"{owner}+robot-{number:05d}" if is_robot else f"person-{number:05d}"
            kind = {"kind": "robot" if is_robot else "person", "project_id": self.first_project if is_robot else None}
            values = {"id": id_, "uid": self._uid(), "name": name, "password_hash": None, "created_at": at}
            yield account, values | kind | {"disabled_at": None}
            role = {"id": grant + number, "account_id": id_, "role": "developer", "granted_at": at}
            yield role_grant, role | {"project_id": self.first_project}
            if is_robot:
                yield secret, self._secret(id_, number, at)
        yield from self._promotions(connection)

    def _promotions(self, connection: Connection) -> Iterator[tuple[Table, dict[str, Any]]]:
        admin = connection.execute(select(account.c.id, account.c.name).where(account.c.kind == "person")).first()
        assert admin is not None
        question = select(repo.c.name, repo.c.project_id, tag.c.name, tag.c.digest).order_by(repo.c.id, tag.c.name)
        found = connection.execute(question.join(repo, repo.c.id == tag.c.repo_id)).all()[::20]
        for number, (name, owner, tagged, digest) in enumerate(found):
            waits = len(found) - number <= WAITING
            at = self.now - timedelta(hours=len(found) - number)
            id_, state = f"{number:026d}", "waiting" if waits else self.dice.choice(STATES)
            where = {"project_id": owner, "source": name, "target": f"{name.partition('/')[0]}/prod", "stage": "prod"}
            by = {"approvals": 1, "reason": "", "account_id": admin.id, "actor": admin.name}
            ended = {"state": state, "at": at, "ended_at": None if waits else at}
            yield promotion, {"id": id_} | where | by | ended
            item = {"promotion_id": id_, "position": 0, "reference": tagged, "digest": digest}
            yield promotion_item, item | {"tags": json.dumps([tagged])}

    def _secret(self, account_id: int, number: int, at: datetime) -> dict[str, Any]:
        values = {"id": f"S{number:025d}", "account_id": account_id, "name": "", "hmac": self.dice.randbytes(32).hex()}
        return values | {"created_at": at, "expires_at": self.now + timedelta(days=90), "revoked_at": None}

    def _uid(self) -> str:
        digits = self.dice.randbytes(16).hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def write_jobs(connection: Connection, count: int, now: datetime) -> int:
    """*count* jobs of the last day, one in 1,000 failed; how many."""
    if connection.dialect.name == "postgresql":
        parts = {"count": count, "now": now}
        connection.execute(
            text("""
            INSERT INTO procrastinate_jobs (queue_name, task_name, priority, args, status, attempts)
            SELECT 'verdict', 'scan.image', 0, jsonb_build_object('args', '{}'),
                   CAST(CASE WHEN n % 1000 = 0 THEN 'failed' ELSE 'succeeded' END AS procrastinate_job_status), 1
            FROM generate_series(1, :count) AS n
            """),
            parts,
        )
        connection.execute(text("DELETE FROM procrastinate_events"))  # those of a trigger, all of this moment
        for kind in ("deferred", "started", "succeeded"):
            connection.execute(
                text(f"""
                INSERT INTO procrastinate_events (job_id, type, at)
                SELECT id, '{kind}', CAST(:now AS timestamptz) - interval '1 second' * (:count - id)
                FROM procrastinate_jobs
                """),
                parts,
            )
        return count
    rows = []
    for number in range(count):
        at = now - timedelta(seconds=count - number)
        times = {"run_at": at, "created_at": at, "started_at": at, "finished_at": at, "lease_until": None}
        state = {"state": "failed" if number % 1_000 == 0 else "done", "error": "", "attempts": 1}
        what = {"id": f"{number:026d}", "name": "scan.image", "queue": "verdict", "priority": 0, "args": "{}"}
        rows.append(what | {"dedup": f"seeded-{number}"} | state | times)
    connection.execute(job.insert(), rows)
    return count
