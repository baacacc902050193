"""The distribution protocol by hand: requests exactly as written, and every answer held to the rules all must keep."""

import base64
import contextlib
import hashlib
import http.client
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.message import Message
from typing import Any, Final
from urllib.parse import urlencode

from tests.real.server import Credential

SECONDS: Final = 60
# OCI distribution-spec 1.1, "Error Codes": the whole table. 5xx answers have codes of the older Docker table.
CODES: Final = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    }
)
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"

Body = bytes | Iterable[bytes]


def sha256(data: bytes) -> str:
    """The digest of *data*."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def basic(login: str, secret: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{login}:{secret}".encode()).decode()


def encoded(document: Any) -> bytes:
    """*document* as JSON."""
    return json.dumps(document, separators=(",", ":")).encode()


def descriptor(content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
    """The descriptor of *content*. Spec: image-spec, descriptor.md."""
    return {"mediaType": media_type, "digest": sha256(content), "size": len(content), **more}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: status, headers (by any case), body."""

    status: int
    headers: Message
    body: bytes

    def header(self, name: str) -> str:
        """The header *name*; empty if there is none."""
        return str(self.headers.get(name, ""))

    @property
    def json(self) -> Any:
        """The body, parsed."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the first error of a /v2 answer."""
        return str(self.json["errors"][0]["code"])

    @property
    def message(self) -> str:
        """The message of the first error of a /v2 answer."""
        return str(self.json["errors"][0]["message"])

    @property
    def refusal(self) -> tuple[int, str]:
        """Status and code of a refused request."""
        return self.status, self.code


@dataclass(frozen=True, slots=True)
class Registry:
    """A client of the registry at *host* that sends *authorization*, empty for none, with each request.

    direct: no proxy answers in the registry's place, so every answer must keep the rules.
    """

    host: str
    authorization: str = ""
    direct: bool = True

    def as_(self, credential: Credential) -> "Registry":
        """The same registry with *credential* as Basic."""
        return replace(self, authorization=basic(credential.login, credential.secret))

    def with_token(self, token: str) -> "Registry":
        """The same registry with a registry token."""
        return replace(self, authorization=f"Bearer {token}")

    def token(self, *scopes: str, **fields: str) -> Answer:
        """What GET /v2/auth answers for *scopes*."""
        query = urlencode([("service", self.host), *(("scope", scope) for scope in scopes), *fields.items()])
        return self.ask("GET", f"/v2/auth?{query}")

    def scoped(self, *scopes: str) -> "Registry":
        """The same registry with a token for *scopes*."""
        return self.with_token(self.token(*scopes).json["token"])

    def ask(self, method: str, path: str, body: Body | None = None, headers: Mapping[str, str] | None = None) -> Answer:
        """The answer to a request whose *path* is sent as it stands. An iterable body goes out in chunks."""
        given = {"Authorization": self.authorization} if self.authorization else {}
        connection = http.client.HTTPConnection(self.host, timeout=SECONDS)
        try:
            # A server that refuses a body unread answers and hangs up while we still send.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, {**given, **(headers or {})})
            response = connection.getresponse()
            answer = Answer(response.status, response.headers, response.read())
        finally:
            connection.close()
        if path.startswith("/v2/") and self.direct:
            _keeps_the_rules(method, answer, self.authorization)
        return answer

    def push_blob(self, repository: str, data: bytes) -> str:
        """*data* is a blob of *repository*; its digest."""
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert begun.status == 202, begun.body
        ended = self.ask("PUT", f"{begun.header('Location')}&digest={sha256(data)}", data)
        assert ended.status == 201, ended.body
        return sha256(data)

    def begin(self, repository: str) -> str:
        """The Location of a new upload."""
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        assert begun.status == 202, begun.body
        return begun.header("Location")

    def put_manifest(self, repository: str, reference: str, body: bytes, media_type: str = OCI_MANIFEST) -> Answer:
        """What PUT of a manifest answers."""
        return self.ask("PUT", f"/v2/{repository}/manifests/{reference}", body, {"Content-Type": media_type})

    def image(self, repository: str, layers: Sequence[bytes] = (b"layer",), **more: Any) -> bytes:
        """A manifest whose config and *layers* are pushed into *repository*; *more*: further or other fields."""
        config = encoded({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        for data in (config, *layers):
            self.push_blob(repository, data)
        return encoded(
            {
                "schemaVersion": 2,
                "mediaType": OCI_MANIFEST,
                "config": descriptor(config, OCI_CONFIG),
                "layers": [descriptor(layer, OCI_LAYER) for layer in layers],
                **more,
            }
        )

    def push_image(self, repository: str, tag: str, layers: Sequence[bytes] = (b"layer",)) -> str:
        """An image is in *repository* under *tag*; its digest."""
        body = self.image(repository, layers)
        answer = self.put_manifest(repository, tag, body)
        assert answer.status == 201, answer.body
        return sha256(body)


def _keeps_the_rules(method: str, answer: Answer, authorization: str) -> None:
    """What registry.md 2 asks of every answer of /v2, and that none repeats a secret or shows our insides."""
    assert answer.header("Docker-Distribution-Api-Version") == "registry/2.0"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert len(answer.header("X-Request-Id")) == 26
    assert b"Traceback" not in answer.body
    if authorization:
        assert authorization.partition(" ")[2].encode() not in answer.body + str(answer.headers).encode()
    if answer.status == 401:
        assert answer.header("WWW-Authenticate").startswith("Bearer realm=")
    if answer.status in {429, 503}:
        assert answer.header("Retry-After")
    if answer.status >= 400 and method != "HEAD":
        assert answer.header("Content-Type") == "application/json"
        errors = answer.json["errors"]
        assert errors
        for error in errors:
            assert error["code"] in CODES | {"UNAVAILABLE", "UNKNOWN"}, error
            assert answer.status >= 500 or error["code"] in CODES, error
            assert error["message"]
            assert error["message"].isprintable()
    if method == "HEAD":
        assert answer.body == b""
