"""Bills of materials that a builder left in the image: what they say of packages that nothing else speaks of.

They are what somebody wrote down at build time, so they rank lowest: see layers/overlay.py. Formats: SPDX 2.3 JSON
(`packages[].externalRefs`), at the places where apko and Bitnami put them; package-url, "purl-spec", "purl-types".
Design: scanning.md, sections 4 and 5.
"""

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final
from urllib.parse import parse_qsl, unquote

import msgspec

from entrepot.scanning.extractor import MemberReader, MetadataInvalidError, document, each, value
from entrepot.scanning.model import Package
from entrepot.scanning.versions.scheme import package_name

APKO: Final = re.compile(r"var/lib/db/sbom/[^/]+\.spdx\.json\Z")
BITNAMI: Final = re.compile(r"opt/bitnami/(?:.*/)?\.spdx-[^/]+\.spdx\Z")
# What stands between namespace and name in an ecosystem's names; None: its names have no namespace.
SEPARATORS: Final[Mapping[str, tuple[str, str | None]]] = {
    "apk": ("apk", None),
    "bitnami": ("bitnami", None),
    "cargo": ("crates.io", None),
    "composer": ("packagist", "/"),
    "conda": ("conda", None),
    "deb": ("deb", None),
    "gem": ("rubygems", None),
    "golang": ("go", "/"),
    "maven": ("maven", ":"),
    "npm": ("npm", "/"),
    "nuget": ("nuget", None),
    "pypi": ("pypi", None),
    "rpm": ("rpm", None),
}
PURL: Final = "purl"
LONGEST_PURL: Final = 4_096


class _Reference(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    reference_type: str = ""
    reference_locator: str = ""


class _Described(msgspec.Struct, frozen=True, rename="camel"):
    external_refs: list[_Reference] = []


class _Document(msgspec.Struct, frozen=True, rename="camel"):
    spdx_version: str
    packages: list[_Described] = []


_DECODER: Final = msgspec.json.Decoder(_Document)


class SbomExtractor:
    """Reads `var/lib/db/sbom/*.spdx.json` and `opt/bitnami/**/.spdx-*.spdx`."""

    name: ClassVar[str] = "sbom"
    databases: ClassVar[frozenset[str]] = frozenset()
    folders: ClassVar[frozenset[str]] = frozenset()

    def wants(self, path: str) -> bool:
        """Whether *path* is a bill of materials at a place where one is believed."""
        return bool(APKO.match(path) or BITNAMI.match(path))

    def extract(self, path: str, reader: MemberReader) -> Iterator[Package]:
        """Each package that has a package-url of an ecosystem of ours, once.

        Raises MetadataInvalidError at once if it is no SPDX document, at the end if a package-url is malformed.
        """
        bill = document(reader, _DECODER)
        locators = dict.fromkeys(
            reference.reference_locator
            for described in bill.packages
            for reference in described.external_refs
            if reference.reference_type == PURL
        )
        yield from each(locators, lambda locator: _package(locator, path))


def _package(locator: str, path: str) -> Package | None:
    """The package that a package-url names; None for one of no ecosystem of ours, or without a version."""
    if len(locator) > LONGEST_PURL or not locator.startswith("pkg:"):
        raise MetadataInvalidError("not a package-url")
    rest, _, query = locator.removeprefix("pkg:").partition("#")[0].partition("?")
    kind, _, rest = rest.lstrip("/").partition("/")
    if kind.lower() not in SEPARATORS:
        return None
    rest, at, version = rest.rpartition("@")
    if not at:
        return None
    ecosystem, separator = SEPARATORS[kind.lower()]
    *namespace, name = (unquote(part) for part in rest.strip("/").split("/"))
    if separator is not None and namespace:
        name = "/".join(namespace) + separator + name
    qualifiers = dict(parse_qsl(query, max_num_fields=16))
    name, version = value(name), value(unquote(version))
    if not name or not version:
        raise MetadataInvalidError("a package-url without name or version")
    source, _, source_version = qualifiers.get("upstream", "").partition("@")
    return Package(
        ecosystem=ecosystem,
        name=name,
        version=version,
        arch=value(qualifiers.get("arch", "")),
        source_name=value(source) or package_name(ecosystem, name),
        source_version=value(source_version) or version,
        path=path,
    )
