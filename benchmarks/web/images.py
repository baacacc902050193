"""What is inside a seeded site's images: sets of packages with findings, shared by many images as bases are."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, select

from entrepot.content.model import FACTS
from entrepot.scanning.codec import document, pack
from entrepot.scanning.model import Finding, FindingStatus, ImageFacts, ImagePackage, Package, Severity
from entrepot.scanning.tables import package_set, pv, pv_finding, set_pv

SETS: Final = 10
PACKAGES: Final = 200
FOUND_IN: Final = 2
"""One package in so many has a finding."""

NAMESPACE: Final = "debian:12"
SEVERITIES: Final = tuple(Severity)
SEEN: Final = datetime(2026, 1, 1, tzinfo=UTC)


def write_sets(connection: Connection, blobs: Path | None) -> list[int]:
    """The rows of SETS package sets, with their packages and findings; facts of each in the folder *blobs*."""
    first_set = (connection.execute(select(func.coalesce(func.max(package_set.c.id), 0))).scalar_one()) + 1
    first_pv = (connection.execute(select(func.coalesce(func.max(pv.c.id), 0))).scalar_one()) + 1
    versions: list[dict[str, Any]] = []
    findings: list[dict[str, Any]] = []
    for number in range(SETS * PACKAGES):
        name, version = f"library-{number:04d}", f"1.{number}-1"
        versions.append({"id": first_pv + number, "namespace": NAMESPACE, "name": name, "version": version})
        if number % FOUND_IN == 0:
            findings.append(_finding(first_pv + number, number, name, version))
    ids = list(range(first_set, first_set + SETS))
    sets = [{"id": id_, "hash": hashlib.sha256(b"%d" % id_).hexdigest()} for id_ in ids]
    holds = [
        {"set_id": id_, "pv_id": first_pv + which * PACKAGES + each}
        for which, id_ in enumerate(ids)
        for each in range(PACKAGES)
    ]
    for table, rows in ((package_set, sets), (pv, versions), (set_pv, holds), (pv_finding, findings)):
        connection.execute(table.insert(), rows)
    if blobs is not None:
        (blobs / FACTS / "images").mkdir(parents=True, exist_ok=True)
        for which in range(SETS):
            (blobs / facts_key(which)).write_bytes(pack(_facts(which)))
    return ids


def facts_key(which: int) -> str:
    """Where the store keeps the facts of images with that set."""
    return f"{FACTS}/images/seeded-{which}"


def _finding(pv_id: int, number: int, name: str, version: str) -> dict[str, Any]:
    severity, id_, fixed = SEVERITIES[number % len(SEVERITIES)], f"CVE-2026-{number:04d}", f"1.{number}-2"
    summary = "A length is taken from the input and never compared with the room there is."
    found = Finding(
        id_,
        (),
        NAMESPACE,
        name,
        version,
        severity,
        "debian",
        fixed,
        FindingStatus.FIXED_AVAILABLE,
        (id_,),
        summary,
        counted=True,
    )
    values = {"pv_id": pv_id, "id": id_, "severity": severity.value, "fixed_version": fixed, "counted": True}
    return values | {"document": document(found), "first_seen": SEEN, "closed_at": None}


def _facts(which: int) -> ImageFacts:
    return ImageFacts(tuple(_package(which * PACKAGES + each) for each in range(PACKAGES)), (), "Debian 12")


def _package(number: int) -> ImagePackage:
    name, version = f"library-{number:04d}", f"1.{number}-1"
    package = Package("deb", name, version, "amd64", name, version, "var/lib/dpkg/status")
    return ImagePackage(package, NAMESPACE, 0, "", "RUN apt-get install")
