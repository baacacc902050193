import io

import msgspec
import pytest

from entrepot.scanning.ecosystems.sbom.extract import SbomExtractor
from entrepot.scanning.extractor import MetadataInvalidError
from entrepot.scanning.layers.overlay import overlay
from entrepot.scanning.model import Package
from tests.fakes.tars import apk_installed, facts_of, member, tar

APKO = "var/lib/db/sbom/glibc-2.39-r0.spdx.json"
BITNAMI = "opt/bitnami/postgresql/.spdx-postgresql.spdx"


def spdx(*purls: str) -> bytes:
    """A document as apko and Bitnami write it, one package for each package-url."""
    packages = [
        {
            "SPDXID": f"SPDXRef-Package-{index}",
            "name": "x",
            "versionInfo": "x",
            "externalRefs": [
                {"referenceCategory": "SECURITY", "referenceType": "cpe23Type", "referenceLocator": "cpe:2.3:a:x"},
                {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl},
            ],
        }
        for index, purl in enumerate(purls)
    ]
    return msgspec.json.encode({"spdxVersion": "SPDX-2.3", "SPDXID": "SPDXRef-DOCUMENT", "packages": packages})


def read(*purls: str) -> list[Package]:
    return list(SbomExtractor().extract(BITNAMI, io.BytesIO(spdx(*purls))))


@pytest.mark.parametrize(
    ("purl", "ecosystem", "name", "version", "source"),
    [
        ("pkg:apk/wolfi/glibc@2.39-r0?arch=x86_64", "apk", "glibc", "2.39-r0", "glibc"),
        ("pkg:bitnami/redis@7.2.0-5?arch=amd64&distro=debian-11", "bitnami", "redis", "7.2.0-5", "redis"),
        ("pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?upstream=glibc", "deb", "libc6", "2.36-9+deb12u4", "glibc"),
        ("pkg:npm/%40babel/core@7.23.0", "npm", "@babel/core", "7.23.0", "@babel/core"),
        ("pkg:golang/golang.org/x/net@v0.17.0#http2", "go", "golang.org/x/net", "v0.17.0", "golang.org/x/net"),
        ("pkg:maven/org.yaml/snakeyaml@1.33", "maven", "org.yaml:snakeyaml", "1.33", "org.yaml:snakeyaml"),
        ("pkg:pypi/Zope.Interface@6.0", "pypi", "Zope.Interface", "6.0", "zope-interface"),
        ("pkg:gem/nokogiri@1.15.4?platform=java", "rubygems", "nokogiri", "1.15.4", "nokogiri"),
        ("pkg:cargo/serde@1.0.1", "crates.io", "serde", "1.0.1", "serde"),
        ("pkg:composer/Monolog/Monolog@2.9.1", "packagist", "Monolog/Monolog", "2.9.1", "monolog/monolog"),
        ("pkg:nuget/Newtonsoft.Json@13.0.1", "nuget", "Newtonsoft.Json", "13.0.1", "newtonsoft.json"),
    ],
)  # fmt: skip
def test_a_package_url_names_a_package(purl: str, ecosystem: str, name: str, version: str, source: str) -> None:
    assert [(p.ecosystem, p.name, p.version, p.source_name) for p in read(purl)] == [(ecosystem, name, version, source)]


def test_what_is_no_package_of_an_ecosystem_is_passed_over() -> None:
    assert read("pkg:github/golang/go@1.21", "pkg:generic/x@1", "pkg:npm/without-version") == []


@pytest.mark.parametrize("purl", ["", "npm/a@1", "pkg:npm/@1", "pkg:npm/a@", "pkg:npm/" + "a" * 2_000 + "@1"])
def test_a_malformed_package_url_is_an_error_after_all_others(purl: str) -> None:
    packages = SbomExtractor().extract(APKO, io.BytesIO(spdx(purl, "pkg:npm/b@1")))

    assert next(packages).name == "b"
    with pytest.raises(MetadataInvalidError):
        next(packages)


def test_only_bills_at_the_known_places_are_believed() -> None:
    wants = SbomExtractor().wants

    assert all(map(wants, (APKO, BITNAMI, "opt/bitnami/.spdx-a.spdx", "opt/bitnami/a/b/.spdx-a.spdx")))
    assert not any(map(wants, ("app/a.spdx.json", "var/lib/db/sbom/a/b.spdx.json", "opt/bitnami/a/a.spdx")))


def test_a_bill_says_nothing_of_what_is_known_better() -> None:
    """Rank of scanning.md 4.6: a database knows all packages of its kind, installed metadata the same package."""
    layer = tar(
        member("lib/apk/db/installed", apk_installed(("glibc", "2.39-r1"))),
        member("opt/a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n"),
        member(APKO, spdx("pkg:apk/wolfi/glibc@2.39-r0", "pkg:pypi/a@1", "pkg:pypi/a@2", "pkg:bitnami/redis@7.2.0")),
    )
    found = overlay([facts_of(layer)], {}).packages

    assert [(p.package.ecosystem, p.package.name, p.package.version, p.package.path) for p in found] == [
        ("apk", "glibc", "2.39-r1", "lib/apk/db/installed"),
        ("bitnami", "redis", "7.2.0", APKO),
        ("pypi", "a", "1", "opt/a-1.dist-info/METADATA"),
        ("pypi", "a", "2", APKO),
    ]


def test_a_bill_speaks_where_nothing_else_does() -> None:
    found = overlay([facts_of(tar(member(APKO, spdx("pkg:apk/wolfi/glibc@2.39-r0"))))], {}).packages

    assert [p.package.name for p in found] == ["glibc"]
