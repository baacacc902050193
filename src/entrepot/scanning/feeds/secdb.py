"""Alpine's security database: which version of a package fixed which vulnerabilities, per branch and repository.

`{"distroversion": "v3.20", "reponame": "main", "packages": [{"pkg": {"name": …, "secfixes": {version: [ids]}}}]}`.
Version `0` says that the package was never affected. One entry may hold several ids (`CVE-2017-12135 XSA-226`):
the CVE is the advisory's id, the rest are other names of it; without a CVE each id stands for itself.
"""

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Annotated, Final

import msgspec

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.feeds.osv import CVE, Name
from entrepot.scanning.model import Advisory, Range
from entrepot.scanning.versions.scheme import key_for

_NEVER_AFFECTED: Final = "0"
_MAX_ID_CHARS: Final = 128
_Entry = Annotated[str, msgspec.Meta(max_length=512)]


class SecdbPackage(msgspec.Struct, frozen=True):
    """`packages[].pkg`."""

    name: Name
    secfixes: dict[str, list[_Entry] | None] | None = None


class SecdbEntry(msgspec.Struct, frozen=True):
    """`packages[]`."""

    pkg: SecdbPackage


class SecdbDocument(msgspec.Struct, frozen=True):
    """One file of the database. Its packages are kept undecoded, so that a broken one costs only itself."""

    distroversion: str
    reponame: str
    packages: list[msgspec.Raw]

    @property
    def namespace(self) -> str:
        """`alpine:3.20`, `alpine:edge`."""
        return f"alpine:{self.distroversion.removeprefix('v')}"


def advisories(namespace: str, package: SecdbPackage) -> Iterator[Advisory]:
    """One advisory for each vulnerability named for *package*, sorted by id.

    Where several versions are said to fix it, the last of them counts: an earlier fix was not enough.
    """
    versions: dict[str, set[str]] = {}
    names: dict[str, set[str]] = {}
    for version, entries in (package.secfixes or {}).items():
        for entry in entries or ():
            ids = [part for part in entry.split() if part.isprintable() and len(part) <= _MAX_ID_CHARS]
            cves = [part for part in ids if CVE.fullmatch(part)]
            for id_ in cves or ids:
                versions.setdefault(id_, set()).add(version)
                names.setdefault(id_, set()).update(set(ids) - set(cves) if cves else ())
    for id_ in sorted(versions):
        fixes = versions[id_]
        aliases = tuple(sorted(names[id_]))
        yield Advisory(
            id=id_,
            namespace=namespace,
            package=package.name,
            ranges=tuple(_ranges(namespace, fixes - {_NEVER_AFFECTED})),
            aliases=aliases,
            not_affected=fixes == {_NEVER_AFFECTED},
            content_hash=_content_hash(namespace, package.name, id_, aliases, fixes),
        )


def _ranges(namespace: str, fixes: set[str]) -> Iterator[Range]:
    keys: dict[bytes, str] = {}
    malformed: list[str] = []
    for version in sorted(fixes):
        try:
            keys[key_for(namespace, version)] = version
        except VersionMalformedError:
            malformed.append(version)
    if malformed:
        yield Range(b"", fixed_version=malformed[0] if len(malformed) == 1 else "", comparable=False)
    if keys:
        yield Range(b"", fixed=max(keys), fixed_version=keys[max(keys)])


def _content_hash(namespace: str, package: str, id_: str, aliases: tuple[str, ...], fixes: set[str]) -> str:
    said: Mapping[str, object] = {"id": id_, "aliases": aliases, "fixes": sorted(fixes)}
    return sha256(msgspec.json.encode([namespace, package, said], order="deterministic")).hexdigest()
