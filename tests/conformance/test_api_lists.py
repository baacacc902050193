"""Every list of the management API: one language to filter, sort and page it. Design: product.md, section 4."""

import uuid
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

import pytest

from tests.real.protocol import Registry
from tests.real.server import Server

LISTS: Final = {
    "/projects": "name",
    "/repositories": "name",
    "/repositories/{project}/web/-/tags": "name",
    "/projects/{project}/robots": "login",
    "/projects/{project}/operations": "id",
    "/operations": "id",
    "/jobs": "id",
    "/audit": "id",
    "/repositories/{project}/web/-/artifacts/v1/packages": "",
    "/repositories/{project}/web/-/artifacts/v1/findings": "",
}
TAGS: Final = ("v1", "v2", "v9", "v10", "latest", "1.10", "1.9")


@pytest.fixture(scope="module")
def site(shared_server: Server) -> "Site":
    """A project with what each list lists."""
    admin = Registry(shared_server.host).as_(shared_server.admin)
    project = f"l{uuid.uuid4().hex[:12]}"
    shared_server.create_project(project)
    pushing = Registry(shared_server.host).as_(shared_server.create_robot(project, "ci"))
    for name in ("looks", "other"):
        shared_server.create_robot(project, name, "viewer")
    for number, tag in enumerate(TAGS):
        pushing.push_image(f"{project}/web", tag, [b"%d" % number])
    pushing.push_image(f"{project}/api", "v1", [b"api"])
    for tag in ("gone", "gone-too"):
        pushing.push_image(f"{project}/api", tag, [b"gone"])
        shared_server.api("DELETE", f"/repositories/{project}/api/-/artifacts/{tag}")
    return Site(shared_server, admin, project)


class Site:
    """A project, seen by the administrator."""

    def __init__(self, server: Server, registry: Registry, project: str) -> None:
        self.server = server
        self.registry = registry
        self.project = project

    def get(self, path: str, **query: Any) -> Any:
        return self.server.api("GET", f"{path.format(project=self.project)}?{urlencode(query)}")

    def refused(self, path: str, **query: Any) -> Any:
        answer = self.server.request("GET", f"/api/v1{path.format(project=self.project)}?{urlencode(query)}")
        assert answer.status == 422, answer.data
        return answer.json()["errors"]

    def names(self, path: str, field: str = "name", **query: Any) -> list[Any]:
        return [item[field] for item in self.get(path, **query)["items"]]

    def walk(self, path: str, limit: int, **query: Any) -> Iterator[Any]:
        after = ""
        while True:
            page = self.get(path, limit=limit, after=after, **query)
            yield from page["items"]
            if page["next"] is None:
                return
            after = page["next"]


@pytest.mark.parametrize("path", LISTS)
def test_every_list_names_what_was_meant(site: Site, path: str) -> None:
    (field,) = site.refused(path, filter="nmae=x")
    (order,) = site.refused(path, sort="-nothing-of-this-kind")

    assert (field["pointer"], order["pointer"]) == ("filter", "sort")
    assert "no such field" in field["message"]
    assert "no such order" in order["message"]
    assert "nmae" not in field["message"]


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("after", ["x", "e30", "W10", "bnVsbA", "W251bGwsbnVsbCxudWxsXQ"])
def test_every_list_refuses_what_is_no_cursor(site: Site, path: str, after: str) -> None:
    (fault,) = site.refused(path, after=after)

    assert fault["pointer"] == "after"


@pytest.mark.parametrize("path", [path for path, key in LISTS.items() if key])
def test_every_list_in_pages_is_the_whole_list_and_counts_it(site: Site, path: str) -> None:
    key = LISTS[path]
    query = {"filter": f"name~{site.project[:8]}"} if path == "/projects" else {}
    query |= {"filter": "name=scan.image"} if path == "/jobs" else {}  # of the server's others there may be thousands
    query |= {"filter": f"project={site.project}"} if path in {"/repositories", "/operations", "/audit"} else {}
    whole = site.get(path, limit=1000, count="true", **query)
    pages = list(site.walk(path, 2, **query))[: len(whole["items"])]

    assert [item[key] for item in pages] == [item[key] for item in whole["items"]]
    assert whole["total"] == len(whole["items"])
    assert site.get(path, limit=1, **query)["total"] is None


@pytest.mark.parametrize("path", [path for path, key in LISTS.items() if key])
def test_every_order_of_every_list_is_one(site: Site, path: str) -> None:
    document = site.registry.ask("GET", "/api/v1/openapi.json").json
    generic = path.replace("{project}/web/-/artifacts/v1", "{name}/-/artifacts/{reference}").replace(
        "{project}/web", "{name}"
    )
    (sort,) = [each for each in document["paths"][f"/api/v1{generic}"]["get"]["parameters"] if each["name"] == "sort"]
    seen = {}
    for order in sort["schema"]["enum"]:
        query = {"filter": f"project={site.project}"} if path == "/repositories" else {}
        found = [item[LISTS[path]] for item in site.get(path, sort=order, limit=1000, **query)["items"]]
        seen[order] = found
        assert sorted(found) == sorted(seen[sort["schema"]["enum"][0]]) or path in {"/jobs", "/audit"}

    assert seen[f"-{LISTS[path]}"][:3] == sorted(seen[f"-{LISTS[path]}"], reverse=True)[:3]


def test_tags_come_in_the_order_people_count_in(site: Site) -> None:
    path = "/repositories/{project}/web/-/tags"
    natural = ["1.9", "1.10", "latest", "v1", "v2", "v9", "v10"]

    assert site.names(path, sort="natural") == natural
    assert site.names(path, sort="-natural") == natural[::-1]
    assert [item["name"] for item in site.walk(path, 3, sort="natural")] == natural
    assert [item["name"] for item in site.walk(path, 3, sort="-natural", filter="name~v")] == ["v10", "v9", "v2", "v1"]
    assert site.get(path, sort="natural", limit=2, count="true")["total"] == 7
    assert site.names(path) == sorted(TAGS)


