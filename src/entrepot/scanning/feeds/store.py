"""Rows of feeds and their advisories."""

import json
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select, tuple_

from entrepot.runtime.unit_of_work import Unit
from entrepot.runtime.upsert import insert_or
from entrepot.scanning.codec import document
from entrepot.scanning.feeds.read import Feed
from entrepot.scanning.model import Advisory
from entrepot.scanning.tables import advisory, feed, feed_coverage

Key = tuple[str, str, str]


async def known(unit: Unit, source: str) -> tuple[str, int, str] | None:
    """built_at (ISO, may be empty), records and SHA-256 of the feed in force from *source*; None if there is none."""
    question = select(feed.c.built_at, feed.c.records, feed.c.sha256).where(feed.c.source == source)
    row = await unit.fetch_one(question)
    return None if row is None else (row.built_at, row.records, row.sha256)


async def hashes(unit: Unit, source: str) -> dict[Key, str]:
    """Content hashes of the advisories from *source*, by (namespace, package, id)."""
    question = select(advisory.c.namespace, advisory.c.package, advisory.c.id, advisory.c.hash)
    rows = await unit.fetch_all(question.where(advisory.c.source == source))
    return {(row.namespace, row.package, row.id): row.hash for row in rows}


async def put_advisories(unit: Unit, source: str, advisories: list[Advisory]) -> None:
    """*advisories* stand, replacing those of the same name, package and id."""
    rows = [
        {
            "source": source,
            "namespace": each.namespace,
            "package": each.package,
            "id": each.id,
            "hash": each.content_hash,
            "document": document(each),
        }
        for each in advisories
    ]
    statement = insert_or(advisory)
    key = [advisory.c.source, advisory.c.namespace, advisory.c.package, advisory.c.id]
    new = {"hash": statement.excluded.hash, "document": statement.excluded.document}
    await unit.execute(statement.on_conflict_do_update(index_elements=key, set_=new), rows)


async def drop_advisories(unit: Unit, source: str, keys: list[Key]) -> None:
    """The advisories *keys* from *source* are gone."""
    columns = tuple_(advisory.c.namespace, advisory.c.package, advisory.c.id)
    await unit.execute(delete(advisory).where(advisory.c.source == source, columns.in_(keys)))


async def announce(unit: Unit, source: str, form: str, now: datetime) -> None:
    """A row for *source*, covering nothing yet, so that its advisories have a parent."""
    values = {"source": source, "form": form, "records": 0, "attribution": "", "built_at": "", "sha256": ""}
    await unit.execute(insert_or(feed).values(**values, imported_at=now).on_conflict_do_nothing())


async def put_feed(unit: Unit, source: str, header: Feed, sha256: str, now: datetime) -> set[str]:
    """*header* is in force for *source*; the namespaces whose coverage is another than before."""
    values = {
        "form": header.form.value,
        "records": header.records,
        "attribution": header.attribution,
        "built_at": header.built_at.isoformat() if header.built_at else "",
        "sha256": sha256,
        "imported_at": now,
    }
    row = insert_or(feed).values(source=source, **values)
    await unit.execute(row.on_conflict_do_update(index_elements=[feed.c.source], set_=values))
    before = await coverage_of(unit, source)
    after = _texts(header.coverage)
    await unit.execute(delete(feed_coverage).where(feed_coverage.c.source == source))
    rows = [
        {"source": source, "namespace": name, "part": header.part, "packages": text} for name, text in after.items()
    ]
    if rows:
        await unit.execute(insert_or(feed_coverage), rows)
    return {name for name in before.keys() | after.keys() if before.get(name, "") != after.get(name, "")}


async def coverage_of(unit: Unit, source: str) -> dict[str, str | None]:
    """What *source* covers: namespace -> JSON list of names, None for all."""
    question = select(feed_coverage.c.namespace, feed_coverage.c.packages).where(feed_coverage.c.source == source)
    return {row.namespace: row.packages for row in await unit.fetch_all(question)}


def _texts(coverage: Mapping[str, frozenset[str] | None]) -> dict[str, str | None]:
    return {name: None if names is None else json.dumps(sorted(names)) for name, names in coverage.items()}
