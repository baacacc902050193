import pytest

from entrepot.scanning.layers.links import follow, resolve, resolve_parent


@pytest.mark.parametrize(
    ("path", "links", "real"),
    [
        ("a/b", {}, "a/b"),
        ("lib/x", {"lib": "usr/lib"}, "usr/lib/x"),
        ("lib/x", {"lib": "/usr/lib/"}, "usr/lib/x"),
        ("a/b/c", {"a/b": "../d"}, "d/c"),
        ("a/b", {"a": "../../../..", "b": "c"}, "c"),
        ("a", {"a": "b", "b": "c", "c": "d"}, "d"),
        ("a/x", {"a": "a"}, None),
        ("a/x", {"a": "b", "b": "a"}, None),
        ("a/x", {"a": "a/a"}, None),
        ("a", {"a": "/"}, ""),
    ],
)
def test_links_lead_within_the_image(path: str, links: dict[str, str], real: str | None) -> None:
    assert resolve(path, links) == real


def test_40_links_are_followed_and_no_more() -> None:
    links = {f"l{index}": f"l{index + 1}" for index in range(41)}

    assert resolve("l1", links) == "l41"
    assert resolve("l0", links) is None


def test_the_first_link_on_the_way_is_named() -> None:
    assert follow("a/b", {"a": "c", "c/b": "d"}).link == "a"


def test_a_member_is_written_where_its_directory_leads_under_its_own_name() -> None:
    assert resolve_parent("lib/x", {"lib": "usr/lib", "usr/lib/x": "y"}) == "usr/lib/x"
    assert resolve_parent("lib", {"lib": "usr/lib"}) == "lib"
    assert resolve_parent("a/x", {"a": "/"}) == "x"