def test_tags_are_filtered_by_name_digest_age_and_lock(site: Site) -> None:
    path = "/repositories/{project}/web/-/tags"
    digest = site.get(path, limit=1)["items"][0]["digest"]
    lock = f"/repositories/{site.project}/web/-/tags/v9/lock"
    site.server.api("PUT", lock)

    assert site.names(path, filter="locked=true") == ["v9"]
    assert "v9" not in site.names(path, filter="not locked=true")
    assert site.names(path, filter="locked_by=admin and moved_at<1h") == ["v9"]
    assert site.names(path, filter="locked_by!=none") == ["v9"]
    assert site.names(path, filter="moved_at>1h") == []
    assert site.names(path, filter=f"digest={digest}") == ["1.10"]
    assert site.names(path, filter='(name~V1 or name="latest") and rev>=1') == ["latest", "v1", "v10"]
    assert site.names(path, sort="-moved_at") == list(TAGS[::-1])


def test_repositories_say_what_they_hold_and_when_they_were_used(site: Site) -> None:
    mine = f"project={site.project}"
    api, web = site.get("/repositories", filter=mine, sizes="true")["items"]

    assert (api["name"], web["name"]) == (f"{site.project}/api", f"{site.project}/web")
    assert (api["tags"], web["tags"]) == (1, 7)
    assert web["size"] > 500
    assert {item["size"] for item in site.get("/repositories", filter=mine)["items"]} == {None}
    assert web["pushed_at"] < api["pushed_at"]
    assert site.names("/repositories", filter=f"{mine} and tags>1") == [f"{site.project}/web"]
    assert site.names("/repositories", filter=mine, sort="-pushed_at") == [f"{site.project}/api", f"{site.project}/web"]
    assert site.names("/repositories", filter=f"{mine} and pulled_at=none") == [
        f"{site.project}/api",
        f"{site.project}/web",
    ]


def test_a_pull_is_seen_in_the_list_of_repositories(site: Site) -> None:
    robot = site.server.create_robot(site.project, f"r{uuid.uuid4().hex[:8]}", "viewer")
    name = f"{site.project}/pulled"
    Registry(site.server.host).as_(site.server.create_robot(site.project, f"w{uuid.uuid4().hex[:8]}")).push_image(
        name, "v1"
    )
    assert Registry(site.server.host).as_(robot).ask("GET", f"/v2/{name}/manifests/v1").status == 200

    def is_seen() -> bool:
        return site.names("/repositories", filter=f"project={site.project} and pulled_at<1h") == [name]

    site.server.wait_until("the pull is in the list", is_seen, 10)
    site.server.api("DELETE", f"/repositories/{name}")


def test_a_list_holds_what_one_may_see(site: Site) -> None:
    robot = site.server.create_robot(site.project, f"r{uuid.uuid4().hex[:8]}", "viewer")
    site.server.create_project(f"{site.project}x")
    seen = site.server.api("GET", "/repositories", credential=robot)["items"]

    assert {item["project"] for item in seen} == {site.project}
    for path in ("/jobs", "/audit", "/operations"):
        with pytest.raises(AssertionError):
            site.server.api("GET", f"{path}?filter={quote('id=x')}", credential=robot)


def test_operations_robots_and_projects_are_filtered(site: Site) -> None:
    operations = "/projects/{project}/operations"
    assert site.names(operations, "reference", filter="state=open and kind=tag", sort="reference") == [
        "gone",
        "gone-too",
    ]
    assert site.names(operations, "reference", filter="state!=open") == []
    assert site.names("/projects/{project}/robots", filter="role=viewer and not name~r") == ["looks"]
    assert site.names("/projects/{project}/robots", filter="name=other") == ["other"]
    assert site.names("/projects", filter=f"name={site.project} and repositories=2 and strict_sizes=true") == [
        site.project
    ]


def test_the_log_and_jobs_are_filtered(site: Site) -> None:
    mine = f"project={site.project}"
    assert set(site.names("/audit", "reference", filter=f"{mine} and action=tag.deleted")) == {"gone", "gone-too"}
    assert site.names("/audit", "reference", filter="action=tag.deleted", project=site.project, sort="id") == [
        "gone",
        "gone-too",
    ]
    assert site.names("/audit", "id", filter=f"{mine} and at>1h") == []
    assert site.get("/audit", filter=mine, count="true", limit=1)["total"] > 5
    assert {*site.names("/jobs", "state", filter="state=done or state=failed", limit=5)} <= {"done", "failed"}
    assert site.names("/jobs", "id", filter="attempts>1000") == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("nam=x", "did you mean name?"),
        ("moved_at>yesterday", "expected a time"),
        ("name>x", "expected an operator of name"),
        ("(" * 40 + "name=x" + ")" * 40, "nested deeper"),
        ("name=x and", "expected a field"),
        ("name='x' or 1=1 --", "no such field"),
    ],
)
def test_a_filter_that_can_t_be_read_says_where_and_why(site: Site, text: str, fault: str) -> None:
    (error,) = site.refused("/repositories/{project}/web/-/tags", filter=text)

    assert fault in error["message"]


def test_a_value_is_never_sql(site: Site) -> None:
    for value in ("' or 1=1 --", '"; drop table tag; --', "%", "_", "\\"):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        for sign in "=~":
            found = site.names("/repositories/{project}/web/-/tags", filter=f'name{sign}"{escaped}"')
            assert found == []
