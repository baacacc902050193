"""A browser without a screen: keeps its cookie, sends forms as a page of ours would."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlencode

import urllib3

from tests.real.server import Credential, Server

TOKEN: Final = re.compile(r'name="csrf" value="(\w+)"')


@dataclass(slots=True)
class Visitor:
    """Asks *server* for pages; not signed in until `sign_in`. origin: what the browser says where forms come from."""

    server: Server
    cookie: str = ""
    origin: str = ""
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))

    def sign_in(self, who: Credential | None = None, **more: str) -> Self:
        """With name and password, as the administrator unless *who* says so; fails if that is refused."""
        answer = self.try_to_sign_in(who or self.server.admin, **more)
        assert answer.status == 303, answer.data
        return self

    def try_to_sign_in(self, who: Credential, **more: str) -> urllib3.BaseHTTPResponse:
        """Sends the form of the page for signing in."""
        return self.send("/sign-in", {"name": who.login, "password": who.secret, **more})

    def get(self, path: str, **headers: str) -> urllib3.BaseHTTPResponse:
        """The answer to GET of *path*; redirects are not followed."""
        return self._ask("GET", path, None, headers)

    def text(self, path: str, status: int = 200) -> str:
        """The page *path*; fails on another status."""
        answer = self.get(path)
        assert answer.status == status, (path, answer.status, answer.data)
        return answer.data.decode()

    def token(self) -> str:
        """What this session's forms bring along, as a page has it."""
        found = TOKEN.search(self.text("/home"))
        assert found is not None
        return found[1]

    def act(self, path: str, fields: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        """Sends *fields* with the session's token, as a form of a page does."""
        return self.send(path, {"csrf": self.token(), **(fields or {})})

    def send(self, path: str, fields: Mapping[str, str], **headers: str) -> urllib3.BaseHTTPResponse:
        """Sends *fields* as they are to *path*."""
        body = urlencode(fields).encode()
        given = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": self.origin or self.server.url,
        } | headers
        return self._ask("POST", path, body, {name: value for name, value in given.items() if value})

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        given = {**headers, **({"Cookie": self.cookie} if self.cookie else {})}
        url = f"{self.server.url}{path}"
        answer = self.http.request(method, url, body=body, headers=given, redirect=False, timeout=30)
        for each in answer.headers.getlist("set-cookie"):
            pair = each.partition(";")[0]
            if "entrepot=" in pair:
                self.cookie = "" if pair.endswith(('="', "=", '=""')) else pair
        return answer
