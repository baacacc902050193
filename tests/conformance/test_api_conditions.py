"""Conditional changes over the management API: nobody overwrites what he never saw. Spec: RFC 9110, 13.1.1."""

import json
import threading
from dataclasses import dataclass
from typing import Any

import pytest

from tests.real.protocol import Answer, Registry

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class Resource:
    """What shows a thing, what changes it, to what: two bodies, of which the first is not what it is at first."""

    shown: str
    method: str
    changed: str
    bodies: tuple[Any, Any]


RESOURCES = {
    "project": Resource("/projects/{project}", "PATCH", "/projects/{project}", ({"visibility": "public"}, {})),
    "switch": Resource(
        "/projects/{project}", "PATCH", "/projects/{project}", ({"strict_sizes": False}, {"strict_sizes": True})
    ),
    "quota": Resource("/projects/{project}/quota", "PUT", "/projects/{project}/quota", ({"limit": 5}, {"limit": None})),
    "policy": Resource(
        "/projects/{project}/policy", "PUT", "/projects/{project}/policy/mode", ({"mode": "enforce"}, {"mode": "warn"})
    ),
    "lock": Resource(
        "/repositories/{project}/web/-/tags/v", "PUT", "/repositories/{project}/web/-/tags/v/lock", (None, None)
    ),
    "unlock": Resource(
        "/repositories/{project}/web/-/tags/v", "DELETE", "/repositories/{project}/web/-/tags/v/lock", (None, None)
    ),
}


@pytest.fixture(params=RESOURCES)
def thing(request: pytest.FixtureRequest, registry: Registry, project: str) -> "Thing":
    """One of the resources that can be changed."""
    registry.push_image(f"{project}/web", "v")
    return Thing(RESOURCES[request.param], registry, project)


@dataclass(frozen=True, slots=True)
class Thing:
    """A resource of a project, as *registry* sees it."""

    resource: Resource
    registry: Registry
    project: str

    def show(self) -> Answer:
        return self.registry.ask("GET", "/api/v1" + self.resource.shown.format(project=self.project))

    def change(self, if_match: str | None, body: int = 0) -> Answer:
        headers = JSON if if_match is None else JSON | {"If-Match": if_match}
        path = "/api/v1" + self.resource.changed.format(project=self.project)
        return self.registry.ask(self.resource.method, path, json.dumps(self.resource.bodies[body]).encode(), headers)


def state(answer: Answer) -> Any:
    """What was shown, save what no change of this kind sets."""
    return {key: value for key, value in answer.json.items() if key not in {"used", "repositories", "largest"}}


def test_a_change_without_a_condition_is_428_and_changes_nothing(thing: Thing) -> None:
    before = thing.show()
    refused = thing.change(None)

    assert (refused.status, refused.json["status"]) == (428, 428)
    assert "If-Match" in refused.json["detail"]
    assert state(thing.show()) == state(before)


@pytest.mark.parametrize("stale", ['"0000"', 'W/"0000"', "", "x", '"0000", "1111"', "*, *"])
def test_a_change_of_what_was_not_seen_is_412_and_changes_nothing(thing: Thing, stale: str) -> None:
    before = thing.show()
    refused = thing.change(stale)

    assert refused.status == 412
    assert state(thing.show()) == state(before)


def test_a_change_of_what_was_seen_takes_place(thing: Thing) -> None:
    seen = thing.show().header("ETag")

    assert seen.startswith('"')
    assert thing.change(seen).status < 300


def test_whatever_it_is_is_changed_by_a_star(thing: Thing) -> None:
    assert thing.change("*").status < 300


def test_one_of_several_tags_is_enough_and_a_weak_one_is_none(thing: Thing) -> None:
    seen = thing.show().header("ETag")

    assert thing.change(f"W/{seen}").status == 412
    assert thing.change(f'"0000", {seen}').status < 300


def test_what_was_changed_meanwhile_is_not_overwritten(registry: Registry, project: str) -> None:
    registry.push_image(f"{project}/web", "v")
    for name in ("switch", "quota", "policy", "lock"):
        thing = Thing(RESOURCES[name], registry, project)
        seen = thing.show().header("ETag")

        assert thing.change(seen).status < 300
        assert thing.show().header("ETag") != seen, name
        assert thing.change(seen, 1).status == 412, name


def test_a_tag_that_moved_is_not_the_one_that_was_seen(registry: Registry, project: str) -> None:
    registry.push_image(f"{project}/web", "v", [b"one"])
    thing = Thing(RESOURCES["lock"], registry, project)
    seen = thing.show().header("ETag")
    registry.push_image(f"{project}/web", "v", [b"two"])

    assert thing.change(seen).status == 412
    assert thing.change(thing.show().header("ETag")).status == 204


def test_counters_that_move_by_themselves_make_no_entity_tag_stale(registry: Registry, project: str) -> None:
    seen = {name: Thing(RESOURCES[name], registry, project).show().header("ETag") for name in ("project", "quota")}
    registry.push_image(f"{project}/web", "v")

    for name, tag in seen.items():
        assert Thing(RESOURCES[name], registry, project).change(tag).status == 200


@pytest.mark.parametrize("name", ["switch", "quota"])
def test_of_changes_at_once_that_saw_the_same_one_takes_place(registry: Registry, project: str, name: str) -> None:
    thing = Thing(RESOURCES[name], registry, project)
    seen = thing.show().header("ETag")
    statuses: list[int] = []
    racers = [threading.Thread(target=lambda: statuses.append(thing.change(seen).status)) for _ in range(8)]
    run(racers)

    assert sorted(statuses) == [200] + [412] * 7


def run(racers: list[threading.Thread]) -> None:
    for each in racers:
        each.start()
    for each in racers:
        each.join()


def test_every_operation_that_changes_a_thing_in_place_takes_a_condition(registry: Registry) -> None:
    paths = registry.ask("GET", "/api/v1/openapi.json").json["paths"]
    without = [
        operation["operationId"]
        for methods in paths.values()
        for method, operation in methods.items()
        if method in {"put", "patch"} and "If-Match" not in {each["name"] for each in operation.get("parameters", [])}
    ]

    assert without == ["changePassword"]  # which nobody can read, and which asks for the old one
