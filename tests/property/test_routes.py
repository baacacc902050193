"""Routes of /v2: every name of the grammar routes to itself, whatever it looks like. Design: registry.md 1."""

from hypothesis import given
from hypothesis import strategies as st

from entrepot.oci.reference import NAME, TAG
from entrepot.web.v2.dispatch import Route, route

DIGEST = f"sha256:{'ab' * 32}"
WORDS = st.sampled_from(["manifests", "blobs", "uploads", "tags", "list", "referrers", "auth", "v2", "latest", "a"])
SEPARATORS = st.sampled_from([".", "_", "__", "-", "--"])
RUNS = st.text("abcxyz019", min_size=1, max_size=4)
COMPONENTS = st.one_of(WORDS, RUNS, st.tuples(RUNS, SEPARATORS, RUNS).map("".join))
NAMES = st.lists(COMPONENTS, min_size=1, max_size=7).map("/".join)
TAGS = st.one_of(WORDS, st.from_regex(TAG, fullmatch=True))
ULIDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=26, max_size=26)


@given(NAMES)
def test_the_names_made_here_are_names(name: str) -> None:
    assert NAME.match(name)


@given(NAMES, st.one_of(TAGS, st.just(DIGEST)))
def test_a_manifest_routes_to_its_name(name: str, reference: str) -> None:
    assert route(f"{name}/manifests/{reference}") == Route("manifests", name, reference)


@given(NAMES)
def test_a_blob_routes_to_its_name(name: str) -> None:
    assert route(f"{name}/blobs/{DIGEST}") == Route("blobs", name, DIGEST)


@given(NAMES)
def test_a_list_of_referrers_routes_to_its_name(name: str) -> None:
    assert route(f"{name}/referrers/{DIGEST}") == Route("referrers", name, DIGEST)


@given(NAMES, ULIDS)
def test_an_upload_routes_to_its_name(name: str, id_: str) -> None:
    assert route(f"{name}/blobs/uploads/") == Route("uploads", name, "")
    assert route(f"{name}/blobs/uploads") == Route("uploads", name, "")
    assert route(f"{name}/blobs/uploads/{id_}") == Route("uploads", name, id_)


@given(NAMES)
def test_a_list_of_tags_routes_to_its_name(name: str) -> None:
    assert route(f"{name}/tags/list") == Route("tags", name, "")


@given(st.text("ab/.:%manifestsbloupdg", max_size=60))
def test_a_path_means_one_thing_or_nothing(path: str) -> None:
    found = route(path)

    if found is not None:
        middle = {
            "manifests": f"/manifests/{found.reference}",
            "blobs": f"/blobs/{found.reference}",
            "tags": "/tags/list",
            "referrers": f"/referrers/{found.reference}",
            "uploads": f"/blobs/uploads/{found.reference}",
        }[found.operation]
        assert path in {f"{found.name}{middle}", f"{found.name}{middle}".rstrip("/")}
