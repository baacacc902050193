"""What another build of an image changed."""

from entrepot.scanning.difference import PackageChange, findings_gained, packages_differ
from entrepot.scanning.model import Finding, FindingStatus, ImagePackage, Package, Severity
from entrepot.scanning.queries import ImageFinding


def package(name: str, version: str, namespace: str = "debian:12") -> ImagePackage:
    return ImagePackage(Package("deb", name, version, "amd64", name, version, ""), namespace, 0, "sha256:0", "unknown")


def finding(id_: str, name: str, version: str) -> ImageFinding:
    origin = package(name, version)
    status = FindingStatus.AFFECTED
    found = Finding(id_, (), "debian:12", name, version, Severity.HIGH, "", "", status, (), "", counted=True)
    return ImageFinding(found, origin)


def test_packages_are_added_removed_and_changed_by_name() -> None:
    before = [package("openssl", "1"), package("bash", "5"), package("curl", "7")]
    after = [package("openssl", "2"), package("zlib", "1"), package("curl", "7")]

    found = packages_differ(before, after)

    assert found.added == (PackageChange("deb", "debian:12", "zlib", (), ("1",)),)
    assert found.removed == (PackageChange("deb", "debian:12", "bash", ("5",), ()),)
    assert found.changed == (PackageChange("deb", "debian:12", "openssl", ("1",), ("2",)),)


def test_several_versions_of_one_package_are_one_line() -> None:
    found = packages_differ([package("a", "1"), package("a", "2")], [package("a", "2"), package("a", "1")])

    assert (found.added, found.removed, found.changed) == ((), (), ())


def test_the_same_name_elsewhere_is_another_package() -> None:
    found = packages_differ([package("a", "1")], [package("a", "1", "debian:13")])

    assert len(found.added) == len(found.removed) == 1


def test_a_finding_in_another_version_is_neither_gained_nor_lost() -> None:
    before = [finding("CVE-1", "openssl", "1"), finding("CVE-2", "bash", "5")]
    after = [finding("CVE-1", "openssl", "2"), finding("CVE-3", "zlib", "1")]

    assert [each.finding.id for each in findings_gained(before, after)] == ["CVE-3"]
    assert [each.finding.id for each in findings_gained(after, before)] == ["CVE-2"]
