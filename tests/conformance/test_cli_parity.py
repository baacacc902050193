"""CLI and API say the same: each operation that reads, on a project that has something of everything."""

import base64
import hashlib
import io
import json
import re
import tarfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conformance.conftest import personal_token
from tests.real.cli import entrepot, entrepot_at_home, entrepot_json
from tests.real.command_lines import COMMAND_LINES, words
from tests.real.protocol import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, descriptor, encoded
from tests.real.server import Server
from tests.real.systems import AlpineDatabase

DATA: Final = Path(__file__).parents[1] / "data"
QUERIES: Final = {
    "diffArtifacts": "with={other}",
    "listProjects": "limit=1000",
    "listRepositories": "limit=1000",
    "listJobs": "limit=1000",
    "listOperations": "limit=1000",
    "listPromotions": "limit=1000",
    "listPackages": "limit=1000",
    "listFindings": "limit=1000",
    "searchAudit": "project={project}&limit=1000",
}
STAGES: Final = ("--stage", "dev", "--stage", "production=prod", "--move", "dev>production:0")
TURNED: Final = {"name": "repository", "reference": "tag"}
"""What a parameter of the API is called in command lines, where it is called otherwise."""


@dataclass(frozen=True, slots=True)
class Site:
    """A server, its description, and names of what is there."""

    server: Server
    document: Any
    names: Mapping[str, str]

    def path(self, operation: str) -> str:
        """The API's path and query for a reading *operation*."""
        template = next(
            path.removeprefix("/api/v1")
            for path, methods in self.document["paths"].items()
            if methods.get("get", {}).get("operationId") == operation
        )
        filled = re.sub(r"\{(\w+)\}", lambda found: self.names[TURNED.get(found[1], found[1])], template)
        return "?".join(filter(None, (filled, QUERIES.get(operation, "").format_map(self.names))))


@pytest.fixture(scope="module")
def site(shared_server: Server, alpine_database: AlpineDatabase) -> Site:
    """A project with an image of Alpine, its tags moved, findings, a robot, a member, a token, a deletion."""
    server, project = shared_server, f"y{uuid.uuid4().hex[:12]}"
    account = f"{project}-ada"
    repository = f"{project}/team/web"
    token = server.api("POST", "/auth/tokens", {"name": "parity"})
    server.create_project(project)
    robot = server.create_robot(project, "ci")
    server.api("POST", "/accounts", {"name": account})
    entrepot(server, "member", "set", project, account, "viewer")
    server.import_feed("alpine-3.19-main", DATA / "feeds/alpine-3.19-main.jsonl.zst", force=True)
    registry = Registry(server.host).as_(robot)
    for tag, top in (("1.0", b"old"), ("2.0", b"new"), ("1.0", b"newer"), ("gone", b"gone")):
        push_alpine(registry, repository, tag, alpine_database.files, top)
    server.wait_for_scan(repository, "1.0")
    entrepot(server, "pipeline", "set", project, *STAGES)
    asked = {"repository": repository, "stage": "production", "items": [{"reference": "1.0"}]}
    promotion = server.api("POST", "/promotions", asked)["id"]
    gone = server.api("DELETE", f"/repositories/{repository}/-/artifacts/gone")["operation"]
    job = server.api("GET", "/jobs?state=done&limit=1")["items"][0]["id"]
    server.api("POST", "/storage/check", {})
    names = {"project": project, "repository": repository, "tag": "1.0", "other": "2.0", "account": account}
    document = server.api("GET", "/openapi.json")
    made = {"robot": "ci", "token": token["id"], "operation": gone, "job": job, "promotion": promotion}
    return Site(server, document, {**names, **made})


def push_alpine(registry: Registry, repository: str, tag: str, files: Mapping[str, bytes], top: bytes) -> None:
    """An image with *files*, and a layer above them that holds *top*."""
    layers = [
        layer(files),
        layer({"top": top}),
    ]
    diff_ids = [f"sha256:{hashlib.sha256(each).hexdigest()}" for each in layers]
    config = encoded(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}, "history": []}
    )
    for data in (config, *layers):
        registry.push_blob(repository, data)
    body = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": descriptor(config, OCI_CONFIG)}
    answer = registry.put_manifest(
        repository, tag, encoded(body | {"layers": [descriptor(each, OCI_LAYER) for each in layers]})
    )
    assert answer.status == 201, answer.body


