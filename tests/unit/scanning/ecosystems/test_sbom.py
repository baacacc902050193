import io

import msgspec
import pytest

from entrepot.scanning.ecosystems.sbom.extract import SEPARATORS, SbomExtractor
from entrepot.scanning.extractor import MetadataInvalidError
from entrepot.scanning.feeds.ecosystems import namespace_of
from entrepot.scanning.layers.overlay import overlay
from entrepot.scanning.model import Package
from tests.fakes.tars import apk_installed, codes, facts_of, member, tar

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
        ("pkg:hex/plug@1.14.0", "hex", "plug", "1.14.0", "plug"),
        ("pkg:hex/acme/plug@1.14.0", "hex", "acme/plug", "1.14.0", "acme/plug"),
        ("pkg:pub/http@0.13.2", "pub", "http", "0.13.2", "http"),
        ("pkg:cran/commonmark@1.7", "cran", "commonmark", "1.7", "commonmark"),
        ("pkg:hackage/aeson@1.5.6.0", "hackage", "aeson", "1.5.6.0", "aeson"),
        ("pkg:swift/github.com/Apple/swift-nio@2.41.1", "swifturl", "github.com/Apple/swift-nio", "2.41.1",
         "github.com/apple/swift-nio"),
    ],
)  # fmt: skip
def test_a_package_url_names_a_package(purl: str, ecosystem: str, name: str, version: str, source: str) -> None:
    assert [(p.ecosystem, p.name, p.version, p.source_name) for p in read(purl)] == [(ecosystem, name, version, source)]


def test_what_is_no_package_of_an_ecosystem_is_passed_over() -> None:
    assert read("pkg:github/golang/go@1.21", "pkg:generic/x@1", "pkg:oci/without-version") == []


def test_every_language_whose_advisories_are_read_has_a_package_url() -> None:
    languages = ("CRAN", "crates.io", "Go", "Hackage", "Hex", "Maven", "npm", "NuGet", "Packagist", "Pub", "PyPI")
    advised = {namespace_of(language) for language in (*languages, "RubyGems", "SwiftURL")}

    assert None not in advised
    assert advised <= {ecosystem for ecosystem, _ in SEPARATORS.values()}


@pytest.mark.parametrize("number", [16, 17, 500])
def test_qualifiers_without_end_cost_their_package_and_no_other(number: int) -> None:
    query = "&".join(f"q{index}=1" for index in range(number))
    facts = facts_of(tar(member(APKO, spdx(f"pkg:npm/a@1?{query}", "pkg:npm/b@1"))))

    if number <= 16:
        assert (facts.complete, [p.name for p in facts.packages]) == (True, ["a", "b"])
    else:
        assert (codes(facts), [p.name for p in facts.packages]) == (["analyser:sbom:malformed"], ["b"])


@pytest.mark.parametrize(
    "purl",
    [
        *("", "npm/a@1", "pkg:npm/@1", "pkg:npm/a@", "pkg:npm/" + "a" * 2_000 + "@1"),
        *("pkg:maven/netty-codec@4.1.68.Final", "pkg:composer/monolog@1", "pkg:swift/swift-nio@1"),
        *("pkg:npm/without-version", "pkg:npm/%40scope/without-version", "pkg:deb/debian/bash?arch=amd64"),
    ],
)
def test_a_malformed_package_url_is_an_error_after_all_others(purl: str) -> None:
    packages = SbomExtractor().extract(APKO, io.BytesIO(spdx(purl, "pkg:npm/b@1")))

    assert next(packages).name == "b"
    with pytest.raises(MetadataInvalidError):
        next(packages)


@pytest.mark.parametrize(
    ("upstream", "source", "version"),
    [
        ("curl-7.79-1.el9.src.rpm", "curl", "7.79-1.el9"),
        ("util-linux-2.37.4-1.nosrc.rpm", "util-linux", "2.37.4-1"),
        ("(none)", "libcurl", "7.79-2.el9"),
        ("", "libcurl", "7.79-2.el9"),
    ],
)
def test_an_rpm_names_its_source_by_the_file_it_was_built_from(upstream: str, source: str, version: str) -> None:
    (package,) = read(f"pkg:rpm/rocky/libcurl@7.79-2.el9?arch=x86_64&upstream={upstream}")
    (with_epoch,) = read(f"pkg:rpm/rocky/libcurl@7.79-2.el9?epoch=32&upstream={upstream}")

    assert (package.source_name, package.source_version, package.version) == (source, version, "7.79-2.el9")
    assert (with_epoch.source_name, with_epoch.source_version) == (source, f"32:{version}")
    assert with_epoch.version == "32:7.79-2.el9"


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
