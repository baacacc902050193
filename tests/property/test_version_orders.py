"""Keys compare as versions do, second part: orders read off their specifications in the plainest way, dpkg and rpm."""

import itertools
import re
import subprocess
from collections.abc import Callable, Sequence
from functools import cmp_to_key
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from entrepot.scanning.versions import composer, cran, deb, gem, golang, hackage, maven, nuget, pub, rpm, semver

NUMBERS = st.integers(0, 3).map(str) | st.sampled_from(["9", "10", "11", "9" * 30])
PADDED = NUMBERS | st.sampled_from(["00", "01", "010"])
WORDS = st.sampled_from(["a", "b", "B", "alpha", "beta", "pre", "rc", "x1", "z"])

Order = Callable[[Any, Any], int]


def sign(left: Any, right: Any) -> int:
    return int(left > right) - int(left < right)


def agrees(key: Callable[[str], bytes], texts: Sequence[str], versions: Sequence[Any], order: Order) -> None:
    """Every two of *texts* compare by *key* as their *versions* do by *order*; so the order is total."""
    keys = [key(text) for text in texts]
    for (a, left), (b, right) in itertools.product(zip(keys, versions, strict=True), repeat=2):
        assert sign(a, b) == order(left, right), (left, right)


def many(versions: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(versions, min_size=2, max_size=8)


# rpm: rpm itself, asked for all pairs at once.
rpm_versions = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["0", "1", "a", "01"]),
        st.lists(st.sampled_from(["~", "^", ".", "_", "+", "a", "b", "Z", "0", "1", "10", "rc", "."]), max_size=6).map(
            "".join
        ),
    ),
)


@settings(max_examples=20)
@given(st.lists(rpm_versions, min_size=12, max_size=12))
def test_rpm_keys_compare_as_rpm_does(versions: list[str]) -> None:
    pairs = list(itertools.combinations(versions, 2))
    script = "".join(f"print(rpm.vercmp('{left}', '{right}') .. ' ')" for left, right in pairs)
    said = subprocess.run(["rpm", "--eval", f"%{{lua:{script}}}"], check=True, capture_output=True, text=True).stdout

    assert [sign(rpm.key(left), rpm.key(right)) for left, right in pairs] == [int(word) for word in said.split()]


@given(many(st.tuples(st.integers(0, 2), rpm_versions, rpm_versions)))
def test_rpm_keys_compare_epoch_then_version_then_release(versions: list[tuple[int, str, str]]) -> None:
    texts = [f"{epoch}:{version}-{release}" for epoch, version, release in versions]
    parts = [(epoch, rpm.key(version), rpm.key(release)) for epoch, version, release in versions]

    agrees(rpm.key, texts, parts, sign)


debian_versions = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "", "0:", "1:"]),
        st.sampled_from(["0", "1", "01", "10"]),
        st.text("0019aBZz.+~", max_size=6),
        st.just("") | st.text("01aZ.+~", min_size=1, max_size=4).map(lambda text: f"-{text}"),
    ),
)


@settings(max_examples=60)
@given(debian_versions, debian_versions)
def test_debian_keys_compare_as_the_program_dpkg_does(left: str, right: str) -> None:
    word = {-1: "lt", 0: "eq", 1: "gt"}[sign(deb.key(left), deb.key(right))]

    assert subprocess.run(["dpkg", "--compare-versions", left, word, right], check=False).returncode == 0


# Semantic versions: section 11 of the specification.
identifiers = st.lists(NUMBERS | WORDS | st.sampled_from(["-", "-1", "a-b", "1a"]), min_size=1, max_size=3)
Semantic = tuple[tuple[str, str, str], list[str], list[str]]
semantic_versions: st.SearchStrategy[Semantic] = st.tuples(
    st.tuples(NUMBERS, NUMBERS, NUMBERS), st.just([]) | identifiers, st.just([]) | identifiers
)


