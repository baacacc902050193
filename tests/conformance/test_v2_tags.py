"""Tags: order and pages. Spec: OCI distribution-spec, "Listing Tags"; design: registry.md 2.7."""

import re
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from tests.real.protocol import Registry

TAGS = ["1.10", "1.2", "1.2-rc1", "A", "B", "Z", "_x", "a", "a-", "a.", "a0", "aa", "latest", "z" * 128]


@pytest.fixture(scope="module")
def tags_url(registry: Registry, kept_project: str) -> str:
    """The list of a repository with TAGS."""
    return tagged(registry, f"{kept_project}/web")


def tagged(registry: Registry, repository: str) -> str:
    """The list of *repository*, which has TAGS now."""
    body = registry.image(repository)
    for tag in reversed(TAGS):
        assert registry.put_manifest(repository, tag, body).status == 201
    return f"/v2/{repository}/tags/list"


def test_tags_stand_in_the_order_of_their_bytes(registry: Registry, kept_project: str, tags_url: str) -> None:
    answer = registry.ask("GET", tags_url)

    assert sorted(TAGS, key=str.encode) == TAGS
    assert answer.json == {"name": f"{kept_project}/web", "tags": TAGS}
    assert answer.header("Content-Type") == "application/json"
    assert answer.header("Link") == ""


@pytest.mark.parametrize("size", [1, 3, 7, 13, 14, 15, 10_000, 99_999_999])
def test_pages_follow_the_link_to_the_end(registry: Registry, tags_url: str, size: int) -> None:
    seen: list[str] = []
    url: str | None = f"{tags_url}?n={size}"
    pages = 0
    while url:
        answer = registry.ask("GET", url)
        assert 0 < len(answer.json["tags"]) <= size
        seen += answer.json["tags"]
        pages += 1
        link = re.fullmatch(r'<(/v2/[^>]*)>; rel="next"', answer.header("Link"))
        url = link[1] if link else None
        if url:
            assert parse_qs(urlsplit(url).query) == {"n": [str(size)], "last": [seen[-1]]}

    assert seen == TAGS
    assert pages == -(-len(TAGS) // size)


@pytest.mark.parametrize("last", ["", "0", "AA", "a", "a-", "nothing%20like%20it", "zzzz", "%00", "%F0%9F%98%80"])
def test_last_need_not_exist(registry: Registry, tags_url: str, last: str) -> None:
    expected = [tag for tag in TAGS if tag.encode() > unquote(last).encode()]

    assert registry.ask("GET", f"{tags_url}?last={last}").json["tags"] == expected


def test_no_tags_is_an_empty_list(registry: Registry, repository: str) -> None:
    tags_url = tagged(registry, repository)
    zero = registry.ask("GET", f"{tags_url}?n=0")
    assert (zero.status, zero.json["tags"], zero.header("Link")) == (200, [], "")

    for tag in TAGS:
        registry.ask("DELETE", f"/v2/{repository}/manifests/{tag}")

    assert registry.ask("GET", tags_url).json["tags"] == []


@pytest.mark.parametrize("n", ["-1", "x", "1.0", "", "%D9%A3", "9" * 30, "1e3", "0x10"])
def test_an_n_that_is_no_number_is_refused(registry: Registry, tags_url: str, n: str) -> None:
    assert registry.ask("GET", f"{tags_url}?n={n}").refusal == (400, "UNSUPPORTED")


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD"])
def test_the_list_is_read_only(registry: Registry, tags_url: str, method: str) -> None:
    assert registry.ask(method, tags_url).status == 405
