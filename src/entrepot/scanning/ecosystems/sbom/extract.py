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
from entrepot.scanning.versions.rpm import source_of
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
    "cran": ("cran", None),
    "deb": ("deb", None),
    "gem": ("rubygems", None),
    "golang": ("go", "/"),
    "hackage": ("hackage", None),
    "hex": ("hex", "/"),
    "maven": ("maven", ":"),
    "npm": ("npm", "/"),
    "nuget": ("nuget", None),
    "pub": ("pub", None),
    "pypi": ("pypi", None),
    "rpm": ("rpm", None),
    "swift": ("swifturl", "/"),
}
# No name of theirs is without a namespace, so no advisory speaks of one.
NAMESPACED: Final = frozenset(("composer", "maven", "swift"))
PURL: Final = "purl"
LONGEST_PURL: Final = 4_096
MOST_QUALIFIERS: Final = 16


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
    """The package that a package-url names; None for one of no ecosystem of ours."""
    if len(locator) > LONGEST_PURL or not locator.startswith("pkg:"):
        raise MetadataInvalidError("not a package-url")
    rest, _, query = locator.removeprefix("pkg:").partition("#")[0].partition("?")
    kind, _, rest = rest.lstrip("/").partition("/")
    if kind.lower() not in SEPARATORS:
        return None
    rest, at, version = rest.rpartition("@")
    if not at:
        raise MetadataInvalidError("a package-url without a version")
    ecosystem, separator = SEPARATORS[kind.lower()]
    *namespace, name = (unquote(part) for part in rest.strip("/").split("/"))
    if separator is not None and namespace:
        name = "/".join(namespace) + separator + name
    elif kind.lower() in NAMESPACED:
        raise MetadataInvalidError("a package-url without a namespace")
    qualifiers = _qualifiers(query)
    name, version = value(name), value(unquote(version))
    if not name or not version:
        raise MetadataInvalidError("a package-url without name or version")
    upstream = qualifiers.get("upstream", "")
    source, _, source_version = upstream.partition("@")
    if ecosystem == "rpm":
        # An epoch stands beside the version there, and is the source's too; the source is named by its file.
        source, source_version = source_of(upstream)
        epoch = qualifiers.get("epoch", "0")
        prefix = f"{value(epoch)}:" if epoch != "0" else ""
        version, source_version = prefix + version, prefix + (source_version or version)
    return Package(
        ecosystem=ecosystem,
        name=name,
        version=version,
        arch=value(qualifiers.get("arch", "")),
        source_name=value(source) or package_name(ecosystem, name),
        source_version=value(source_version) or version,
        path=path,
    )


def _qualifiers(query: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(query, max_num_fields=MOST_QUALIFIERS))
    except ValueError:
        raise MetadataInvalidError(f"a package-url of more than {MOST_QUALIFIERS} qualifiers") from None
