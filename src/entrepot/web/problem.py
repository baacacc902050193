"""Problem documents: how errors look outside /v2. Spec: RFC 9457, 3.1; code, errors and trace_id are our extensions."""

from collections.abc import Sequence
from typing import Any, Final

MEDIA_TYPE: Final = "application/problem+json"
TITLES: Final = {
    400: "Bad request",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Not offered",
    409: "Conflict",
    408: "Too slow",
    412: "Precondition failed",
    413: "Too large",
    414: "Address too long",
    416: "Outside the content",
    422: "Invalid",
    428: "Condition required",
    429: "Too many requests",
    431: "Headers too large",
    500: "Error on our side",
    503: "Not available now",
}


def document(status: int, detail: str, code: str, errors: Sequence[dict[str, Any]], trace_id: str) -> dict[str, Any]:
    """The members of a problem document. errors: every fault, as pointer and message."""
    return {
        "type": "about:blank",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "errors": list(errors),
        "trace_id": trace_id,
    }
