"""The grammar of token scopes. Spec: distribution docs, "Token Scope Documentation"."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.access.errors import ScopeInvalidError
from entrepot.access.scopes import KNOWN, MAX_SCOPES, Scope, Scopes, parse_scopes
from entrepot.oci.reference import NAME


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], ()),
        ([""], ()),
        (["repository:a/b:pull"], (Scope("a/b", ("pull",)),)),
        (["repository:a/b:push,pull"], (Scope("a/b", ("pull", "push")),)),
        (["repository:a/b:*"], (Scope("a/b", KNOWN),)),
        (["repository:a/b:pull,fly"], (Scope("a/b", ("pull",)),)),
        (["repository:a/b:"], (Scope("a/b", ()),)),
        (["repository:a/b:pull", "repository:a/b:push"], (Scope("a/b", ("pull", "push")),)),
        (["repository:a:pull  repository:b:pull"], (Scope("a", ("pull",)), Scope("b", ("pull",)))),
        (["registry:other:*", "registry:catalog:pull"], ()),
        (["repository(plugin):a/b:pull"], (Scope("a/b", ("pull",)),)),
        (["something:else:x repository:a:pull"], (Scope("a", ("pull",)),)),
    ],
)
def test_scopes_are_read_joined_and_merged(texts: list[str], expected: tuple[Scope, ...]) -> None:
    assert parse_scopes(texts) == Scopes(expected)


def test_the_list_of_repositories_has_a_scope_of_its_own() -> None:
    texts = ["repository:a:pull registry:catalog:*"]

    assert parse_scopes(texts) == Scopes((Scope("a", ("pull",)),), catalog=True)


@pytest.mark.parametrize(
    "text",
    ["x", "repository", "repository:a/b", "repository:A:pull", "repository::pull", "repository:a/../b:pull",
     "repository:a%2Fb:pull", "repository:" + "a" * 600 + ":pull"],
)  # fmt: skip
def test_what_is_no_scope_is_refused(text: str) -> None:
    with pytest.raises(ScopeInvalidError):
        parse_scopes([text])


def test_fifty_are_read_and_one_more_is_refused() -> None:
    texts = [f"repository:r{n}:pull" for n in range(MAX_SCOPES + 1)]

    assert len(parse_scopes(texts[:-1]).repositories) == MAX_SCOPES
    with pytest.raises(ScopeInvalidError):
        parse_scopes(texts)


@given(st.lists(st.one_of(st.text(max_size=60), st.from_regex(r"repository:[a-zA-Z/:.]*:[a-z,*]*", fullmatch=True))))
def test_any_text_gives_scopes_of_valid_names_or_its_own_error(texts: list[str]) -> None:
    with contextlib.suppress(ScopeInvalidError):
        for scope in parse_scopes(texts).repositories:
            assert NAME.match(scope.name)
            assert set(scope.actions) <= set(KNOWN)
