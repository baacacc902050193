"""A repository of each test's own on the shared server, and clients that may write to it."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.real.protocol import Registry
from tests.real.replicas import Replicas
from tests.real.server import Credential, Server, new_server, running

STACKS: Final = ("files", "replicas")
"""One server on SQLite and files; three on PostgreSQL and S3, of which each request meets another."""


@pytest.fixture(scope="session")
def shared_server(request: pytest.FixtureRequest, stack: str) -> Server:
    """A started registry of the *stack* for many tests: each makes its own project, and none stops it."""
    if stack == "replicas":
        replicas: Replicas = request.getfixturevalue("shared_replicas")
        return replicas.front
    single: Server = request.getfixturevalue("single_server")
    return single


@pytest.fixture(scope="session")
def single_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A started server on SQLite and files."""
    with running(new_server(tmp_path_factory.mktemp("single-server"))) as started:
        yield started


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What is asked of the protocol runs on both stacks; what is asked of the API, or marked `one_server`, on one."""
    if "stack" in metafunc.fixturenames:
        is_protocol = metafunc.module.__name__.rpartition(".")[2].startswith("test_v2_")
        is_for_both = is_protocol and metafunc.definition.get_closest_marker("one_server") is None
        stacks = STACKS if is_for_both else STACKS[:1]
        marked = [pytest.param(each, marks=pytest.mark.xdist_group(f"conformance-{each}")) for each in stacks]
        metafunc.parametrize("stack", marked, scope="session", ids=stacks)


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


@pytest.fixture(scope="module")
def kept_project(shared_server: Server) -> str:
    """The name of a new project for the tests of a file that only read what is made in it once."""
    name = f"k{uuid.uuid4().hex[:12]}"
    shared_server.create_project(name)
    return name


@pytest.fixture(scope="session")
def anonymous(shared_server: Server) -> Registry:
    """The registry without a credential."""
    return Registry(shared_server.host)


@pytest.fixture(scope="session")
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
    return new_robots(shared_server, project)


@pytest.fixture(scope="module")
def kept_robots(shared_server: Server, kept_project: str) -> Robots:
    """The robots of the kept project, and a stranger."""
    return new_robots(shared_server, kept_project)


def new_robots(server: Server, project: str) -> Robots:
    """New robots of *project*, and one of a new project."""
    other = f"o{uuid.uuid4().hex[:12]}"
    server.create_project(other)
    return Robots(
        server.create_robot(project, "ci"),
        server.create_robot(project, "kubelet", "viewer"),
        server.create_robot(other, "ci"),
    )


def personal_token(server: Server) -> Credential:
    """A personal token of the administrator."""
    made = server.api("POST", "/auth/tokens", {"name": "test"})
    return Credential("admin", made["token"])