def layer(files: Mapping[str, bytes]) -> bytes:
    """A tar of *files*."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return made.getvalue()


def reading(operation: str) -> bool:
    """Whether an operation's id begins as those do that read."""
    return operation.startswith(("get", "list", "diff", "search", "who"))


READING: Final = sorted(filter(reading, COMMAND_LINES))


def test_every_operation_that_reads_is_compared(site: Site) -> None:
    operations = {
        methods["get"]["operationId"]
        for path, methods in site.document["paths"].items()
        if "get" in methods and path.startswith("/api/v1/")
    }

    assert operations - set(READING) == set()


@pytest.mark.parametrize("operation", READING)
def test_cli_and_api_say_the_same(site: Site, operation: str) -> None:
    path = site.path(operation)
    before = plain(site.server.api("GET", path))

    shown = entrepot_json(site.server, *words(operation, site.names))

    assert shown in (before, plain(site.server.api("GET", path)))  # what goes on by itself moves between the two
    assert shown


def plain(answer: Any) -> Any:
    """An answer of the API without what pages it."""
    if set(answer) == {"items", "next", "total"}:
        assert answer["next"] is None
        return answer["items"]
    return answer


@pytest.mark.parametrize("operation", ["listTags", "listFindings", "listPackages"])
def test_a_count_is_of_all_there_are_whatever_the_limit(site: Site, operation: str) -> None:
    path = site.path(operation)
    total = site.server.api("GET", f"{path}{'&' if '?' in path else '?'}count=true")["total"]

    shown = entrepot(site.server, *words(operation, site.names), "--count", "--limit", "1")

    assert total > 1
    assert (shown.stdout, shown.stderr) == (f"{total}\n", "")


@pytest.mark.parametrize("wanted", ["yaml", "csv", "name", "table"])
@pytest.mark.parametrize("words_", [("tag", "list"), ("artifact", "show"), ("finding", "list")], ids="-".join)
def test_every_form_speaks_of_the_same_things(site: Site, words_: tuple[str, ...], wanted: str) -> None:
    place = site.names["repository"] if words_[0] == "tag" else f"{site.names['repository']}:1.0"
    found = entrepot_json(site.server, *words_, place)
    every = found if isinstance(found, list) else [found]
    key = {"tag": "name", "artifact": "digest", "finding": "id"}[words_[0]]

    shown = entrepot(site.server, *words_, place, "-o", wanted).stdout

    assert every
    assert [item[key] for item in every if item[key] not in shown] == []


def test_a_dry_run_says_what_would_go_and_nothing_goes(site: Site) -> None:
    project, repository = site.names["project"], site.names["repository"]

    told = entrepot(site.server, "project", "delete", project, "--dry-run")

    assert {repository, f"{repository}:1.0", f"{project}+ci"} & set(told.stdout.split())
    assert "nothing was changed" in told.stderr
    assert entrepot(site.server, "tag", "list", repository, "-o", "name").stdout.split() == ["1.0", "2.0"]


def test_a_tree_and_a_difference_are_told_for_people(site: Site) -> None:
    image = f"{site.names['repository']}:1.0"
    tree = entrepot_json(site.server, "artifact", "tree", image)
    diff = entrepot_json(site.server, "artifact", "diff", image, "2.0")

    shown = entrepot(site.server, "artifact", "tree", image).stdout
    changes = entrepot(site.server, "artifact", "diff", image, "2.0").stdout

    assert [line.split()[:2] for line in shown.splitlines()[1:]] == [
        ["image", tree["digest"]],
        *(["layer", each["digest"]] for each in tree["layers"]),
    ]
    assert [line.split()[:3] for line in changes.splitlines()[1:]] == [
        ["added", "layer", diff["only_to_layers"][0]["digest"]],
        ["removed", "layer", diff["only_from_layers"][0]["digest"]],
    ]


