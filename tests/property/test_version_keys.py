"""Keys compare as versions do. Oracles: univers (dpkg's algorithm), a naive apk model, `packaging`."""

import contextlib
import itertools

from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version
from univers.debian import Version as DpkgVersion

from entrepot.scanning.errors import VersionMalformedError
from entrepot.scanning.versions import apk, deb, pep440
from entrepot.scanning.versions.scheme import key_for

NUMBERS = st.integers(0, 12).map(str) | st.sampled_from(["00", "01", "010", "007", "20240131", "9" * 30])
NAMESPACES = [
    *("debian:12", "alpine:3.20", "rhel:9", "pypi", "npm", "go", "maven", "rubygems", "packagist", "nuget", "pub"),
    *("cran", "hackage"),
]
SUFFIXES = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"]

# univers, unlike dpkg, wants a digit first.
debian_parts = st.text("0019aBZz.+~-", max_size=8).map(lambda text: f"1{text}") | NUMBERS
debian_versions = st.tuples(
    st.sampled_from(["", "0:", "1:", "10:"]), debian_parts, st.just("") | st.text("01a.+~", min_size=1, max_size=5)
).map(lambda parts: f"{parts[0]}{parts[1]}{'-' if parts[2] else ''}{parts[2]}")

Token = tuple[str, str]
# Kinds of tokens with what stands before them; apk calls a later kind the lower one.
KINDS = {
    "first": "",
    "number": ".",
    "letter": "",
    "suffix": "_",
    "suffix number": "",
    "hash": "~",
    "revision": "-r",
    "end": "",
}

alpine_tokens: st.SearchStrategy[list[Token]] = st.builds(
    lambda *parts: [(kind, text) for kind, text in itertools.chain(*parts) if text],
    st.tuples(st.tuples(st.just("first"), NUMBERS)),
    st.lists(st.tuples(st.just("number"), NUMBERS), max_size=3),
    st.tuples(st.tuples(st.just("letter"), st.sampled_from(["", "", "a", "b", "z"]))),
    st.lists(
        st.tuples(
            st.tuples(st.just("suffix"), st.sampled_from([suffix for suffix in SUFFIXES if suffix])),
            st.tuples(st.just("suffix number"), st.just("") | NUMBERS),
        ),
        max_size=2,
    ).map(lambda pairs: [token for pair in pairs for token in pair]),
    st.tuples(st.tuples(st.just("hash"), st.sampled_from(["", "", "1a", "1a2", "ff"]))),
    st.tuples(st.tuples(st.just("revision"), st.just("") | NUMBERS)),
)

python_versions = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "v", "1!"]),
        st.lists(st.integers(0, 12).map(str), min_size=1, max_size=4).map(".".join),
        st.sampled_from(["", "", "a1", "b2", "rc10", ".alpha", "-c3"]),
        st.sampled_from(["", "", ".post1", "-2", ".post10"]),
        st.sampled_from(["", "", ".dev0", "dev3"]),
        st.sampled_from(["", "", "+a", "+a.1", "+1", "+1.a", "+10", "+deb10u1", "+A_b"]),
    ),
)


def sign(less: bool, greater: bool) -> int:
    return greater - less


def order(left: bytes, right: bytes) -> int:
    return sign(left < right, left > right)


@given(debian_versions, debian_versions)
def test_debian_keys_compare_as_dpkg_does(left: str, right: str) -> None:
    with contextlib.suppress(VersionMalformedError):
        keys = deb.key(left), deb.key(right)
        old, new = DpkgVersion.from_string(left), DpkgVersion.from_string(right)  # type: ignore[no-untyped-call]  # untyped

        assert order(*keys) == sign(old < new, old > new)


def written(tokens: list[Token]) -> str:
    return "".join(KINDS[kind] + text for kind, text in tokens)


def apk_order(left: list[Token], right: list[Token]) -> int:
    """apk's rule, token by token: the first difference decides."""
    for (kind, text), (other_kind, other) in zip([*left, ("end", "")], [*right, ("end", "")], strict=False):
        if kind == other_kind:
            result = apk_token_order(kind, text, other)
        elif kind == "suffix" and text in SUFFIXES[:4]:
            result = -1
        elif other_kind == "suffix" and other in SUFFIXES[:4]:
            result = 1
        else:
            kinds = list(KINDS)
            result = sign(kinds.index(kind) > kinds.index(other_kind), kinds.index(kind) < kinds.index(other_kind))
        if result:
            return result
    return 0


def apk_token_order(kind: str, left: str, right: str) -> int:
    if kind == "suffix":
        return sign(SUFFIXES.index(left) < SUFFIXES.index(right), SUFFIXES.index(left) > SUFFIXES.index(right))
    if kind in ("letter", "hash", "end") or (kind == "number" and "0" in (left[0], right[0])):
        return sign(left < right, left > right)
    return sign(int(left) < int(right), int(left) > int(right))


@given(alpine_tokens, alpine_tokens)
def test_alpine_keys_compare_as_apk_does(left: list[Token], right: list[Token]) -> None:
    assert order(apk.key(written(left)), apk.key(written(right))) == apk_order(left, right)


@given(alpine_tokens, st.integers(0, 9))
def test_alpine_keys_of_versions_that_share_a_beginning_compare_as_apk_does(tokens: list[Token], cut: int) -> None:
    shorter = tokens[: max(1, len(tokens) - cut)]

    assert order(apk.key(written(tokens)), apk.key(written(shorter))) == apk_order(tokens, shorter)


@given(python_versions, python_versions)
def test_python_keys_compare_as_packaging_does(left: str, right: str) -> None:
    with contextlib.suppress(VersionMalformedError):
        keys = pep440.key(left), pep440.key(right)
        old, new = Version(left), Version(right)

        assert order(*keys) == sign(old < new, old > new)


@given(
    st.sampled_from(NAMESPACES),
    st.text(max_size=600) | st.text("0123.~-+:_rabz!", max_size=600),
)
def test_any_text_gives_a_short_key_or_is_malformed(namespace: str, text: str) -> None:
    with contextlib.suppress(VersionMalformedError):
        assert 0 < len(key_for(namespace, text)) <= 512
