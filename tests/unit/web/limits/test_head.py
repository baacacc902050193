"""The head of a request: at each limit it passes, one past it is refused; what could be read in two ways is refused."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from entrepot.web.limits.errors import HeadersTooLargeError, RequestAmbiguousError, RequestLineTooLongError
from entrepot.web.limits.head import check_head

Fields = list[tuple[bytes, bytes]]
HOST = (b"host", b"registry.example")


def check(fields: Fields, path: str = "/v2/", query: bytes = b"", version: str = "1.1", **limits: int) -> None:
    scope: dict[str, Any] = {"headers": fields, "method": "GET", "query_string": query, "http_version": version}
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in fields}
    line, size, count = limits.get("line", 8192), limits.get("size", 32768), limits.get("count", 100)
    check_head(scope, path, headers, line, size, count)


@pytest.mark.parametrize("query", [b"", b"last=v1"])
def test_a_request_line_may_be_as_long_as_the_limit_and_no_byte_longer(query: bytes) -> None:
    line = b"GET /v2/" + (b"?" + query if query else b"") + b" HTTP/1.1\r\n"
    check([HOST], query=query, line=len(line))

    with pytest.raises(RequestLineTooLongError, match=f"limit of {len(line) - 1} bytes"):
        check([HOST], query=query, line=len(line) - 1)


def test_headers_may_have_as_many_bytes_as_the_limit_and_no_more() -> None:
    fields = [HOST, (b"accept", b"*/*")]
    written = b"host: registry.example\r\naccept: */*\r\n"
    check(fields, size=len(written))

    with pytest.raises(HeadersTooLargeError, match="bytes"):
        check(fields, size=len(written) - 1)


def test_there_may_be_as_many_headers_as_the_limit_and_no_more() -> None:
    fields = [HOST, *((b"x", b"y") for _ in range(4))]
    check(fields, count=5)

    with pytest.raises(HeadersTooLargeError, match="5 headers, the limit is 4"):
        check(fields, count=4)


@pytest.mark.parametrize(
    "name",
    [b"Host", b"Content-Type", b"Content-Length", b"Transfer-Encoding", b"Authorization", b"Range", b"Content-Range"],
)
def test_what_has_one_value_may_not_come_twice(name: bytes) -> None:
    value = b"chunked" if name == b"Transfer-Encoding" else b"1"
    with pytest.raises(RequestAmbiguousError, match=f"{name.decode()} was sent twice"):
        check([HOST, (name.lower(), value), (name, value)])


@pytest.mark.parametrize("name", [b"accept", b"if-none-match", b"cookie", b"x-forwarded-for"])
def test_lists_may_come_in_parts(name: bytes) -> None:
    check([HOST, (name, b"a"), (name, b"b")])


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"identity", b"chunked, chunked", b"xchunked", b""])
def test_no_transfer_coding_but_chunked_is_taken(coding: bytes) -> None:
    check([HOST, (b"transfer-encoding", b" CHUNKED ")])

    with pytest.raises(RequestAmbiguousError):
        check([HOST, (b"transfer-encoding", coding)])


def test_a_length_beside_a_transfer_coding_is_refused_where_it_is_seen() -> None:
    with pytest.raises(RequestAmbiguousError):
        check([HOST, (b"transfer-encoding", b"chunked"), (b"content-length", b"3")])


def test_http_1_1_needs_a_host_and_1_0_does_not() -> None:
    check([], version="1")

    with pytest.raises(RequestAmbiguousError):
        check([])
    with pytest.raises(RequestAmbiguousError):
        check([(b"host", b"")])


@given(
    st.lists(st.tuples(st.sampled_from([b"host", b"range", b"x", b"Transfer-Encoding"]) | st.binary(), st.binary())),
    st.text(),
)
def test_no_head_brings_anything_but_these_errors(fields: Fields, path: str) -> None:
    with suppress(RequestAmbiguousError, HeadersTooLargeError, RequestLineTooLongError):
        check(fields, path)
