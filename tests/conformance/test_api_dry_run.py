"""`dry_run=true` over the management API: what would go is named, and nothing changes. Design: product.md, 4."""

import json
import uuid
from dataclasses import dataclass
from typing import Any

import pytest

from tests.real.protocol import OCI_INDEX, OCI_MANIFEST, Answer, Registry, descriptor, encoded, sha256
from tests.real.server import Credential, Server


@dataclass(frozen=True, slots=True)
class Site:
    """A project, with what can be deleted in it, seen by its administrator."""

    registry: Registry
    project: str

    def ask(self, method: str, path: str) -> Answer:
        return self.registry.ask(
            method, f"/api/v1{path.format(project=self.project)}", b"" if method == "POST" else None
        )

    def plan(self, method: str, path: str) -> Any:
        answer = self.ask(method, f"{path}?dry_run=true")
        assert answer.status < 300, answer.body
        return answer.json

    def state(self) -> Any:
        """All that a deletion could change."""
        paths = (
            f"/repositories?filter=project={self.project}",
            f"/repositories/{self.project}/web/-/tags",
            f"/projects/{self.project}/operations",
            f"/projects/{self.project}/robots",
            f"/projects/{self.project}",
            f"/projects/{self.project}/quota",
            f"/audit?project={self.project}&actor=admin&limit=1000",
        )
        answers = [self.ask("GET", path) for path in paths]
        return [answer.body if answer.status == 200 else answer.status for answer in answers]


@pytest.fixture
def site(registry: Registry, project: str, shared_server: Server) -> Site:
    """Two images that share a layer, one with a referrer, in one repository; a third of its own in another."""
    shared_server.create_robot(project, "ci")
    name, own = f"{project}/web", project.encode()
    first = registry.image(name, [own + b"shared", own + b"one" * 100])
    assert registry.put_manifest(name, "v1", first).status == 201
    registry.push_image(name, "v2", [own + b"shared", own + b"two" * 100])
    registry.push_image(f"{project}/api", "v1", [own + b"three" * 100, own + b"shared"])
    note = registry.image(name, [own], subject=descriptor(first, OCI_MANIFEST), artifactType="text/plain")
    assert registry.put_manifest(name, sha256(note), note).status == 201
    return Site(registry, project)


def another_admin(server: Server, site: Site) -> Site:
    """*site* as somebody else with all rights sees it."""
    made = server.api("POST", "/accounts", {"name": f"a{uuid.uuid4().hex[:10]}"})
    server.api("PUT", f"/accounts/{made['name']}/roles", {"roles": ["admin"]})
    return Site(Registry(server.host).as_(Credential(made["name"], made["password"])), site.project)


def digest_of(site: Site, tag: str) -> str:
    return site.registry.ask("HEAD", f"/v2/{site.project}/web/manifests/{tag}").header("Docker-Content-Digest")


def items(plan: Any) -> list[tuple[str, str]]:
    return [(each["kind"], each["name"]) for each in plan["items"]]


def test_a_tag_takes_no_bytes_with_it(site: Site) -> None:
    before = site.state()
    plan = site.plan("DELETE", "/repositories/{project}/web/-/artifacts/v1")

    assert items(plan) == [("tag", f"{site.project}/web:v1")]
    assert (plan["dry_run"], plan["total"], plan["bytes"], plan["shared_bytes"]) == (True, 1, 0, 0)
    assert site.state() == before


def test_a_digest_takes_its_tags_and_referrers_and_only_what_nobody_shares(site: Site) -> None:
    before, digest = site.state(), digest_of(site, "v1")
    plan = site.plan("DELETE", "/repositories/{project}/web/-/artifacts/" + digest)

    kinds = [kind for kind, _ in items(plan)]
    assert (kinds, plan["total"]) == (["manifest", "manifest", "tag"], 3)
    assert ("manifest", f"{site.project}/web@{digest}") in items(plan)
    assert plan["bytes"] > 300
    assert plan["shared_bytes"] > len(b"shared")
    assert site.state() == before


def test_what_was_planned_is_what_is_deleted(site: Site) -> None:
    digest = digest_of(site, "v1")
    path = "/repositories/{project}/web/-/artifacts/" + digest
    planned = items(site.plan("DELETE", path))
    operation = site.ask("DELETE", path).json["operation"]
    taken = site.plan("POST", f"/operations/{operation}/purge")

    assert items(taken) == [each for each in planned if each[0] == "manifest"]


def test_a_repository_takes_its_tags_and_what_it_alone_has(site: Site) -> None:
    before = site.state()
    plan = site.plan("DELETE", "/repositories/{project}/web")
    share = site.ask("GET", "/repositories/{project}/web/-/storage").json

    assert items(plan) == [
        ("repository", f"{site.project}/web"),
        ("tag", f"{site.project}/web:v1"),
        ("tag", f"{site.project}/web:v2"),
    ]
    assert (plan["bytes"], plan["shared_bytes"]) == (share["exclusive"], share["shared"])
    assert site.state() == before


