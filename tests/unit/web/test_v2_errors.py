"""Errors as the distribution specification writes them."""

from collections.abc import MutableMapping
from dataclasses import dataclass, field
from typing import Any, cast

import msgspec
import pytest

from entrepot.access.errors import InsufficientScopeError, LoginBusyError, LoginRequiredError, PermissionDeniedError
from entrepot.catalog.errors import ManifestBlobUnknownError
from entrepot.content.errors import RangeInvalidError, RangeNotSatisfiableError, StorageUnavailableError
from entrepot.errors import EntrepotError
from entrepot.web.request import Request
from entrepot.web.services import Services
from entrepot.web.v2.errors import MAX_MISSING, respond_error


@dataclass(frozen=True)
class Realm:
    """What an answer needs of the services."""

    realm: str = "https://registry.example/v2/auth"
    service: str = "registry.example"


@dataclass
class Sent:
    """Keeps what was sent."""

    messages: list[MutableMapping[str, Any]] = field(default_factory=list)

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)


async def receive() -> MutableMapping[str, Any]:
    raise AssertionError("an error reads no body")


async def answered(error: EntrepotError, method: str = "GET", scope: str = "") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the answer to *error*."""
    sent = Sent()
    raw: MutableMapping[str, Any] = {
        "method": method,
        "raw_path": b"/v2/shop/web/blobs/uploads/01M8?epoch=1",
        "headers": [],
        "client": None,
    }
    await respond_error(Request.of(raw, receive, sent), cast(Services, Realm()), error, scope)
    start, body = sent.messages
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, body["body"]


@pytest.mark.parametrize(
    ("error", "status"), [(LoginBusyError("busy"), 429), (StorageUnavailableError("the store is full"), 503)]
)
async def test_who_is_sent_away_hears_when_to_come_back(error: EntrepotError, status: int) -> None:
    answer = await answered(error)

    assert answer[0] == status
    assert answer[1]["retry-after"] == "2"


async def test_who_is_not_known_hears_where_to_get_a_token_and_for_what() -> None:
    bearer = 'Bearer realm="https://registry.example/v2/auth",service="registry.example"'

    _, plain, _ = await answered(LoginRequiredError("log in first"))
    _, scoped, _ = await answered(LoginRequiredError("log in first"), scope="repository:shop/web:pull")
    _, narrow, _ = await answered(InsufficientScopeError("repository:shop/web:pull,push"), scope="ignored")

    assert plain["www-authenticate"] == bearer
    assert scoped["www-authenticate"] == f'{bearer},scope="repository:shop/web:pull"'
    assert narrow["www-authenticate"] == (f'{bearer},scope="repository:shop/web:pull,push",error="insufficient_scope"')


async def test_a_refused_head_says_why_in_a_header() -> None:
    status, headers, body = await answered(PermissionDeniedError('robot "x" lacks y\\z', "y"), "HEAD")

    assert (status, body) == (403, b"")
    assert headers["warning"] == '299 - "robot \\"x\\" lacks y/z"'
    assert int(headers["content-length"]) > 0


async def test_where_an_upload_stands_is_said() -> None:
    status, headers, _ = await answered(RangeInvalidError("moved on", 10, 3))

    assert (status, headers["range"]) == (416, "0-9")
    assert headers["location"] == "/v2/shop/web/blobs/uploads/01M8?epoch=3"


async def test_how_long_the_content_is_is_said() -> None:
    status, headers, _ = await answered(RangeNotSatisfiableError(7))

    assert (status, headers["content-range"]) == (416, "bytes */7")


async def test_each_missing_digest_has_an_entry_up_to_a_limit() -> None:
    missing = [f"sha256:{number:064}" for number in range(500)]

    _, _, body = await answered(ManifestBlobUnknownError("shop/web", missing))

    errors = msgspec.json.decode(body)["errors"]
    assert errors[0]["message"] == f"{missing[0]} is not in shop/web (and 499 more); push it again"
    assert [error["detail"]["digest"] for error in errors] == missing[:MAX_MISSING]
