"""The head of a request: how large it may be, and what in it would be read differently elsewhere.

The server (hyper, inside granian) hands over headers already parsed. Measured with granian 2.8.7, it refuses by itself
(400): two lengths that differ, a length that is no number, `Transfer-Encoding` that does not end in `chunked` or comes
in HTTP/1.0, folded lines, NUL, space before a colon; and (431) more than 100 headers. It takes a bare LF for CRLF, and
of a length beside a transfer coding it drops the length and closes after the answer: RFC 9112, 2.2 and 6.1, allow both,
and neither is visible here. The rest is refused here.
"""

from collections.abc import Mapping
from typing import Any, Final

from entrepot.web.limits.errors import HeadersTooLargeError, RequestAmbiguousError, RequestLineTooLongError

ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-length",
        b"content-range",
        b"content-type",
        b"expect",
        b"host",
        b"if-range",
        b"range",
        b"transfer-encoding",
    }
)
"""Headers with one value: of two, one server takes the first, another the last."""

LINE_EXTRA: Final = len("  HTTP/1.1\r\n")
HEADER_EXTRA: Final = len(": \r\n")


def check_head(
    scope: Mapping[str, Any], path: str, headers: Mapping[str, str], line_bytes: int, header_bytes: int, count: int
) -> None:
    """Refuses a head that is too large or ambiguous.

    scope: of ASGI; path: raw; headers: by lower-case name. line_bytes: the most of the request line; header_bytes,
    count: of all headers, each counted with its `: ` and CRLF.
    Raises RequestLineTooLongError, HeadersTooLargeError, RequestAmbiguousError. Spec: RFC 9112, 3, 3.2, 6.1.
    """
    fields = scope["headers"]
    number = len(fields)
    if number > count:
        raise HeadersTooLargeError(f"{number} headers, the limit is {count}")
    query = scope["query_string"]
    if len(scope["method"]) + len(path) + len(query) + bool(query) + LINE_EXTRA > line_bytes:
        raise RequestLineTooLongError(line_bytes)
    if sum([len(name) + len(value) for name, value in fields]) + number * HEADER_EXTRA > header_bytes:
        raise HeadersTooLargeError(f"the headers have more than {header_bytes} bytes")
    if len(headers) != number:
        _check_doubled(fields)
    if not headers.get("host") and scope["http_version"] == "1.1":
        raise RequestAmbiguousError("HTTP/1.1 asks for a Host header", "Host")
    coding = headers.get("transfer-encoding")
    if coding is not None and (coding.strip().lower() != "chunked" or "content-length" in headers):
        raise RequestAmbiguousError(
            "Transfer-Encoding may only be chunked, without Content-Length", "Transfer-Encoding"
        )


def _check_doubled(fields: list[tuple[bytes, bytes]]) -> None:
    seen: set[bytes] = set()
    for name, _ in fields:
        lower = name.lower()
        if lower in seen and lower in ONCE:
            text = lower.decode("latin-1").title()
            raise RequestAmbiguousError(f"{text} was sent twice", text)
        seen.add(lower)
