"""The logins of docker and podman, with real credential helpers."""

import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from entrepot.cli.client import Client
from entrepot.cli.docker_config import docker_login

URL = "https://registry.example.org:5000"
HOST = "registry.example.org:5000"
HELPER = """#!/bin/sh
[ "$1" = get ] || exit 1
read -r host
[ "$host" = registry.example.org:5000 ] || { echo "credentials not found"; exit 1; }
echo '%s'
"""


def auth(name: str, secret: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{secret}".encode()).decode()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bin").mkdir()
    return tmp_path


def configured(home: Path, document: Any, place: str = ".docker/config.json") -> dict[str, str]:
    path = home / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return {"HOME": str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", "XDG_RUNTIME_DIR": str(home / "run")}


def helper(home: Path, name: str, answer: str) -> None:
    program = home / "bin" / f"docker-credential-{name}"
    program.write_text(HELPER % answer)
    program.chmod(0o700)


@pytest.mark.parametrize("key", [HOST, f"https://{HOST}", f"https://{HOST}/v2/", "REGISTRY.example.org:5000"])
def test_a_login_in_the_file_is_found(home: Path, key: str) -> None:
    environment = configured(home, {"auths": {key: auth("ada", "s:ß")}})

    assert docker_login(URL, environment) == ("ada", "s:ß")
    assert docker_login("https://registry.example.org", environment) is None


def test_that_of_podman_is_found_too(home: Path) -> None:
    environment = configured(home, {"auths": {HOST: auth("ada", "s")}}, "run/containers/auth.json")

    assert docker_login(URL, environment) == ("ada", "s")


def test_a_part_of_a_registry_is_not_the_registry(home: Path) -> None:
    assert docker_login(URL, configured(home, {"auths": {f"{HOST}/shop": auth("ada", "s")}})) is None


@pytest.mark.parametrize("document", [{"credsStore": "safe"}, {"credsStore": "other", "credHelpers": {HOST: "safe"}}])
def test_a_credential_helper_is_asked(home: Path, document: Any) -> None:
    helper(home, "safe", '{"ServerURL": "x", "Username": "ada", "Secret": "kept"}')
    environment = configured(home, {**document, "auths": {HOST: {}}})

    assert docker_login(URL, environment) == ("ada", "kept")
    assert docker_login("https://else.example.org", environment) is None
    assert docker_login(URL, environment, helpers=False) is None


@pytest.mark.parametrize(
    "answer", ["", "[]", "{}", "no", '{"Username": "<token>", "Secret": "x"}', '{"Username": "a"}']
)
def test_a_helper_that_says_nothing_useful_is_as_none(home: Path, answer: str) -> None:
    helper(home, "safe", answer)

    assert docker_login(URL, configured(home, {"credsStore": "safe"})) is None


@pytest.mark.parametrize("name", ["missing", "../../bin/sh", "", 7, None])
def test_a_helper_that_is_not_there_or_no_name_is_as_none(home: Path, name: Any) -> None:
    assert docker_login(URL, configured(home, {"credsStore": name})) is None


@pytest.mark.parametrize(
    "document",
    ["", "[]", "{", "[" * 100_000, {"auths": []}, {"auths": {HOST: 7}}, {"auths": {HOST: {"auth": "?"}}},
     {"auths": {HOST: {"auth": "YQ=="}}}, {"auths": {"http://[": auth("a", "b")}}],
)  # fmt: skip
def test_a_damaged_file_is_as_none(home: Path, document: Any) -> None:
    assert docker_login(URL, configured(home, document)) is None


def test_a_login_of_our_own_and_of_the_environment_come_first(home: Path) -> None:
    environment = configured(home, {"auths": {HOST: auth("docker", "s")}})
    own = {"ENTREPOT_USERNAME": "ada", "ENTREPOT_PASSWORD": "s"}

    found = [Client.of_user(URL, each, insecure=False).authorization for each in (environment, environment | own)]

    assert found == [f"Basic {auth('docker', 's')['auth']}", f"Basic {auth('ada', 's')['auth']}"]
