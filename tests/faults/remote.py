"""A client's requests over HTTP, to a server that may die at any of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import urllib3

from entrepot.oci.digest import Digest

TIMEOUT: Final = urllib3.Timeout(connect=5, read=30)


class RefusedError(AssertionError):
    """An answer that is not the one that a client needs."""


@dataclass(slots=True)
class Remote:
    """Asks the registry at *url* as the administrator, with a token for each repository. Implements Requests."""

    url: str
    password: str = field(repr=False)
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=TIMEOUT))
    _tokens: dict[str, str] = field(default_factory=dict)
    _locations: dict[str, str] = field(default_factory=dict)

    def sign_in(self, *repos: str) -> None:
        """A token for all that can be done in *repos*."""
        fields = [("scope", f"repository:{repo}:pull,push,delete") for repo in repos]
        headers = urllib3.make_headers(basic_auth=f"admin:{self.password}")
        answer = self.http.request("GET", f"{self.url}/v2/auth", fields=fields, headers=headers)
        assert answer.status == 200, answer.data
        self._tokens |= dict.fromkeys(repos, json.loads(answer.data)["token"])

    def _ask(
        self,
        method: str,
        repo: str,
        path: str,
        wanted: tuple[int, ...],
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        given = {"Authorization": f"Bearer {self._tokens[repo]}", **(headers or {})}
        answer = self.http.request(method, f"{self.url}{path}", body=body, headers=given)
        if answer.status not in wanted:
            raise RefusedError(f"{method} {path}: {answer.status} {answer.data!r}")
        return answer

    async def begin(self, repo: str) -> str:
        """See Requests."""
        answer = self._ask("POST", repo, f"/v2/{repo}/blobs/uploads/", (202,))
        id_ = answer.headers["Docker-Upload-UUID"]
        self._locations[id_] = answer.headers["Location"]
        return id_

    async def add(self, repo: str, id_: str, start: int, data: bytes) -> None:
        """See Requests."""
        headers = {"Content-Range": f"{start}-{start + len(data) - 1}"}
        self._locations[id_] = self._ask("PATCH", repo, self._locations[id_], (202,), data, headers).headers["Location"]

    async def finish(self, repo: str, id_: str, digest: Digest, rest: bytes | None) -> str:
        """See Requests."""
        location = self._locations[id_]
        path = f"{location}{'&' if '?' in location else '?'}digest={digest}"
        return self._ask("PUT", repo, path, (201,), rest).headers["X-Request-Id"]

    async def cancel(self, repo: str, id_: str) -> None:
        """See Requests."""
        self._ask("DELETE", repo, self._locations[id_], (204, 404))

    async def mount(self, repo: str, digest: Digest, source: str) -> str:
        """See Requests."""
        path = f"/v2/{repo}/blobs/uploads/?mount={digest}&from={source}"
        return self._ask("POST", repo, path, (201,)).headers["X-Request-Id"]

    async def put(self, repo: str, reference: str, body: bytes) -> str:
        """See Requests."""
        headers = {"Content-Type": json.loads(body)["mediaType"]}
        path = f"/v2/{repo}/manifests/{reference}"
        return self._ask("PUT", repo, path, (201,), body, headers).headers["X-Request-Id"]

    async def delete(self, repo: str, reference: str) -> None:
        """See Requests."""
        self._ask("DELETE", repo, f"/v2/{repo}/manifests/{reference}", (202, 404))

    async def delete_blob(self, repo: str, digest: Digest) -> None:
        """See Requests."""
        self._ask("DELETE", repo, f"/v2/{repo}/blobs/{digest}", (202, 404))

    async def pull(self, repo: str, reference: str) -> str:
        """See Requests."""
        return self._ask("GET", repo, f"/v2/{repo}/manifests/{reference}", (200,)).headers["X-Request-Id"]

    async def has_blob(self, repo: str, digest: Digest) -> bool:
        """See Requests."""
        return self._ask("HEAD", repo, f"/v2/{repo}/blobs/{digest}", (200, 404)).status == 200
