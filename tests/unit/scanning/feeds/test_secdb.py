import json
from pathlib import Path

from entrepot.scanning.feeds.secdb import SecdbPackage, advisories
from entrepot.scanning.model import Advisory, Range
from entrepot.scanning.versions.apk import key

DATA = Path(__file__).parents[3] / "data" / "feeds"


def said(secfixes: dict[str, list[str] | None] | None) -> dict[str, Advisory]:
    return {a.id: a for a in advisories("alpine:3.15", SecdbPackage("demo", secfixes))}


def real(file: str, package: str) -> dict[str, Advisory]:
    packages = json.loads((DATA / file).read_text())["packages"]
    (fixes,) = [entry["pkg"]["secfixes"] for entry in packages if entry["pkg"]["name"] == package]
    return {a.id: a for a in advisories("alpine:3.15", SecdbPackage(package, fixes))}


def test_a_fixed_version_ends_a_range_from_the_first_version_on() -> None:
    advisory = said({"1.2-r3": ["CVE-2024-0001"]})["CVE-2024-0001"]

    assert advisory.ranges == (Range(b"", fixed=key("1.2-r3"), fixed_version="1.2-r3"),)
    assert (advisory.namespace, advisory.package, advisory.counted) == ("alpine:3.15", "demo", True)


def test_version_0_means_never_affected() -> None:
    advisory = real("alpine-3.15-main.json", "openssl")["CVE-2022-1292"]

    assert advisory.not_affected
    assert advisory.ranges == ()


def test_a_fix_beside_version_0_counts() -> None:
    advisory = said({"0": ["CVE-2024-0001"], "2-r0": ["CVE-2024-0001"]})["CVE-2024-0001"]

    assert not advisory.not_affected
    assert [r.fixed_version for r in advisory.ranges] == ["2-r0"]


def test_the_last_of_several_fixes_counts() -> None:
    advisory = real("alpine-3.15-main.json", "intel-ucode")["CVE-2018-12126"]

    assert advisory.ranges == (Range(b"", fixed=key("20191112-r0"), fixed_version="20191112-r0"),)


def test_of_several_ids_in_an_entry_the_cves_are_ids_and_the_rest_aliases() -> None:
    found = said({"1-r0": ["CVE-2017-12135 XSA-226", "CVE-2017-0001 CVE-2017-0002 XSA-1", "XSA-2", "ALPINE-13661"]})

    assert {id_: advisory.aliases for id_, advisory in found.items()} == {
        "CVE-2017-12135": ("XSA-226",),
        "CVE-2017-0001": ("XSA-1",),
        "CVE-2017-0002": ("XSA-1",),
        "XSA-2": (),
        "ALPINE-13661": (),
    }


def test_a_version_that_is_none_makes_a_range_that_can_t_be_compared() -> None:
    found = said({"6.6.2p1-r0": ["CVE-2024-0001", "CVE-2024-0002"], "7-r0": ["CVE-2024-0002"]})

    unknown = Range(b"", fixed_version="6.6.2p1-r0", comparable=False)
    assert found["CVE-2024-0001"].ranges == (unknown,)
    assert found["CVE-2024-0002"].ranges == (unknown, Range(b"", fixed=key("7-r0"), fixed_version="7-r0"))


def test_packages_and_entries_without_content_say_nothing() -> None:
    assert said(None) == {}
    assert said({"1-r0": None, "2-r0": ["", "  ", "\x1b"]}) == {}


def test_the_hash_follows_what_is_said() -> None:
    first = said({"1-r0": ["CVE-2024-0001"]})["CVE-2024-0001"]

    assert said({"1-r0": ["CVE-2024-0001", "XSA-9"]})["CVE-2024-0001"].content_hash == first.content_hash
    assert said({"1-r1": ["CVE-2024-0001"]})["CVE-2024-0001"].content_hash != first.content_hash