def semantic(version: Semantic) -> str:
    numbers, pre_release, build = version
    ends = [mark + ".".join(part) for mark, part in (("-", pre_release), ("+", build)) if part]
    return ".".join(numbers) + "".join(ends)


def precedence(left: Semantic, right: Semantic) -> int:
    by_number = sign([int(n) for n in left[0]], [int(n) for n in right[0]])
    if by_number or not (left[1] and right[1]):
        return by_number or sign(not left[1], not right[1])
    return dotted(left[1], right[1])


def dotted(left: list[str], right: list[str]) -> int:
    for one, other in zip(left, right, strict=False):
        if one.isdigit() != other.isdigit():
            return -1 if one.isdigit() else 1
        if result := sign(int(one), int(other)) if one.isdigit() else sign(one, other):
            return result
    return sign(len(left), len(right))


@given(many(semantic_versions))
def test_semantic_versions_compare_by_precedence(versions: list[Semantic]) -> None:
    agrees(semver.key, [semantic(v) for v in versions], versions, precedence)
    agrees(golang.key, [f"v{semantic(v)}" for v in versions], versions, precedence)


@given(many(semantic_versions))
def test_dart_versions_compare_by_build_too(versions: list[Semantic]) -> None:
    def order(left: Semantic, right: Semantic) -> int:
        builds = sign(bool(left[2]), bool(right[2])) or dotted(left[2], right[2])
        return precedence(left, right) or builds

    agrees(pub.key, [semantic(v) for v in versions], versions, order)


@given(
    many(
        st.tuples(
            st.lists(PADDED, min_size=1, max_size=4),
            st.just([]) | identifiers.map(lambda x: [y.lstrip("-") or "c" for y in x]),
        )
    )
)
def test_nuget_versions_compare_four_numbers_and_labels_of_any_case(
    versions: list[tuple[list[str], list[str]]],
) -> None:
    def plain(version: tuple[list[str], list[str]]) -> Any:
        numbers = [int(n) for n in version[0]] + [0] * (4 - len(version[0]))
        labels = [(0, int(x), "") if x.isdigit() and int(x) < 2**31 else (1, 0, x.upper()) for x in version[1]]
        return numbers, not labels, labels

    texts = [".".join(numbers) + ("-" + ".".join(labels) if labels else "") for numbers, labels in versions]
    agrees(nuget.key, texts, [plain(v) for v in versions], sign)


# Gems: missing segments are zeros, words come before numbers.
@given(many(st.tuples(PADDED, st.lists(PADDED | st.sampled_from(["a", "b", "B", "rc", "pre"]), max_size=5))))
def test_gem_versions_compare_segment_by_segment_with_zeros_for_missing_ones(
    versions: list[tuple[str, list[str]]],
) -> None:
    def plain(version: tuple[str, list[str]]) -> list[tuple[int, int, str]]:
        segments = [version[0], *version[1]]
        words = next((i for i, s in enumerate(segments) if s.isalpha()), len(segments))
        # Zeros before the first word go.
        while words and not segments[words - 1].strip("0"):
            words -= 1
            del segments[words]
        found = [(0, 0, s) if s.isalpha() else (1, int(s), "") for s in segments]
        return found + [(1, 0, "")] * (8 - len(found))

    agrees(gem.key, [".".join((v[0], *v[1])) for v in versions], [plain(v) for v in versions], sign)


# Maven: the tokens of the specification, padded as it says.
QUALIFIERS = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"]
SAME = {"cr": "rc", "ga": "", "final": "", "release": ""}
Token = tuple[str, str]
maven_words = st.sampled_from([*QUALIFIERS[:5], "sp", "ga", "final", "cr", "RELEASE", "foo", "Bar", "jre"])
maven_versions = st.builds(
    lambda first, rest: [(".", first), *rest],
    NUMBERS,
    st.lists(st.tuples(st.sampled_from([".", "-"]), NUMBERS | maven_words), max_size=5),
)


