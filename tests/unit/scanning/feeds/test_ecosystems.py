import pytest

from entrepot.scanning.feeds.ecosystems import namespace_of
from entrepot.scanning.versions.scheme import is_ordered


@pytest.mark.parametrize(
    ("ecosystem", "namespace"),
    [
        ("PyPI", "pypi"),
        ("npm", "npm"),
        ("Go", "go"),
        ("crates.io", "crates.io"),
        ("RubyGems", "rubygems"),
        ("Packagist", "packagist"),
        ("Maven", "maven"),
        ("NuGet", "nuget"),
        ("Pub", "pub"),
        ("CRAN", "cran"),
        ("Hackage", "hackage"),
        ("Hex", "hex"),
        ("SwiftURL", "swifturl"),
        ("Wolfi", "wolfi"),
        ("Chainguard", "chainguard"),
        ("Debian:12", "debian:12"),
        ("Debian:13", "debian:13"),
        ("Debian:sid", "debian:sid"),
        ("Ubuntu:22.04:LTS", "ubuntu:22.04"),
        ("Ubuntu:24.10", "ubuntu:24.10"),
        ("Alpine:v3.20", "alpine:3.20"),
        ("Alpine:edge", "alpine:edge"),
        ("AlmaLinux:9", "almalinux:9"),
        ("Rocky Linux:9", "rocky:9"),
        ("Red Hat:enterprise_linux:9::baseos", "rhel:9"),
        ("Red Hat:enterprise_linux:10", "rhel:10"),
        ("Red Hat:enterprise_linux:10.0", "rhel:10"),
        ("Red Hat:enterprise_linux:10.1", "rhel:10"),
        ("Red Hat:enterprise_linux:10.1::appstream", "rhel:10"),
        ("openSUSE:Leap 15.5", "opensuse-leap:15.5"),
        ("openSUSE:Tumbleweed", "opensuse-tumbleweed"),
        ("SUSE:Linux Enterprise Server 15 SP5", "sles:15.5"),
        ("SUSE:Linux Enterprise Module for Web and Scripting 15 SP5", "sles:15.5"),
        ("SUSE:Linux Enterprise Server 15", "sles:15"),
        ("SUSE:Linux Enterprise Micro 5.3", "sle-micro:5.3"),
        ("Mageia:9", "mageia:9"),
        ("Photon OS:4.0", "photon:4.0"),
    ],
)
def test_an_ecosystem_becomes_a_namespace_whose_versions_have_an_order(ecosystem: str, namespace: str) -> None:
    assert namespace_of(ecosystem) == namespace
    assert is_ordered(namespace)


@pytest.mark.parametrize(
    "ecosystem",
    [
        *("", ":", "Debian", "Debian:", "Debian:12:x", "PyPI:3", "pypi", "Android", "Alpine:3", "Alpine:v3.20\n"),
        *("Maven:https://maven.google.com", "Packagist:https://packages.drupal.org/8", "Root:Debian:12"),
        *("Ubuntu:Pro:18.04:LTS", "Ubuntu:22.04:FIPS", "Red Hat:rhel_eus:9.2::appstream", "Red Hat:openshift:4::el9"),
        *("Red Hat:enterprise_linux:10.", "Red Hat:enterprise_linux:10.0.1", "Red Hat:enterprise_linux_eus:10.0"),
        *("SUSE:Linux Enterprise Server 12 SP5-LTSS", "SUSE:Manager Server 4.3", "openSUSE:Backports SLE-15-SP5"),
    ],
)
def test_what_has_no_order_or_is_another_stream_has_no_namespace(ecosystem: str) -> None:
    assert namespace_of(ecosystem) is None