def test_a_project_takes_its_repositories_and_counts_once_what_they_share(site: Site) -> None:
    before = site.state()
    plan = site.plan("DELETE", "/projects/{project}")
    used = site.ask("GET", "/projects/{project}/quota").json["used"]

    assert items(plan) == [
        ("project", site.project),
        ("repository", f"{site.project}/api"),
        ("repository", f"{site.project}/web"),
    ]
    assert plan["bytes"] + plan["shared_bytes"] <= used
    assert plan["bytes"] > 900
    assert site.state() == before


def test_a_robot_is_named(site: Site) -> None:
    before = site.state()

    assert items(site.plan("DELETE", "/projects/{project}/robots/ci")) == [("robot", f"{site.project}+ci")]
    assert site.state() == before
    assert site.ask("DELETE", "/projects/{project}/robots/none?dry_run=true").status == 404


def test_a_purge_says_what_would_be_gone_for_good(site: Site, shared_server: Server) -> None:
    operation = site.ask("DELETE", "/repositories/{project}/web").json["operation"]
    before = site.state()
    plan = site.plan("POST", f"/operations/{operation}/purge")
    due = site.plan("POST", "/trash/purge")

    assert items(plan) == [("repository", f"{site.project}/web")]
    assert plan["bytes"] > 600
    assert due["dry_run"] is True
    assert site.state() == before
    wish = site.ask("POST", f"/operations/{operation}/purge").json["request"]
    assert items(another_admin(shared_server, site).plan("POST", f"/operations/{wish}/confirm")) == items(plan)


def test_the_plan_of_a_purge_is_refused_where_the_purge_is_with_the_same_words(site: Site) -> None:
    first, second = (
        site.ask("DELETE", f"/repositories/{{project}}/{name}").json["operation"] for name in ("web", "api")
    )
    wish = site.ask("POST", f"/operations/{first}/purge").json["request"]
    site.ask("POST", f"/operations/{second}/undo")
    refused = {
        f"/operations/{wish}/confirm": 409,  # by the one who asked
        f"/operations/{first}/confirm": 404,  # no wish
        f"/operations/{wish}/purge": 409,  # a wish
        f"/operations/{second}/purge": 409,  # taken back
        f"/operations/{second}/confirm": 409,
        "/operations/none/purge": 404,
    }

    for path, status in refused.items():
        planned, done = site.ask("POST", f"{path}?dry_run=true"), site.ask("POST", path)
        assert (planned.status, done.status) == (status, status), path
        assert planned.json["detail"] == done.json["detail"], path


REFUSED: dict[str, str] = {
    "a locked tag": "/repositories/{project}/web/-/artifacts/v1",
    "what a locked tag names": "/repositories/{project}/web/-/artifacts/{v1}",
    "its repository": "/repositories/{project}/web",
    "its project": "/projects/{project}",
    "what is not there": "/repositories/{project}/web/-/artifacts/none",
    "a repository that is not there": "/repositories/{project}/none",
    "what an index lists": "/repositories/{project}/web/-/artifacts/{v2}",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plan_is_refused_where_the_act_is_with_the_same_words(site: Site, case: str) -> None:
    path = REFUSED[case].format(project=site.project, v1=digest_of(site, "v1"), v2=digest_of(site, "v2"))
    lock = f"/api/v1/repositories/{site.project}/web/-/tags/v1/lock"
    assert site.registry.ask("PUT", lock, b"", {"If-Match": "*"}).status == 204
    listed = site.registry.ask("GET", f"/v2/{site.project}/web/manifests/v2")
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(listed.body, OCI_MANIFEST)]})
    assert site.registry.put_manifest(f"{site.project}/web", "both", index, OCI_INDEX).status == 201
    planned, done = site.ask("DELETE", f"{path}?dry_run=true"), site.ask("DELETE", path)

    assert planned.status == done.status
    assert planned.status in {403, 404, 409}
    assert planned.json["detail"] == done.json["detail"]


def test_who_may_not_delete_may_not_plan(site: Site, shared_server: Server) -> None:
    robot: Credential = shared_server.create_robot(site.project, f"r{uuid.uuid4().hex[:8]}")
    pushing = Registry(shared_server.host).as_(robot)

    for path in ("/repositories/{project}/web", "/repositories/{project}/web/-/artifacts/v1"):
        refused = pushing.ask("DELETE", f"/api/v1{path.format(project=site.project)}?dry_run=true")
        assert refused.status == 403, json.dumps(refused.json)