def trimmed(tokens: Sequence[Token]) -> list[Token]:
    kept: list[Token] = []
    for separator, text in [*tokens, ("-", "end")]:
        token = SAME.get(text.lower(), text.lower())
        if separator == "-" or not token.isdigit():
            while kept and kept[-1][1] in ("0", ""):
                kept.pop()
        kept.append((separator, token))
    return kept[:-1]


def maven_order(left: list[Token], right: list[Token]) -> int:
    for one, other in itertools.zip_longest(left, right):
        ranks = rank(one or padding(other)), rank(other or padding(one))
        if ranks[0] != ranks[1]:
            return sign(*ranks)
    return 0


def padding(token: Token) -> Token:
    return (".", "0") if token[0] == "." and token[1].isdigit() else ("-", "")


def rank(token: Token) -> tuple[int, int, str]:
    separator, text = token
    if text.isdigit():
        return (2 if separator == "." else 1), int(text), ""
    return (0, QUALIFIERS.index(text), "") if text in QUALIFIERS else (0, len(QUALIFIERS), text)


@given(many(maven_versions))
def test_maven_versions_compare_as_the_specification_says(versions: list[list[Token]]) -> None:
    texts = ["".join(separator + text for separator, text in tokens)[1:] for tokens in versions]

    agrees(maven.key, texts, [trimmed(tokens) for tokens in versions], maven_order)


@given(maven_versions)
def test_maven_transitions_between_digits_and_letters_count_as_hyphens(tokens: list[Token]) -> None:
    joined = re.sub(r"(?<=[0-9])-(?=[A-Za-z]{2})|(?<=[A-Za-z])-(?=[0-9])", "", "".join(s + t for s, t in tokens)[1:])

    assert maven.key(joined) == maven.key("".join(s + t for s, t in tokens)[1:])


# Composer: what `version_compare` does with a normalized version.
FORMS = ["dev", "alpha", "beta", "RC", "#", "number", "patch"]
composer_versions = st.tuples(
    st.lists(NUMBERS.filter(lambda n: len(n) < 6), min_size=1, max_size=4),
    st.just(()) | st.tuples(st.sampled_from(["alpha", "beta", "RC", "patch"]), st.lists(NUMBERS, max_size=2)),
    st.booleans(),
)


def composer_text(version: Any) -> str:
    numbers, stability, dev = version
    words = [f"-{stability[0]}{'.'.join(stability[1])}"] if stability else []
    return "".join((".".join(numbers), *words, "-dev" if dev else ""))


def composer_parts(version: Any) -> list[tuple[int, int]]:
    numbers, stability, dev = version
    parts = [
        *numbers,
        *["0"] * (4 - len(numbers)),
        *((stability[0], *stability[1]) if stability else ()),
        *(["dev"] if dev else []),
    ]
    found = [(FORMS.index("number"), int(p)) if p.isdigit() else (FORMS.index(p), 0) for p in parts]
    return [*found, (FORMS.index("#"), 0)]


@given(many(composer_versions))
def test_composer_versions_compare_as_their_normal_forms_do(versions: list[Any]) -> None:
    agrees(composer.key, [composer_text(v) for v in versions], [composer_parts(v) for v in versions], sign)


@given(many(st.lists(st.integers(0, 12), min_size=1, max_size=5)), st.sampled_from([".", "-"]))
def test_r_and_haskell_versions_compare_as_lists_of_numbers(versions: list[list[int]], separator: str) -> None:
    agrees(cran.key, [separator.join(map(str, v)) for v in versions], versions, sign)
    agrees(hackage.key, [".".join(map(str, v)) for v in versions], versions, sign)


@given(st.lists(maven_versions.map(trimmed), min_size=3, max_size=6))
def test_the_reference_for_maven_is_itself_an_order(versions: list[list[Token]]) -> None:
    ordered = sorted(versions, key=cmp_to_key(maven_order))

    assert all(maven_order(a, b) <= 0 for a, b in itertools.combinations(ordered, 2))
