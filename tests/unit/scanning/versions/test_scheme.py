import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions import apk, composer, deb, gem, golang, maven, nuget, pep440, rpm, semver
from entrepot.scanning.versions.scheme import is_ordered, key_for, last_key_for, package_name


def test_each_namespace_has_its_own_order() -> None:
    assert key_for("debian:12", "1.0-1") == deb.key("1.0-1")
    assert key_for("ubuntu:22.04", "1.0-1ubuntu2") == deb.key("1.0-1ubuntu2")
    assert key_for("alpine:3.20", "1.0-r1") == apk.key("1.0-r1")
    assert key_for("alpine:edge", "1.0-r1") == apk.key("1.0-r1")
    assert key_for("wolfi", "1.0-r1") == apk.key("1.0-r1")
    assert key_for("pypi", "1.0") == pep440.key("1.0")
    assert key_for("npm", "1.0.0") == key_for("crates.io", "1.0.0") == semver.key("1.0.0")
    assert key_for("go", "go1.21rc2") == golang.key("go1.21rc2")
    assert key_for("maven", "1.0.Final") == maven.key("1.0.Final")
    assert key_for("nuget", "1.0.0.1") == nuget.key("1.0.0.1")
    assert key_for("packagist", "1.0-p1") == composer.key("1.0-p1")
    assert key_for("rubygems", "1.0.a") == gem.key("1.0.a")
    for system in ("rhel:9", "almalinux:9", "rocky:8", "sles:15.5", "opensuse-leap:15.5", "opensuse-tumbleweed"):
        assert key_for(system, "1:1.0-1.el9") == rpm.key("1:1.0-1.el9")


@pytest.mark.parametrize(
    "namespace", ["conda", "unknown", "", "debian", "debian:", "alpine", "pypi:3", "PyPI", "wolfi:1", "rhel", "arch:1"]
)
def test_a_namespace_without_a_known_order_compares_nothing(namespace: str) -> None:
    assert not is_ordered(namespace)
    with pytest.raises(VersionMalformedError):
        key_for(namespace, "1.0")
    with pytest.raises(VersionMalformedError):
        last_key_for(namespace, "1.0")


def test_only_rpm_has_later_versions_that_equal_one() -> None:
    assert last_key_for("almalinux:9", "1.0") == rpm.last_key("1.0")
    assert last_key_for("debian:12", "1.0") == deb.key("1.0")


@pytest.mark.parametrize(
    ("namespace", "name", "normal"),
    [
        ("pypi", "Sopel-Plugins.channelmgnt", "sopel-plugins-channelmgnt"),
        ("nuget", "Newtonsoft.Json", "newtonsoft.json"),
        ("packagist", "Symfony/HTTP-Kernel", "symfony/http-kernel"),
        ("swifturl", "https://github.com/Vapor/vapor.git", "github.com/vapor/vapor"),
        ("debian:12", "gst-plugins-bad1.0", "gst-plugins-bad1.0"),
        ("npm", "JSONStream", "JSONStream"),
        ("go", "github.com/Azure/azure-sdk-for-go", "github.com/Azure/azure-sdk-for-go"),
        ("maven", "org.Example:Lib", "org.Example:Lib"),
    ],
)
def test_names_have_a_normal_form_only_where_spellings_are_one_package(namespace: str, name: str, normal: str) -> None:
    assert package_name(namespace, name) == normal
