from dataclasses import replace

import pytest

from entrepot.scanning.layers.overlay import overlay
from entrepot.scanning.model import ImageFacts, LayerFacts, Problem
from tests.fakes.rpm_databases import plain, sqlite_database
from tests.fakes.tars import apk_installed, directory, dpkg_status, facts_of, member, symlink, tar

STATUS = "var/lib/dpkg/status"
RELEASE = member("etc/os-release", b"ID=debian\nVERSION_ID=12\n")
METADATA = b"Name: app\nVersion: 1\n"


def layer(*members: bytes) -> LayerFacts:
    return facts_of(tar(*members))


def status(*packages: tuple[str, str]) -> bytes:
    return member(STATUS, dpkg_status(*packages))


def image(*layers: LayerFacts | None) -> ImageFacts:
    config = {
        "rootfs": {"diff_ids": [facts.diff_id if facts else "sha256:absent" for facts in layers]},
        "history": [{"created_by": f"step {index}"} for index in range(len(layers))],
    }
    return overlay(layers, config)


def found(facts: ImageFacts) -> list[tuple[str, str, int]]:
    return [(p.package.name, p.package.version, p.layer) for p in facts.packages]


def test_a_package_comes_from_the_first_layer_that_had_it() -> None:
    facts = image(
        layer(RELEASE, status(("bash", "5"), ("curl", "7"), ("gone", "1"))),
        layer(status(("bash", "5"), ("curl", "8"), ("new", "1"))),
    )

    assert found(facts) == [("bash", "5", 0), ("curl", "8", 1), ("new", "1", 1)]
    assert [(p.namespace, p.step) for p in facts.packages] == [
        ("debian:12", "step 0"),
        ("debian:12", "step 1"),
        ("debian:12", "step 1"),
    ]
    assert (facts.reasons, facts.os) == ((), "debian:12")


def test_rpm_packages_belong_to_the_major_release_and_go_by_the_names_of_its_advisories() -> None:
    release = member("etc/os-release", b'ID="almalinux"\nVERSION_ID="9.4"\n')
    header = plain("bind-libs", "9.16", "1.el9", epoch=32, source="bind-9.16-1.el9.src.rpm")
    database = member("usr/lib/sysimage/rpm/rpmdb.sqlite", sqlite_database([header]))
    facts = image(layer(release, directory("var/lib"), symlink("var/lib/rpm", "../../usr/lib/sysimage/rpm"), database))
    (found,) = facts.packages

    assert (found.namespace, found.package.source_name, found.package.source_version) == (
        *("almalinux:9", "bind-libs"),
        "32:9.16-1.el9",
    )
    assert (facts.os, facts.reasons) == ("almalinux:9", ())


def test_an_image_without_rpm_has_the_packages_of_the_list_it_carries() -> None:
    release = member("etc/os-release", b'ID=azurelinux\nVERSION_ID="3.0"\n')
    line = "glibc\t2.38-8.azl3\t17\t16\tMicrosoft Corporation\t(none)\t9\tx86_64\t0\tglibc-2.38-8.azl3.src.rpm\n"
    listed = member("var/lib/rpmmanifest/container-manifest-2", line.encode())
    facts = image(layer(release, listed))
    (package,) = facts.packages

    assert (package.namespace, package.package.name, package.package.version) == (
        *("azurelinux:3.0", "glibc"),
        "2.38-8.azl3",
    )
    assert image(layer(release, listed), layer(member("var/lib/rpmmanifest/.wh.container-manifest-2"))).packages == ()


def test_a_whiteout_hides_lower_layers_whatever_its_place_in_the_tar() -> None:
    base = layer(RELEASE, status(("bash", "5")), member("opt/app.egg-info", METADATA))
    for members in (
        [member("opt/.wh.app.egg-info"), member("opt/app.egg-info", METADATA)],
        [member("opt/app.egg-info", METADATA), member("opt/.wh.app.egg-info")],
    ):
        assert found(image(base, layer(*members))) == [("bash", "5", 0), ("app", "1", 1)]
    assert found(image(base, layer(member("var/lib/.wh.dpkg")))) == [("app", "1", 0)]


def test_an_opaque_directory_is_empty_below_and_not_here() -> None:
    base = layer(member("opt/a.egg-info", METADATA), member("optional.egg-info", METADATA))
    upper = layer(member("opt/b.egg-info", METADATA), member("opt/.wh..wh..opq"))

    assert [p.package.path for p in image(base, upper).packages] == ["opt/b.egg-info", "optional.egg-info"]
    assert image(base, layer(member(".wh..wh..opq"))).packages == ()


