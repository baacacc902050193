"""What another build of an image changed: packages and findings."""

from collections.abc import Iterable
from dataclasses import dataclass

from entrepot.scanning.model import ImagePackage
from entrepot.scanning.queries import ImageFinding

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class PackageChange:
    """A package by ecosystem, namespace and name, and its versions before and after; none where it is not."""

    ecosystem: str
    namespace: str
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PackageDifference:
    """Packages that only the new image has, only the old one had, and that have other versions; each by name."""

    added: tuple[PackageChange, ...]
    removed: tuple[PackageChange, ...]
    changed: tuple[PackageChange, ...]


def packages_differ(before: Iterable[ImagePackage], after: Iterable[ImagePackage]) -> PackageDifference:
    """What became of the packages *before* in *after*."""
    old, new = _versions(before), _versions(after)
    changes = [PackageChange(*key, old.get(key, ()), new.get(key, ())) for key in sorted({*old, *new})]
    return PackageDifference(
        tuple(each for each in changes if not each.before),
        tuple(each for each in changes if not each.after),
        tuple(each for each in changes if each.before and each.after and each.before != each.after),
    )


def findings_gained(before: Iterable[ImageFinding], after: Iterable[ImageFinding]) -> list[ImageFinding]:
    """Those of *after* whose vulnerability and package *before* did not have, in their order; turned round: those lost.

    A finding that is in another version of its package too is neither.
    """
    known = {(each.finding.id, each.finding.namespace, each.finding.package) for each in before}
    return [each for each in after if (each.finding.id, each.finding.namespace, each.finding.package) not in known]


def _versions(packages: Iterable[ImagePackage]) -> dict[Key, tuple[str, ...]]:
    found: dict[Key, set[str]] = {}
    for each in packages:
        found.setdefault((each.package.ecosystem, each.namespace, each.package.name), set()).add(each.package.version)
    return {key: tuple(sorted(versions)) for key, versions in found.items()}
