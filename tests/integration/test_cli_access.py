"""Projects are opened, robots deleted and tokens revoked from the command line, as people do it."""

import uuid

import pytest

from tests.real.cli import entrepot, entrepot_json
from tests.real.protocol import Registry
from tests.real.server import Credential, Server


@pytest.fixture
def project(shared_server: Server) -> str:
    """The name of a new project."""
    name = f"p{uuid.uuid4().hex[:12]}"
    shared_server.create_project(name)
    return name


def test_a_project_is_opened_and_closed_again(shared_server: Server) -> None:
    name = f"p{uuid.uuid4().hex[:12]}"
    made = entrepot_json(shared_server, "project", "create", name, "--public")
    token = shared_server.api("POST", "/auth/tokens", {"name": "push"})["token"]
    Registry(shared_server.host).as_(Credential("admin", token)).push_image(f"{name}/web", "v1")
    anonymous = Registry(shared_server.host).scoped(f"repository:{name}/web:pull")
    assert made["visibility"] == "public"
    assert anonymous.ask("GET", f"/v2/{name}/web/manifests/v1").status == 200

    closed = entrepot_json(shared_server, "project", "visibility", name, "private")
    lenient = entrepot_json(shared_server, "project", "sizes", name, "lenient")

    assert closed == {"name": name, "visibility": "private", "strict_sizes": True}
    assert lenient == {"name": name, "visibility": "private", "strict_sizes": False}
    assert anonymous.ask("GET", f"/v2/{name}/web/manifests/v1").status == 403
    assert "private" in entrepot(shared_server, "project", "show", name).stdout
    wrong = entrepot(shared_server, "project", "visibility", name, "open", check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_robot_is_deleted_and_a_token_revoked(shared_server: Server, project: str) -> None:
    robot = shared_server.create_robot(project, "ci")
    person = shared_server.api("POST", "/accounts", {"name": f"{project}-ann"})
    ann = Credential(person["name"], person["password"])
    made = shared_server.api("POST", "/auth/tokens", {"name": "laptop"}, credential=ann)
    client = Registry(shared_server.host)
    assert client.as_(robot).ask("GET", "/v2/").status == 200

    entrepot(shared_server, "robot", "delete", project, "ci")
    listed = entrepot_json(shared_server, "token", "list", credential=ann)
    revoked = entrepot(shared_server, "token", "revoke", made["id"], credential=ann)

    assert client.as_(robot).ask("GET", "/v2/").status == 401
    assert client.as_(Credential(ann.login, made["token"])).ask("GET", "/v2/").status == 401
    assert [(item["id"], item["name"]) for item in listed] == [(made["id"], "laptop")]
    assert made["token"] not in str(listed)
    assert (revoked.stdout, revoked.stderr) == ("", f"revoked {made['id']}\n")
    for words in (("robot", "delete", project, "ci"), ("token", "revoke", made["id"])):
        again = entrepot(shared_server, *words, check=False)
        assert again.returncode == 3, words


@pytest.mark.parametrize("words", [("project", "visibility", "{}", "public"), ("robot", "delete", "{}", "ci")])
def test_who_may_not_is_told_so(shared_server: Server, project: str, words: tuple[str, ...]) -> None:
    viewer = shared_server.create_robot(project, "look", "viewer")

    refused = entrepot(shared_server, *(word.format(project) for word in words), credential=viewer, check=False)

    assert refused.returncode == 4
    assert "lacks" in refused.stderr