def test_a_single_file_belongs_to_the_layer_that_last_wrote_it() -> None:
    single = member("var/lib/dpkg/status.d/base", b"Package: base\nVersion: 1\n")

    assert found(image(layer(RELEASE, single), layer(single))) == [("base", "1", 1)]


def test_merged_usr_makes_two_database_paths_one() -> None:
    alpine = member("etc/os-release", b"ID=alpine\nVERSION_ID=3.22.1\n")
    base = layer(alpine, symlink("lib", "usr/lib"), member("usr/lib/apk/db/installed", apk_installed(("musl", "1"))))
    upper = layer(member("lib/apk/db/installed", apk_installed(("musl", "1"), ("zlib", "2"))))
    facts = image(base, upper)

    assert (found(facts), facts.reasons) == ([("musl", "1", 0), ("zlib", "2", 1)], ())


def test_a_whiteout_acts_where_its_directory_leads() -> None:
    base = layer(symlink("lib", "usr/lib"), member("usr/lib/apk/db/installed", apk_installed(("musl", "1"))))

    assert found(image(base)) == [("musl", "1", 0)]
    for hiding in ("lib/apk/db/.wh.installed", "lib/apk/.wh..wh..opq", "usr/lib/.wh.apk"):
        assert found(image(base, layer(member(hiding)))) == []
    assert found(image(base, layer(member(".wh.lib")))) == [("musl", "1", 0)]


def test_a_directory_in_the_place_of_a_link_splits_them_again() -> None:
    alpine = member("etc/os-release", b"ID=alpine\nVERSION_ID=3.22.1\n")
    base = layer(alpine, symlink("lib", "usr/lib"), member("usr/lib/apk/db/installed", apk_installed(("musl", "1"))))
    upper = layer(directory("lib"), member("lib/.wh..wh..opq"))

    assert found(image(base, upper)) == [("musl", "1", 0)]


@pytest.mark.parametrize(
    ("link", "target"),
    [("var/lib/dpkg", "/opt/dpkg"), ("var/lib", "../elsewhere"), ("var", "var"), (STATUS, "../../../tmp/status")],
)
def test_a_link_that_leads_out_of_sight_is_a_reason(link: str, target: str) -> None:
    facts = image(layer(RELEASE, status(("bash", "5"))), layer(symlink(link, target)))

    assert (facts.packages, facts.reasons) == ((), (f"unresolved_link:{link}",))


def test_the_usual_link_of_os_release_is_followed() -> None:
    base = layer(
        symlink("etc/os-release", "../usr/lib/os-release"),
        member("usr/lib/os-release", b"ID=debian\nVERSION_ID=12\n"),
        status(("bash", "5")),
    )

    assert (image(base).os, image(base).reasons) == ("debian:12", ())


def test_packages_of_an_unknown_system_are_a_reason() -> None:
    facts = image(layer(status(("bash", "5"))))

    assert ([p.namespace for p in facts.packages], facts.reasons, facts.os) == (["unknown"], ("unknown_os",), "unknown")


def test_python_needs_no_system() -> None:
    facts = image(layer(member("app.egg-info", METADATA)))

    assert ([p.namespace for p in facts.packages], facts.reasons) == (["pypi"], ())


def test_a_missing_layer_is_a_reason_and_the_others_stand() -> None:
    facts = image(layer(RELEASE, status(("bash", "5"))), None, layer(status(("bash", "5"), ("curl", "7"))))

    assert (found(facts), facts.reasons) == ([("bash", "5", 0), ("curl", "7", 2)], ("missing_layer",))


def test_what_cut_a_layer_short_is_a_reason() -> None:
    cut = facts_of(tar(RELEASE, status(("bash", "5")))[:-600])
    noted = layer(status(("bash", "5")), status(("bash", "6")))

    assert image(cut).reasons == ("corrupt:2472",)
    assert image(facts_of(tar(RELEASE, status(("bash", "5")))[:-1024])).reasons == ("corrupt:2048",)
    assert [p.code for p in noted.problems] == ["duplicate"]
    assert image(layer(RELEASE), noted).reasons == ()


def test_facts_that_are_not_complete_are_a_reason_even_without_a_problem() -> None:
    facts = replace(layer(RELEASE), complete=False, problems=(Problem("trailing_data", cut=False),))

    assert image(facts).reasons == ("incomplete_layer",)


@pytest.mark.parametrize("diff_ids", [["sha256:other"], [], ["sha256:other", "sha256:more"], None])
def test_other_diff_ids_than_the_configs_are_a_reason(diff_ids: object) -> None:
    assert overlay([layer(RELEASE)], {"rootfs": {"diff_ids": diff_ids}}).reasons == ("diffid_mismatch",)


def test_no_layers_are_no_packages_and_no_reason() -> None:
    assert image() == ImageFacts((), (), "unknown")
