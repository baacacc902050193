"""Who may do what over the management API: one table, and no operation without a row. Design: security.md 4.2."""

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.conftest import personal_token
from tests.real.protocol import Answer, Registry
from tests.real.server import Server

PERSONAS = ("admin", "developer", "viewer", "stranger", "anonymous")
# Absent and foreign are 404 alike; a right that is missing where one may look is 403.
EXPECTED: dict[str, tuple[int, int, int, int, int]] = {
    "whoAmI": (200, 200, 200, 200, 401),
    # Everybody here holds a secret, and a secret makes no others; with the password it is 201, as the fixtures see.
    "createToken": (403, 403, 403, 403, 401),
    "createSignInLink": (403, 403, 403, 403, 401),
    "listTokens": (200, 200, 200, 200, 401),
    "revokeToken": (
        404,
        404,
        404,
        404,
        401,
    ),  # nobody's: the admin's own is revoked by him alone, see test_v2_revocation
    "changePassword": (422, 403, 403, 403, 401),  # too short, so nobody's password is tried; robots have none
    "listAccounts": (200, 403, 403, 403, 401),
    "createAccount": (201, 403, 403, 403, 401),
    "getAccount": (404, 403, 403, 403, 401),
    "deleteAccount": (404, 403, 403, 403, 401),
    "setAccountRoles": (404, 403, 403, 403, 401),
    "resetPassword": (404, 403, 403, 403, 401),
    "listMembers": (200, 403, 403, 404, 401),
    "getMember": (404, 403, 403, 404, 401),
    "setMember": (404, 403, 403, 404, 401),
    "removeMember": (404, 403, 403, 404, 401),
    "listProjects": (200, 200, 200, 200, 401),
    "createProject": (201, 403, 403, 403, 401),
    "getProject": (200, 200, 200, 404, 401),
    "editProject": (200, 403, 403, 404, 401),
    "listRepositories": (200, 200, 200, 200, 401),
    "listRobots": (200, 403, 403, 404, 401),
    "createRobot": (201, 403, 403, 404, 401),
    "deleteRobot": (404, 403, 403, 404, 401),  # none of that name
    "getPolicy": (200, 200, 200, 404, 401),
    "setPolicyMode": (202, 403, 403, 404, 401),
    "getArtifact": (200, 200, 200, 404, 401),
    "getArtifactTree": (200, 200, 200, 404, 401),
    "diffArtifacts": (200, 200, 200, 404, 401),
    "getScan": (200, 200, 200, 404, 401),
    "listPackages": (200, 200, 200, 404, 401),
    "listFindings": (200, 200, 200, 404, 401),
    "importFeed": (202, 403, 403, 403, 401),
    "listFeeds": (200, 403, 403, 403, 401),
    "listJobs": (200, 403, 403, 403, 401),
    "getJob": (200, 403, 403, 403, 401),
    "searchAudit": (200, 403, 403, 403, 401),
    # Of what is deleted here nothing is there (ABSENT): a row must not take away what the others ask for.
    "listTags": (200, 200, 200, 404, 401),
    "getTag": (200, 200, 200, 404, 401),
    "listTagHistory": (200, 200, 200, 404, 401),
    "lockTag": (204, 403, 403, 404, 401),
    "unlockTag": (204, 403, 403, 404, 401),
    "restoreTag": (404, 404, 403, 404, 401),  # no such move
    "deleteArtifact": (404, 403, 403, 404, 401),
    "listPromotions": (200, 200, 200, 200, 401),
    "requestPromotion": (422, 422, 403, 404, 401),  # no such stage
    "rollBackPromotion": (422, 422, 403, 404, 401),  # not where promotions go to
    "getPromotion": (404, 404, 404, 404, 401),
    "approvePromotion": (404, 404, 404, 404, 401),  # who may is in test_v2_promotions
    "rejectPromotion": (404, 404, 404, 404, 401),
    "withdrawPromotion": (404, 404, 404, 404, 401),
    "listStagesOfArtifact": (200, 200, 200, 404, 401),
    "getPipeline": (200, 200, 200, 404, 401),
    "setPipeline": (200, 403, 403, 404, 401),
    "deleteRepository": (404, 404, 404, 404, 401),
    "deleteProject": (404, 404, 404, 404, 401),
    "listOperations": (200, 403, 403, 403, 401),
    "listProjectOperations": (200, 403, 403, 404, 401),
    "undoOperation": (404, 404, 404, 404, 401),
    "requestPurge": (404, 403, 403, 403, 401),
    "confirmPurge": (404, 403, 403, 403, 401),
    "purgeTrash": (202, 403, 403, 403, 401),
    "getStorage": (200, 403, 403, 403, 401),
    "getRepositoryStorage": (200, 200, 200, 404, 401),
    "checkStorage": (202, 403, 403, 403, 401),
    "getStorageCheck": (200, 403, 403, 403, 401),
    "getQuota": (200, 200, 200, 404, 401),
    "setQuota": (200, 403, 403, 403, 401),
}
BODIES: dict[str, Callable[[], Any]] = {
    "createToken": lambda: {"name": "matrix"},
    "createAccount": lambda: {"name": f"a{uuid.uuid4().hex[:12]}"},
    "changePassword": lambda: {"old": "x", "new": "short"},
    "setAccountRoles": lambda: {"roles": ["viewer"]},
    "setMember": lambda: {"role": "viewer"},
    "createProject": lambda: {"name": f"m{uuid.uuid4().hex[:12]}"},
    "createRobot": lambda: {"name": f"r{uuid.uuid4().hex[:12]}", "role": "viewer"},
    "setPolicyMode": lambda: {"mode": "monitor"},
    "editProject": lambda: {"visibility": "private"},
    "restoreTag": lambda: {"rev": 1_000},
    "setQuota": lambda: {"limit": None},
    "requestPromotion": lambda: {"stage": "moon", "items": [{"reference": "v1"}]},
    "rejectPromotion": lambda: {"reason": "not today"},
    "setPipeline": lambda: {"stages": [{"name": "development"}], "moves": []},
}
PLACED = ("requestPromotion",)
"""Operations whose body names the repository."""
ABSENT = {
    "deleteArtifact": {"reference": "none"},
    "deleteRepository": {"name": "none/none"},
    "deleteProject": {"project": "none"},
}
QUERIES = {"diffArtifacts": "?with=v1"}
ID = "operationId"


