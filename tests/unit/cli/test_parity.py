"""Each operation of the management API has a command: the command is run, and what it calls is looked at."""

import io
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import typer

from entrepot.cli.main import application
from entrepot.web.api.app import api_app
from tests.real.command_lines import COMMAND_LINES, words

pytestmark = pytest.mark.enable_socket

SERVICES: Any = None  # described, not asked
DOCUMENT: Final = api_app(SERVICES, "0").openapi()
OPERATIONS: Final = {
    (method.upper(), path): str(operation["operationId"])
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
ANSWER: Final = b'{"items": [], "next": null, "id": "7", "state": "done", "status": "complete", "outcome": "pass"}'
NAMES: Final = {
    "free": "new",
    "token": "t1",
    "account": "ada",
    "project": "shop",
    "repository": "shop/team/web",
    "tag": "1.0",
    "other": "2.0",
    "robot": "ci",
    "job": "j1",
    "operation": "o1",
    "promotion": "p1",
}


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str]]]:
    """What a server was asked, method and path; it answers everybody the same."""
    found: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            found.append((self.command, urlsplit(self.path).path))
            self.send_response(200)
            self.send_header("Content-Length", str(len(ANSWER)))
            self.end_headers()
            self.wfile.write(ANSWER)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve  # noqa: N815  names of http.server

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    monkeypatch.setenv("ENTREPOT_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("ENTREPOT_USERNAME", "ada")
    monkeypatch.setenv("ENTREPOT_PASSWORD", "secret")
    monkeypatch.setattr(sys, "stdin", io.StringIO("old\nnew\n"))
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def operation_of(method: str, path: str) -> str:
    """The operation that a request is for: of several paths that fit, the one with the most parts."""
    fitting = [template for verb, template in OPERATIONS if verb == method and pattern(template).fullmatch(path)]
    return OPERATIONS[method, max(fitting, key=lambda template: template.count("/"))]


def pattern(template: str) -> re.Pattern[str]:
    """What a path looks like that *template* describes: names of repositories hold slashes."""
    parts = re.split(r"(\{\w+\})", template)
    return re.compile(
        "".join(".+" if part == "{name}" else "[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
    )


@pytest.mark.parametrize("operation", sorted(OPERATIONS.values()))
def test_every_operation_has_a_command_that_calls_it(
    operation: str, calls: list[tuple[str, str]], tmp_path: Path
) -> None:
    feed = tmp_path / "feed.json"
    feed.write_text("{}")
    arguments = words(operation, {**NAMES, "file": str(feed)})

    application(arguments[0])(args=arguments, standalone_mode=False)

    assert operation in {operation_of(method, path) for method, path in calls}


PARAMETERS: Final = {
    str(operation["operationId"]): {each["name"] for each in operation.get("parameters", ())}
    for methods in DOCUMENT["paths"].values()
    for operation in methods.values()
}
OPTIONS: Final = {
    "filter": "--filter",
    "sort": "--sort",
    "limit": "--limit",
    "count": "--count",
    "dry_run": "--dry-run",
}


@pytest.mark.parametrize("operation", sorted(name for name, found in PARAMETERS.items() if found & set(OPTIONS)))
def test_what_an_operation_can_be_asked_its_command_can_too(operation: str) -> None:
    noun, *verb = COMMAND_LINES[operation]
    command: Any = typer.main.get_command(application(noun)).commands[noun]  # type: ignore[attr-defined]
    command = command.commands[verb[0]] if hasattr(command, "commands") else command
    known = {option for parameter in command.params for option in parameter.opts}

    assert {OPTIONS[name] for name in PARAMETERS[operation] & set(OPTIONS)} - known == set()


def test_no_command_line_is_for_an_operation_that_is_gone() -> None:
    assert set(COMMAND_LINES) - set(OPERATIONS.values()) == set()
