import pytest

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions import apk, deb, pep440
from entrepot.scanning.versions.scheme import is_ordered, key_for, package_name


def test_each_namespace_has_its_own_order() -> None:
    assert key_for("debian:12", "1.0-1") == deb.key("1.0-1")
    assert key_for("alpine:3.20", "1.0-r1") == apk.key("1.0-r1")
    assert key_for("alpine:edge", "1.0-r1") == apk.key("1.0-r1")
    assert key_for("pypi", "1.0") == pep440.key("1.0")


@pytest.mark.parametrize("namespace", ["npm", "unknown", "", "debian", "debian:", "alpine", "pypi:3", "PyPI", "rhel:9"])
def test_a_namespace_without_a_known_order_compares_nothing(namespace: str) -> None:
    assert not is_ordered(namespace)
    with pytest.raises(VersionMalformedError):
        key_for(namespace, "1.0")


def test_only_python_names_have_a_normal_form() -> None:
    assert package_name("pypi", "Sopel-Plugins.channelmgnt") == "sopel-plugins-channelmgnt"
    assert package_name("debian:12", "gst-plugins-bad1.0") == "gst-plugins-bad1.0"