@dataclass(frozen=True, slots=True)
class Site:
    """A project with an image and robots; a stranger from another; the values of the paths' parameters."""

    clients: dict[str, Registry]
    document: dict[str, Any]
    values: dict[str, str]

    def operations(self) -> Iterator[tuple[str, str, str]]:
        """Method, path and id of each operation."""
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation[ID]

    def ask(self, persona: str, method: str, path: str, id_: str) -> Answer:
        """The answer to *persona*'s call of an operation."""
        url = path.format(**self.values | ABSENT.get(id_, {})) + QUERIES.get(id_, "")
        body, headers = None, {} if method in {"GET", "POST"} else {"If-Match": "*"}
        if id_ in BODIES:
            place = {"repository": self.values["name"]} if id_ in PLACED else {}
            body, headers = json.dumps(BODIES[id_]() | place).encode(), headers | {"Content-Type": "application/json"}
        if id_ == "importFeed":
            body = b"not a feed: the job fails, and no feed changes"
        return self.clients[persona].ask(method, url, body, headers)


@pytest.fixture(scope="module")
def site(shared_server: Server) -> Site:
    """The site all rows are asked on."""
    project, other = (f"m{uuid.uuid4().hex[:12]}" for _ in range(2))
    for name in (project, other):
        shared_server.create_project(name)
    anonymous = Registry(shared_server.host)
    clients = {
        "admin": anonymous.as_(personal_token(shared_server)),
        "developer": anonymous.as_(shared_server.create_robot(project, "ci")),
        "viewer": anonymous.as_(shared_server.create_robot(project, "look", "viewer")),
        "stranger": anonymous.as_(shared_server.create_robot(other, "ci")),
        "anonymous": anonymous,
    }
    digest = clients["developer"].push_image(f"{project}/web", "v1")
    shared_server.wait_for_scan(f"{project}/web", "v1")
    job = shared_server.api("GET", "/jobs?limit=1")["items"][0]["id"]
    document = anonymous.ask("GET", "/api/v1/openapi.json").json
    values = {
        "project": project,
        "name": f"{project}/web",
        "reference": digest,
        "tag": "v1",
        "job": job,
        "promotion": "none",
    }
    nobodys = {"token": "01M884B74R7KNNBWFE29JRQ6NT", "robot": "nobody", "account": "nobody", "operation": "0" * 26}
    return Site(clients, document, values | nobodys)


def test_every_operation_stands_in_the_table(site: Site) -> None:
    ids = [id_ for _, _, id_ in site.operations()]

    assert sorted(ids) == sorted(EXPECTED)


def test_the_document_is_openapi_3_1_and_every_operation_has_a_hand_set_id(site: Site) -> None:
    assert site.document["openapi"].startswith("3.1")
    for method, path, id_ in site.operations():
        assert id_.isalpha(), (method, path)
        assert id_[0].islower()
        # what the framework makes up holds the path
        assert "api" not in id_.lower()
        operation = site.document["paths"][path][method.lower()]
        assert operation["summary"]
        assert operation["description"]


@pytest.mark.parametrize("persona", PERSONAS)
@pytest.mark.parametrize("id_", EXPECTED)
def test_the_table_holds(site: Site, id_: str, persona: str) -> None:
    ((method, path),) = [(method, path) for method, path, found in site.operations() if found == id_]

    answer = site.ask(persona, method, path, id_)

    assert answer.status == EXPECTED[id_][PERSONAS.index(persona)], answer.body
    if answer.status >= 400:
        assert answer.header("Content-Type") == "application/problem+json"
        assert answer.json["status"] == answer.status


@pytest.mark.parametrize(
    "path",
    [
        "/projects/{project}/robots",
        "/projects/{project}/policy",
        "/repositories/{project}/web/-/artifacts/v1",
        "/repositories/{project}/web/-/artifacts/v1/scan",
        "/repositories/{project}/web/-/artifacts/v1/packages",
        "/repositories/{project}/web/-/artifacts/v1/findings",
    ],
)
def test_foreign_and_absent_look_alike(site: Site, path: str) -> None:
    views = []
    for project in (site.values["project"], f"{site.values['project']}x"):
        answer = site.clients["stranger"].ask("GET", "/api/v1" + path.format(project=project))
        body = answer.json
        del body["trace_id"]
        views.append((answer.status, body, sorted(name.lower() for name in answer.headers)))

    assert views[0] == views[1]
    assert views[0][0] == 404


def test_a_list_of_projects_holds_the_caller_s_own(site: Site) -> None:
    seen = site.clients["viewer"].ask("GET", "/api/v1/projects").json["items"]

    assert [item["name"] for item in seen] == [site.values["project"]]


def test_who_only_pushes_may_not_delete_what_is_there(site: Site) -> None:
    developer, name = site.clients["developer"], site.values["name"]
    paths = (f"/repositories/{name}", f"/repositories/{name}/-/artifacts/v1", f"/projects/{site.values['project']}")

    assert [developer.ask("DELETE", f"/api/v1{path}").status for path in paths] == [403, 403, 403]
    assert developer.ask("GET", f"/api/v1/repositories/{name}/-/artifacts/v1").status == 200
