"""People: what their roles open and close, at once, and what is left of an account that is disabled: nothing."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.conformance.test_v2_revocation import IN_A_ROW, everywhere
from tests.real.protocol import Registry
from tests.real.server import ApiError, Credential, Server


@pytest.fixture
def ann(shared_server: Server) -> Credential:
    """A person without any role, with the first password."""
    return person(shared_server)


def person(server: Server) -> Credential:
    made = server.api("POST", "/accounts", {"name": f"ann-{uuid.uuid4().hex[:10]}"})
    return Credential(made["name"], made["password"])


def status(server: Server, method: str, path: str, credential: Credential) -> int:
    return server.request(method, f"/api/v1{path}", credential=credential).status


def always(refused: Callable[[], bool]) -> bool:
    return all(refused() for _ in range(IN_A_ROW))


@dataclass(frozen=True, slots=True)
class Doors:
    """All that a person's credentials open: API by password and token, /v2 by token and by registry tokens of both."""

    server: Server
    who: Credential
    token: Credential
    registry: Registry
    by_password: Registry
    by_token: Registry
    manifest: str

    def opened(self) -> dict[str, int]:
        return {
            "api, password": status(self.server, "GET", "/whoami", self.who),
            "api, token": status(self.server, "GET", "/whoami", self.token),
            "login, password": self.registry.as_(self.who).token().status,
            "login, token": self.registry.as_(self.token).token().status,
            "v2, token": self.registry.as_(self.token).ask("GET", self.manifest).status,
            "v2, registry token by password": self.by_password.ask("GET", self.manifest).status,
            "v2, registry token by token": self.by_token.ask("GET", self.manifest).status,
        }


@pytest.fixture
def doors(shared_server: Server, anonymous: Registry, registry: Registry, repository: str, ann: Credential) -> Doors:
    """A viewer's, all open."""
    registry.push_image(repository, "v1")
    shared_server.api("PUT", f"/projects/{repository.partition('/')[0]}/members/{ann.login}", {"role": "viewer"})
    made = shared_server.api("POST", "/auth/tokens", {"name": "laptop"}, credential=ann)
    token, scope = Credential(ann.login, made["token"]), f"repository:{repository}:pull"
    opened = Doors(
        shared_server,
        ann,
        token,
        anonymous,
        anonymous.as_(ann).scoped(scope),
        anonymous.as_(token).scoped(scope),
        f"/v2/{repository}/manifests/v1",
    )
    assert set(opened.opened().values()) == {200}, opened.opened()
    return opened


def test_of_a_disabled_account_nothing_opens_anything(shared_server: Server, doors: Doors) -> None:
    shared_server.api("DELETE", f"/accounts/{doors.who.login}")

    everywhere(lambda: set(doors.opened().values()) == {401})
    (row,) = [item for item in shared_server.items("/accounts") if item["name"] == doors.who.login]
    assert (row["roles"], row["disabled_at"] is not None) == ([], True)
    events = shared_server.items(f"/audit?actor={doors.who.login}&action=manifest.pulled")
    assert events  # what he did is still his


def test_a_disabled_account_s_password_and_tokens_end_in_every_process_at_once(
    shared_server: Server, doors: Doors
) -> None:
    shared_server.api("DELETE", f"/accounts/{doors.who.login}")

    later = {"v2, registry token by password", "v2, registry token by token"}
    assert always(lambda: {status for door, status in doors.opened().items() if door not in later} == {401})


def test_the_name_of_a_disabled_person_is_given_to_nobody_else(shared_server: Server, ann: Credential) -> None:
    shared_server.api("DELETE", f"/accounts/{ann.login}")

    for method, path, body, expected in (
        ("POST", "/accounts", {"name": ann.login}, 409),
        ("DELETE", f"/accounts/{ann.login}", None, 404),
        ("PUT", f"/accounts/{ann.login}/roles", {"roles": ["viewer"]}, 404),
    ):
        with pytest.raises(ApiError) as refused:
            shared_server.api(method, path, body)
        assert refused.value.status == expected


def test_another_password_ends_what_the_one_before_opened_and_leaves_tokens(
    shared_server: Server, doors: Doors
) -> None:
    new = "correct horse battery"

    shared_server.api("PUT", "/auth/password", {"old": doors.who.secret, "new": new}, credential=doors.who)

    open_still = {"api, token", "login, token", "v2, token", "v2, registry token by token"}
    everywhere(lambda: doors.opened() == {door: 200 if door in open_still else 401 for door in doors.opened()})
    assert status(shared_server, "GET", "/whoami", Credential(doors.who.login, new)) == 200
    manifest = doors.registry.as_(Credential(doors.who.login, new)).scoped(
        f"repository:{doors.manifest.split('/manifests')[0].removeprefix('/v2/')}:pull"
    )
    assert always(lambda: manifest.ask("GET", doors.manifest).status == 200)


def test_a_reset_password_ends_what_the_one_before_opened_and_leaves_tokens(
    shared_server: Server, doors: Doors
) -> None:
    made = shared_server.api("POST", f"/accounts/{doors.who.login}/password")

    open_still = {"api, token", "login, token", "v2, token", "v2, registry token by token"}
    everywhere(lambda: doors.opened() == {door: 200 if door in open_still else 401 for door in doors.opened()})
    assert status(shared_server, "GET", "/whoami", Credential(doors.who.login, made["password"])) == 200


def test_a_member_s_role_opens_and_closes_at_once(
    shared_server: Server, registry: Registry, anonymous: Registry, project: str, ann: Credential
) -> None:
    registry.push_image(f"{project}/web", "v1")
    made = shared_server.api("POST", "/auth/tokens", {"name": "laptop"}, credential=ann)
    client, member = anonymous.as_(Credential(ann.login, made["token"])), f"/projects/{project}/members/{ann.login}"

    def seen() -> tuple[int, int]:
        upload = client.ask("POST", f"/v2/{project}/web/blobs/uploads/").status
        return client.ask("GET", f"/v2/{project}/web/manifests/v1").status, upload

    assert always(lambda: seen() == (403, 403))
    shared_server.api("PUT", member, {"role": "viewer"})
    assert always(lambda: seen() == (200, 403))
    shared_server.api("PUT", member, {"role": "developer"})
    assert always(lambda: seen() == (200, 202))
    shared_server.api("DELETE", member)
    assert always(lambda: seen() == (403, 403))


@pytest.mark.parametrize("name", ["nobody", "a%2Fb", "%F0%9F%92%A9", "A", "x" * 300, "'--", "admin%0a"])
def test_who_is_not_there_is_404_whatever_the_name(shared_server: Server, project: str, name: str) -> None:
    for method, path, body in (
        ("GET", f"/accounts/{name}", None),
        ("DELETE", f"/accounts/{name}", None),
        ("PUT", f"/accounts/{name}/roles", {"roles": []}),
        ("GET", f"/projects/{project}/members/{name}", None),
        ("PUT", f"/projects/{project}/members/{name}", {"role": "viewer"}),
        ("DELETE", f"/projects/{project}/members/{name}", None),
    ):
        with pytest.raises(ApiError) as unknown:
            shared_server.api(method, path, body)
        assert unknown.value.status == 404, (method, path)
