"""A client of the management API, for commands and for the demo. Synchronous; one instance per command.

Who asks: ENTREPOT_USERNAME with ENTREPOT_PASSWORD, else the login saved for the server, else docker's for it. Which
server: the flag, else ENTREPOT_URL, else that of the context or login in use, else DEFAULT_URL. Failures are the kinds
of `entrepot.errors`, with the server's own line as their message, and what may have been meant by a name that is not
there.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from entrepot.cli.credentials import Credentials
from entrepot.cli.docker_config import docker_login
from entrepot.cli.http import Http, Server, basic, unchanged_since
from entrepot.cli.output import BlockedError, Item
from entrepot.cli.suggest import meant_by
from entrepot.errors import (
    ConflictError,
    DeniedError,
    EntrepotError,
    InvalidError,
    LimitError,
    NotFoundError,
    PreconditionError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from entrepot.oci.reference import Reference

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

DEFAULT_URL: Final = "http://127.0.0.1:5000"
BASE: Final = "/api/v1"
PAGE: Final = 500
POLL_SECONDS: Final = (0.01, 1.0)
"""The shortest and the longest pause; between them a tenth of the time waited so far."""
JOB_SECONDS: Final = 600.0
NO_LIST: Final = "the server's answer is no list: is it Entrepot, and of this version?"
BLOCKED: Final = "BLOCKED"
"""The code of a refusal by policy."""
SCANNING: Final = frozenset({"queued", "analysing"})
"""States of a scan that is not over."""
STATUS_KINDS: Final[Mapping[int, type[EntrepotError]]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: DeniedError,
    404: NotFoundError,
    405: UnsupportedError,
    409: ConflictError,
    412: PreconditionError,
    413: LimitError,
    422: InvalidError,
    428: PreconditionError,
    429: LimitError,
    503: UnavailableError,
}


class TimedOutError(EntrepotError):
    """What was waited for did not come in the time given."""


class JobFailedError(EntrepotError):
    """A job that was waited for failed; the message is its own."""


# What follows a feed, each from the one before: a job that is done has queued its consequences.
CONSEQUENCES: Final = ("scan.reevaluate", "scan.image", "policy.evaluate")


@dataclass(frozen=True, slots=True)
class Client:
    """Calls of the API on one server. authorization: the header's value, empty for none.

    suggests: whether to ask, of a name that is not there, what may have been meant.
    """

    http: Http
    authorization: str
    suggests: bool = True

    @classmethod
    def of_user(
        cls, url: str | None, environment: Mapping[str, str], *, insecure: bool, helpers: bool = True
    ) -> "Client":
        """The client of the user whose *environment* is given, for the server at *url* (a flag) or as above.

        helpers: whether docker's credential helpers may be run. Raises InvalidError (no address; one of
        ENTREPOT_USERNAME, ENTREPOT_PASSWORD alone; broken saved logins), DeniedError (plain HTTP to another machine).
        """
        saved = Credentials.of_user(environment)
        wanted = url or environment.get("ENTREPOT_URL") or None
        used = saved.in_use() if wanted is None else None
        address = wanted or (used.url if used else DEFAULT_URL)
        login = saved.of(Server.parse(address, insecure=True).url)
        agreed = insecure or (login is not None and login.insecure) or (used is not None and used.insecure)
        http = Http(Server.parse(address, insecure=agreed))
        username, password = environment.get("ENTREPOT_USERNAME"), environment.get("ENTREPOT_PASSWORD")
        if (username is None) != (password is None):
            raise InvalidError("ENTREPOT_USERNAME and ENTREPOT_PASSWORD are needed together")
        if username is not None and password is not None:
            return cls(http, basic(username, password))
        if login is not None:
            return cls(http, f"Bearer {login.token}")
        account = docker_login(http.server.url, environment, helpers=helpers)
        return cls(http, basic(*account) if account else "")

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Item:
        """The object at *path* (below the base). Raises the kinds of STATUS_KINDS, UnavailableError."""
        return self._call("GET", path, query)

    def post(self, path: str, body: Item, query: Mapping[str, str] | None = None) -> Item:
        """What the server answers to *body*. Raises as `get`."""
        return self._call("POST", path, query, body)

    def put(self, path: str, body: Item) -> Item:
        """What the server answers to *body*. Raises as `get`."""
        return self._call("PUT", path, None, body)

    def patch(self, path: str, body: Item) -> Item:
        """What the server answers to *body*. Raises as `get`."""
        return self._call("PATCH", path, None, body)

    def change(self, method: str, path: str, body: Item | None = None, shown_at: str = "") -> Item:
        """What the server answers to *body*, if nobody changed meanwhile what it shows at *shown_at* (else: *path*).

        Raises as `get`; PreconditionError where somebody did.
        """
        seen = self.http.send("GET", BASE + (shown_at or path), headers=self._headers())
        self._answer(seen, shown_at or path)
        return self._call(method, path, None, body, unchanged_since(seen))

    def delete(self, path: str, query: Mapping[str, str] | None = None) -> Item:
        """What the server answers, once it is gone. Raises as `get`."""
        return self._call("DELETE", path, query)

    def upload(self, path: str, file: Path, query: Mapping[str, str]) -> Item:
        """What the server answers to the bytes of *file*, which are streamed. Raises as `get`, and OSError."""
        with file.open("rb") as source:
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)}
            return _decoded(
                self.http.send("POST", BASE + path, headers=self._headers() | headers, query=query, body=source)
            )

    def items(self, path: str, query: Mapping[str, str] | None = None, most: int | None = None) -> Iterator[Item]:
        """Each item of the list at *path*, page after page, at most *most*. Raises as `get`, while iterated."""
        wanted = dict(query or {})
        left = most
        while left is None or left > 0:
            page = self.get(path, wanted | {"limit": str(min(PAGE, left or PAGE))})
            found = _items(page)
            yield from found[:left]
            left = None if left is None else left - len(found)
            cursor = page.get("next")
            if not found or not isinstance(cursor, str):
                return
            wanted["after"] = cursor

    def total(self, path: str, query: Mapping[str, str] | None = None) -> int:
        """How many there are in the list at *path*. Raises as `get`."""
        total = self.get(path, {**(query or {}), "limit": "1", "count": "true"}).get("total")
        if not isinstance(total, int):
            raise EntrepotError(NO_LIST)
        return total

    def wait_for_job(self, job: str, seconds: float = JOB_SECONDS) -> Item:
        """The job *job*, once it is done. Raises JobFailedError, TimedOutError after *seconds*, else as `get`."""
        for found in self.poll(f"/jobs/{job}", seconds):
            if found.get("state") == "done":
                return found
            if found.get("state") == "failed":
                raise JobFailedError(f"{found.get('name')} failed: {found.get('error') or 'no reason given'}")
        raise TimedOutError(f"the job did not end within {seconds:.0f} s; it goes on: entrepot job list")

    def wait_for_verdicts(self, seconds: float = JOB_SECONDS) -> None:
        """Returns when what a feed changed is matched and judged anew. Raises TimedOutError, else as `get`."""
        for name in CONSEQUENCES:
            for state in ("waiting", "running"):
                for found in self.poll(f"/jobs?limit=1&name={name}&state={state}", seconds):
                    if not found.get("items"):
                        break
                else:
                    raise TimedOutError(f"verdicts did not follow within {seconds:.0f} s; they will: entrepot job list")

    def wait_for_scan(self, image: Reference, seconds: float, tell: Callable[[str], None]) -> Item:
        """The scan of *image* once it is analysed and judged; until then *tell* hears how far it is.

        Raises TimedOutError after *seconds*, else as `get`.
        """
        for scan in self.poll(f"{artifact_path(image)}/scan", seconds):
            if scan.get("status") not in SCANNING and scan.get("outcome") != "pending":
                return scan
            tell(str(scan.get("status")))
        raise TimedOutError(f"{image} was not analysed within {seconds:.0f} s")

    def poll(self, path: str, seconds: float) -> Iterator[Item]:
        """The object at *path*, again and again, ever more slowly, until *seconds* have passed. Raises as `get`."""
        begin = time.monotonic()
        shortest, longest = POLL_SECONDS
        while True:
            yield self.get(path)
            waited = time.monotonic() - begin
            if waited >= seconds:
                return
            time.sleep(min(max(shortest, waited / 10), longest, seconds - waited))

    def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Item | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Item:
        data = None if body is None else json.dumps(body).encode()
        headers = self._headers() | dict(more or {}) | ({} if data is None else {"Content-Type": "application/json"})
        return self._answer(self.http.send(method, BASE + path, headers=headers, query=query, body=data), path)

    def _answer(self, response: "BaseHTTPResponse", path: str) -> Item:
        try:
            return _decoded(response)
        except NotFoundError as error:
            if not self.suggests:
                raise
            raise NotFoundError(error.message + self._suggestion(path)) from None

    def _suggestion(self, path: str) -> str:
        """What may have been meant by *path*, as the end of a line; empty if nobody knows."""
        plain = replace(self, suggests=False)
        try:
            meant = meant_by(path, plain.get)
        except EntrepotError:
            return ""
        return f"; did you mean {meant}?" if meant else ""

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json, application/problem+json", "User-Agent": "entrepot-cli"}
        return headers | ({"Authorization": self.authorization} if self.authorization else {})


def artifact_path(reference: Reference) -> str:
    """Where the API has the artifact *reference*: slashes of a repository's name stay slashes."""
    return f"/repositories/{reference.name}/-/artifacts/{reference.wanted()}"


