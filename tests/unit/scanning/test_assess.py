"""How many versions of one package an image may have."""

from entrepot.scanning.assess import MAX_VERSIONS, _bounded


def test_as_many_versions_of_a_package_as_allowed_are_all_kept() -> None:
    versions = sorted(("pypi", name, f"1.{minor}") for name in ("a", "b") for minor in range(MAX_VERSIONS))

    assert _bounded(versions) == (versions, set())


def test_one_version_more_is_left_out_and_said() -> None:
    many = sorted(("pypi", "a", f"1.{minor}") for minor in range(MAX_VERSIONS + 1))
    kept, reasons = _bounded([*many, ("pypi", "b", "1")])

    assert (kept, reasons) == ([*many[:MAX_VERSIONS], ("pypi", "b", "1")], {"limit:versions"})


def test_a_name_that_no_database_takes_is_left_out_and_said() -> None:
    good = ("pypi", "a", "1")
    kept, reasons = _bounded([good, ("pypi", "b" * 256, "1"), ("pypi", "c", "1\0")])

    assert (kept, reasons) == ([good], {"limit:text"})
