"""A repository of each test's own on the shared server, and clients that may write to it."""

import uuid
from dataclasses import dataclass

import pytest

from tests.real.protocol import Registry
from tests.real.server import Credential, Server


@pytest.fixture(scope="session")
def admin(shared_server: Server) -> Credential:
    """The administrator with a personal token: /v2 takes no password."""
    return personal_token(shared_server)


@pytest.fixture
def project(shared_server: Server) -> str:
    """The name of a new project."""
    name = f"p{uuid.uuid4().hex[:12]}"
    shared_server.create_project(name)
    return name


@pytest.fixture
def repository(project: str) -> str:
    """The name of a repository that is not there yet, in a new project."""
    return f"{project}/web"


@pytest.fixture
def anonymous(shared_server: Server) -> Registry:
    """The registry without a credential."""
    return Registry(shared_server.host)


@pytest.fixture
def registry(anonymous: Registry, admin: Credential) -> Registry:
    """The registry as the administrator."""
    return anonymous.as_(admin)


@dataclass(frozen=True, slots=True)
class Robots:
    """The robots of a project, and one of another project."""

    developer: Credential
    viewer: Credential
    stranger: Credential


@pytest.fixture
def robots(shared_server: Server, project: str) -> Robots:
    """The robots of the test's project, and a stranger."""
    other = f"o{uuid.uuid4().hex[:12]}"
    shared_server.create_project(other)
    return Robots(
        shared_server.create_robot(project, "ci"),
        shared_server.create_robot(project, "kubelet", "viewer"),
        shared_server.create_robot(other, "ci"),
    )


def personal_token(server: Server) -> Credential:
    """A personal token of the administrator."""
    made = server.api("POST", "/auth/tokens", {"name": "test"})
    return Credential("admin", made["token"])