@pytest.mark.parametrize(
    ("words_", "meant"),
    [
        (("project", "show", "{project}x"), "{project}"),
        (("tag", "list", "{project}x/team/web"), "{project}"),
        (("tag", "list", "{project}/team/wbe"), "{project}/team/web"),
        (("tag", "show", "{repository}", "1.00"), "1.0"),
        (("artifact", "show", "{repository}:1.00"), "1.0"),
    ],
)
def test_a_name_that_is_not_there_brings_the_one_that_may_be_meant(
    site: Site, words_: tuple[str, ...], meant: str
) -> None:
    done = entrepot(site.server, *(word.format_map(site.names) for word in words_), check=False)

    assert done.returncode == 3
    assert done.stderr.endswith(f"; did you mean {meant.format_map(site.names)}?\n")


def test_no_name_is_suggested_that_the_caller_may_not_see(site: Site) -> None:
    other = f"z{site.names['project'][1:]}"
    site.server.create_project(other)
    stranger = site.server.create_robot(other, "ci")

    hidden = [
        entrepot(site.server, *words_, credential=stranger, check=False)
        for words_ in (
            ("project", "show", f"{site.names['project']}x"),
            ("tag", "list", f"{site.names['project']}/team/wbe"),
            ("tag", "show", site.names["repository"], "1.00"),
        )
    ]

    assert [done.returncode for done in hidden] == [3, 3, 3]
    assert [done.stderr for done in hidden if site.names["project"] in done.stderr] == []


def completed(site: Site, line: str, url: str = "") -> list[str]:
    """What a shell is offered at the end of *line*."""
    done = entrepot(
        site.server,
        environment={
            "_ENTREPOT_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(line.split(" ")) - 1),
            **({"ENTREPOT_URL": url} if url else {}),
        },
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("entrepot project show {project}", ["{project}"]),
        ("entrepot repository delete {project}/t", ["{repository}"]),
        ("entrepot tag show {repository} ", ["1.0", "2.0"]),
        ("entrepot artifact show {repository}:1", ["{repository}:1.0"]),
        ("entrepot project list -o j", ["json"]),
        ("entrepot rob", ["robot"]),
    ],
)
def test_a_shell_completes_commands_and_names(site: Site, line: str, offered: list[str]) -> None:
    assert sorted(completed(site, line.format_map(site.names))) == [each.format_map(site.names) for each in offered]


def test_completion_is_silent_where_no_server_answers(site: Site) -> None:
    assert completed(site, "entrepot project show ", "http://127.0.0.1:1") == []


def test_a_context_and_a_login_lead_to_the_server_without_a_word_about_either(site: Site, tmp_path: Path) -> None:
    server = site.server
    said = [
        entrepot_at_home(tmp_path, "context", "add", "here", server.url, "--use"),
        entrepot_at_home(tmp_path, "login", "-u", "admin", "--password-stdin", "-q", stdin=f"{server.admin.secret}\n"),
        entrepot_at_home(tmp_path, "whoami", "-o", "name"),
        entrepot_at_home(tmp_path, "context", "list", "-o", "json"),
        entrepot_at_home(tmp_path, "logout", "-q"),
        entrepot_at_home(tmp_path, "whoami"),
    ]

    assert [done.returncode for done in said] == [0, 0, 0, 0, 0, 4]
    assert [done.stdout for done in said[:3]] == ["", "", "admin\n"]
    assert json.loads(said[3].stdout) == [{"name": "here", "url": server.url, "account": "admin", "in_use": True}]
    assert [done.stderr for done in (said[1], said[4])] == ["", ""]
    assert "log in with entrepot login" in said[5].stderr


def test_the_login_of_docker_is_enough(site: Site, tmp_path: Path) -> None:
    token = personal_token(site.server)
    auth = base64.b64encode(f"{token.login}:{token.secret}".encode()).decode()
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(json.dumps({"auths": {site.server.host: {"auth": auth}}}))

    done = entrepot_at_home(tmp_path, "whoami", "-o", "name", "--url", site.server.url)

    assert (done.returncode, done.stdout) == (0, "admin\n")


@pytest.mark.parametrize(("url", "code"), [("http://127.0.0.1:1", 1), ("ftp://x", 2)])
def test_a_server_that_is_not_there_and_an_address_that_is_none(tmp_path: Path, url: str, code: int) -> None:
    assert entrepot_at_home(tmp_path, "whoami", "--url", url).returncode == code
