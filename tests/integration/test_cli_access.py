"""Projects are opened, robots deleted and tokens revoked from the command line, as people do it."""

import pytest

from tests.real.cli import entrepot, entrepot_json
from tests.real.protocol import Registry
from tests.real.server import Credential, Server


def test_a_project_is_opened_and_closed_again(server: Server) -> None:
    made = entrepot_json(server, "project", "create", "shop", "--public")
    token = server.api("POST", "/auth/tokens", {"name": "push"})["token"]
    Registry(server.host).as_(Credential("admin", token)).push_image("shop/web", "v1")
    anonymous = Registry(server.host).scoped("repository:shop/web:pull")
    assert made["visibility"] == "public"
    assert anonymous.ask("GET", "/v2/shop/web/manifests/v1").status == 200

    closed = entrepot_json(server, "project", "visibility", "shop", "private")
    lenient = entrepot_json(server, "project", "sizes", "shop", "lenient")

    assert closed == {"name": "shop", "visibility": "private", "strict_sizes": True}
    assert lenient == {"name": "shop", "visibility": "private", "strict_sizes": False}
    assert anonymous.ask("GET", "/v2/shop/web/manifests/v1").status == 403
    assert "private" in entrepot(server, "project", "list").stdout
    wrong = entrepot(server, "project", "visibility", "shop", "open", check=False)
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_robot_is_deleted_and_a_token_revoked(server: Server) -> None:
    server.create_project("shop")
    robot = server.create_robot("shop", "ci")
    made = server.api("POST", "/auth/tokens", {"name": "laptop"})
    client = Registry(server.host)
    assert client.as_(robot).ask("GET", "/v2/").status == 200

    entrepot(server, "robot", "delete", "shop", "ci")
    listed = entrepot_json(server, "token", "list")
    revoked = entrepot(server, "token", "revoke", made["id"])

    assert client.as_(robot).ask("GET", "/v2/").status == 401
    assert client.as_(Credential("admin", made["token"])).ask("GET", "/v2/").status == 401
    assert [(item["id"], item["name"]) for item in listed] == [(made["id"], "laptop")]
    assert made["token"] not in str(listed)
    assert (revoked.stdout, revoked.stderr) == ("", f"revoked {made['id']}\n")
    for words in (("robot", "delete", "shop", "ci"), ("token", "revoke", made["id"])):
        again = entrepot(server, *words, check=False)
        assert again.returncode == 3, words


@pytest.mark.parametrize("words", [("project", "visibility", "shop", "public"), ("robot", "delete", "shop", "ci")])
def test_who_may_not_is_told_so(server: Server, words: tuple[str, ...]) -> None:
    server.create_project("shop")
    viewer = server.create_robot("shop", "look", "viewer")

    refused = entrepot(server, *words, credential=viewer, check=False)

    assert refused.returncode == 4
    assert "lacks" in refused.stderr