def project_path(project: str) -> str:
    """Where the API has *project*."""
    return f"/projects/{quote(project, safe='')}"


def _items(page: Item) -> list[Item]:
    found = page.get("items")
    if not isinstance(found, list):
        raise EntrepotError(NO_LIST)
    return found


def _decoded(response: "BaseHTTPResponse") -> Item:
    try:
        body = json.loads(response.data) if response.data else {}
    except (ValueError, RecursionError):
        body = None
    if response.status >= 300:
        raise _error(response.status, body if isinstance(body, dict) else {})
    if not isinstance(body, dict):
        raise EntrepotError("the server's answer is no JSON object: is it Entrepot?")
    return body


def _error(status: int, problem: Item) -> EntrepotError:
    """The failure that *problem* tells of, in one line: its detail, and each faulty field. Spec: RFC 9457, 3."""
    line = str(problem.get("detail") or problem.get("title") or f"the server answered {status}")
    faults = problem.get("errors")
    named = [
        f"{fault.get('pointer')}: {fault.get('message')}"
        for fault in (faults if isinstance(faults, list) else [])
        if isinstance(fault, dict)
    ]
    if status >= 500 and problem.get("trace_id"):
        named.append(f"trace {problem['trace_id']}")
    if status == 401:
        named.append("log in with entrepot login, or set ENTREPOT_USERNAME and ENTREPOT_PASSWORD")
    kind = BlockedError if problem.get("code") == BLOCKED else STATUS_KINDS.get(status, EntrepotError)
    return kind("; ".join([line, *named]))
