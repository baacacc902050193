"""Entity tags in headers: any text is read, and means what RFC 9110, 8.8.3 says or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.registry.model import UNCONDITIONAL, Condition
from entrepot.web.asgi import Message
from entrepot.web.request import Request
from entrepot.web.v2.conditions import condition, has_already


def asked(**headers: str) -> Request:
    """A request with *headers*, whose names are written with `_`."""
    lines = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
    scope = {"method": "GET", "path": "/", "headers": lines, "query_string": b""}

    async def receive() -> Message:
        raise AssertionError

    async def send(message: Message) -> None:
        raise AssertionError(message)

    return Request.of(scope, receive, send)


@pytest.mark.parametrize(
    ("header", "listed"),
    [
        ('"a"', {"a"}),
        ('W/"a"', set()),
        ('"a","b"', {"a", "b"}),
        (' "a" , W/"b" ,"c" ', {"a", "c"}),
        ('"a",', {"a"}),
        ('"a" "b"', set()),
        ("a", set()),
        ('"a', set()),
        ('"a"b', set()),
        ('""', {""}),
        ("*", {"*"}),
        ("", set()),
    ],
)
def test_a_list_of_strong_tags(header: str, listed: set[str]) -> None:
    assert condition(asked(if_match=header)) == Condition(frozenset(listed))


def test_without_a_header_nothing_is_asked() -> None:
    assert condition(asked()) == UNCONDITIONAL
    assert not has_already(asked(), "a")


def test_weak_tags_count_where_bytes_are_not_replaced() -> None:
    assert condition(asked(if_none_match='W/"a", "b"')).none_match == frozenset({"a", "b"})
    assert has_already(asked(if_none_match='W/"a"'), "a")


@given(st.text(st.characters(max_codepoint=255), max_size=40))
def test_any_text_is_read(text: str) -> None:
    for found in (condition(asked(if_match=text)).match, condition(asked(if_none_match=text)).none_match):
        assert found is not None
        assert has_already(asked(if_none_match=text), "no digest at all") == (
            found == {"*"} or "no digest at all" in found
        )


@given(st.lists(st.from_regex(r"sha256:[0-9a-f]{64}", fullmatch=True), min_size=1, max_size=5))
def test_whatever_is_listed_is_found(digests: list[str]) -> None:
    request = asked(if_none_match=", ".join(f'"{digest}"' for digest in digests))

    assert all(has_already(request, digest) for digest in digests)
