"""The list of repositories: full pages of what the caller may see. Design: registry.md 2.7; security.md 10."""

import re
import uuid
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conformance.conftest import Robots
from tests.real.protocol import Registry
from tests.real.server import Server

SCOPE = "registry:catalog:*"
CATALOG = "/v2/_catalog"


@dataclass(frozen=True, slots=True)
class Place:
    """Repositories of two projects whose names interleave by their bytes: `x-b/…` stands before `x/…`."""

    project: str
    own: list[str]
    other: list[str]


@pytest.fixture(scope="module")
def place(shared_server: Server, registry: Registry, kept_project: str) -> Place:
    """Twelve repositories, six in each project."""
    shared_server.create_project(f"{kept_project}-b")
    names = [f"{owner}/r{n}" for n in range(6) for owner in (kept_project, f"{kept_project}-b")]
    for name in reversed(names):
        registry.push_image(name, "v1")
    own = sorted(name for name in names if name.startswith(f"{kept_project}/"))
    return Place(kept_project, own, sorted(set(names) - set(own)))


def test_a_robot_sees_its_own_project_in_full_pages(anonymous: Registry, place: Place, kept_robots: Robots) -> None:
    viewer = anonymous.as_(kept_robots.viewer)

    seen: list[str] = []
    url = f"{CATALOG}?n=2"
    while url:
        answer = viewer.ask("GET", url)
        assert answer.status == 200
        assert answer.header("Content-Type") == "application/json"
        assert answer.json.keys() == {"repositories"}
        link = re.fullmatch(r'<(/v2/[^>]*)>; rel="next"', answer.header("Link"))
        assert len(answer.json["repositories"]) == 2 or not link
        seen += answer.json["repositories"]
        url = link[1] if link else ""
        if url:
            assert parse_qs(urlsplit(url).query) == {"n": ["2"], "last": [seen[-1]]}

    # Beside them there are repositories of projects that other tests made public.
    assert seen == sorted(set(seen), key=str.encode)
    assert [name for name in seen if name.startswith(place.project)] == place.own


def test_an_administrator_sees_all_in_the_order_of_bytes(registry: Registry, place: Place) -> None:
    answer = registry.ask("GET", f"{CATALOG}?last={place.project}&n=12")

    assert answer.json["repositories"] == [*place.other, *place.own]


def test_a_token_for_the_list_is_asked_for_by_its_own_scope(
    anonymous: Registry, place: Place, kept_robots: Robots
) -> None:
    client = anonymous.as_(kept_robots.viewer)
    page = f"{CATALOG}?last={place.project}&n=6"

    unknown = anonymous.ask("GET", CATALOG)
    short = client.scoped(f"repository:{place.own[0]}:pull").ask("GET", CATALOG)

    assert (unknown.status, short.status) == (401, 401)
    assert f'scope="{SCOPE}"' in unknown.header("WWW-Authenticate")
    assert f'scope="{SCOPE}",error="insufficient_scope"' in short.header("WWW-Authenticate")
    assert client.scoped(SCOPE).ask("GET", page).json["repositories"] == place.own
    both = client.scoped(f"repository:{place.own[0]}:pull", SCOPE)
    assert both.ask("GET", page).json["repositories"] == place.own
    assert both.ask("GET", f"/v2/{place.own[0]}/manifests/v1").status == 200


def test_who_is_not_logged_in_gets_no_list(anonymous: Registry) -> None:
    refused = anonymous.scoped(SCOPE).ask("GET", CATALOG)

    assert refused.refusal == (403, "DENIED")
    assert "log in" in refused.message


def test_a_public_project_is_listed_for_everybody_who_is_logged_in(
    shared_server: Server, anonymous: Registry, registry: Registry, robots: Robots
) -> None:
    name = f"public{uuid.uuid4().hex[:8]}"
    shared_server.api("POST", "/projects", {"name": name, "visibility": "public"})
    registry.push_image(f"{name}/web", "v1")

    for client in (anonymous.as_(robots.stranger), anonymous.as_(robots.stranger).scoped(SCOPE)):
        page = client.ask("GET", f"{CATALOG}?last={name}&n=1").json
        assert page == {"repositories": [f"{name}/web"]}


def test_a_role_that_is_gone_counts_at_once_whatever_a_token_says(
    shared_server: Server, anonymous: Registry, place: Place
) -> None:
    token = anonymous.as_(shared_server.create_robot(place.project, "reader", "viewer")).scoped(SCOPE)
    page = f"{CATALOG}?last={place.project}&n=6"
    assert token.ask("GET", page).json["repositories"] == place.own

    shared_server.api("DELETE", f"/projects/{place.project}/robots/reader")

    answer = token.ask("GET", page)
    assert answer.status == 401 or not set(place.own) & set(answer.json["repositories"])


def test_zero_is_an_empty_list_and_what_is_no_number_is_refused(registry: Registry) -> None:
    zero = registry.ask("GET", f"{CATALOG}?n=0")

    assert (zero.json, zero.header("Link")) == ({"repositories": []}, "")
    for n in ("-1", "x", "1.0", "", "9" * 30):
        assert registry.ask("GET", f"{CATALOG}?n={n}").refusal == (400, "UNSUPPORTED")


def test_last_need_not_exist(registry: Registry, place: Place) -> None:
    answer = registry.ask("GET", f"{CATALOG}?last={place.project}/r2x&n=3")

    assert answer.json["repositories"] == place.own[3:]


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "HEAD"])
def test_the_list_is_read_only(registry: Registry, method: str) -> None:
    assert registry.ask(method, CATALOG).status == 405


def test_a_repository_may_have_the_name_of_a_part_of_the_protocol(registry: Registry, project: str) -> None:
    registry.push_image(f"{project}/catalog/tags", "v1")

    assert registry.ask("GET", f"{CATALOG}?last={project}&n=1").json == {"repositories": [f"{project}/catalog/tags"]}
