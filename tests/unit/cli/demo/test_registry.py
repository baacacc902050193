"""The registry client against a real HTTP server on loopback that speaks the token flow."""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from entrepot.cli.demo.build import image, layer
from entrepot.cli.demo.registry import ContentError, Registry, RegistryError
from entrepot.cli.http import Http, Server
from entrepot.oci.digest import Digest
from entrepot.oci.mediatype import OCI_MANIFEST
from entrepot.oci.reference import Reference

pytestmark = pytest.mark.enable_socket

IMAGE = image([layer({"etc/hostname": b"web"}), layer({"etc/hosts": b""})])
TAG = Reference("shop/web", "1.0", None)
BASIC = "Basic " + b64encode(b"ci:secret").decode()


class Peer(ThreadingHTTPServer):
    """A registry of one repository, as small as the specification lets it be. Tokens are numbered."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.realm = f"{self.url}/token"
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.scopes: list[str] = []
        self.expired: set[str] = set()
        self.refusal: tuple[int, bytes, str] | None = None
        self.warning = ""

    def registry(self) -> Registry:
        return Registry(Http(Server.parse(self.url, insecure=False)), "ci", "secret")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Peer

    def serve(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = parse_qs(parts.query)
        if parts.path == "/token":
            self.server.scopes += query["scope"]
            token = f"t{len(self.server.scopes)}"
            self.answer(200 if self.headers["Authorization"] == BASIC else 401, json.dumps({"token": token}).encode())
            return
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if not token or token in self.server.expired:
            challenge = f'Bearer realm="{self.server.realm}",service="peer"'
            self.answer(401, b"", **{"WWW-Authenticate": challenge})
            return
        self.store(parts.path, query, body)

    def store(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        kind, wanted = path.removeprefix("/v2/shop/web/").split("/", 1)
        held = self.server.blobs if kind == "blobs" else self.server.manifests
        if self.server.refusal and self.command == "GET":
            status, data, warning = self.server.refusal
            self.answer(status, data, **({"Warning": warning} if warning else {}))
        elif self.command == "POST":
            self.answer(202, b"", Location="/v2/shop/web/blobs/uploads/1?state=x")
        elif self.command == "PUT":
            held[query["digest"][0] if kind == "blobs" else wanted] = body
            self.answer(201, b"")
        elif wanted in held:
            more = {"Warning": self.server.warning} if self.server.warning else {}
            self.answer(200, held[wanted], **{"Content-Type": OCI_MANIFEST, **more})
        else:
            self.answer(404, b'{"errors":[{"code":"BLOB_UNKNOWN","message":"not here"}]}')

    def answer(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = serve  # noqa: N815  names of http.server

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_what_is_pushed_comes_back_with_equal_digests(peer: Peer) -> None:
    pushed = peer.registry().push(TAG, IMAGE)
    pulled = peer.registry().pull(TAG)

    size = sum(blob.size for blob in IMAGE.blobs()) + IMAGE.manifest.size
    assert (pushed.digest, pulled.digest) == (IMAGE.digest, IMAGE.digest)
    assert (pushed.sent_bytes, pushed.skipped_bytes, pulled.received_bytes) == (size, 0, size)


def test_a_blob_that_is_there_is_not_sent_again(peer: Peer) -> None:
    there = IMAGE.layers[0].blob
    peer.blobs[str(there.digest)] = there.data
    pushed = peer.registry().push(TAG, IMAGE)

    assert (pushed.skipped_bytes, pushed.skipped_blobs, pushed.sent_blobs) == (there.size, 1, 2)


def test_one_token_per_scope_is_asked_for(peer: Peer) -> None:
    registry = peer.registry()
    registry.push(TAG, IMAGE)
    registry.pull(TAG)

    assert peer.scopes == ["repository:shop/web:pull,push", "repository:shop/web:pull"]


def test_an_expired_token_is_replaced_and_the_body_sent_from_its_start(peer: Peer) -> None:
    registry = peer.registry()
    assert not registry.has_blob("shop/web", IMAGE.digest)
    peer.expired.add("t1")
    registry.put_manifest("shop/web", "1.0", IMAGE.manifest)

    assert peer.manifests["1.0"] == IMAGE.manifest.data


def test_a_token_that_is_never_good_is_refused_after_one_more_try(peer: Peer) -> None:
    peer.expired.update(f"t{number}" for number in range(1, 9))

    with pytest.raises(RegistryError) as caught:
        peer.registry().has_blob("shop/web", IMAGE.digest)
    assert (caught.value.status, len(peer.scopes)) == (401, 2)


def test_a_password_is_not_sent_to_a_realm_on_another_server(peer: Peer) -> None:
    peer.realm = "http://127.0.0.1:1/token"

    with pytest.raises(Exception, match="elsewhere"):
        peer.registry().pull(TAG)


def test_a_refusal_carries_the_registrys_code_and_text(peer: Peer) -> None:
    text = 'blocked by policy "baseline": CVE-2026-1 (critical) in x 1, fixed in 2'
    peer.refusal = (403, json.dumps({"errors": [{"code": "DENIED", "message": text}]}).encode(), "")

    with pytest.raises(RegistryError) as caught:
        peer.registry().pull(TAG)
    assert (caught.value.status, caught.value.code, caught.value.message) == (403, "DENIED", text)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"errors":[]}', b'{"errors":[1]}', b'{"errors":null}'])
def test_a_refusal_without_an_oci_error_is_told_by_its_status(peer: Peer, body: bytes) -> None:
    peer.refusal = (502, body, "")

    with pytest.raises(RegistryError, match="the registry answered 502"):
        peer.registry().pull(TAG)


def test_a_warning_is_given_as_its_text(peer: Peer) -> None:
    peer.registry().push(TAG, IMAGE)
    peer.warning = r'299 - "policy \"baseline\" will block this image"'

    assert peer.registry().pull(TAG).warning == 'policy "baseline" will block this image'


def test_a_blob_with_other_bytes_is_not_taken(peer: Peer) -> None:
    peer.registry().push(TAG, IMAGE)
    peer.blobs[str(IMAGE.layers[1].digest)] = b"other"

    with pytest.raises(ContentError):
        peer.registry().pull(TAG)


def test_a_manifest_with_another_digest_than_the_one_asked_for_is_not_taken(peer: Peer) -> None:
    wanted = Digest.of(b"wanted")
    peer.manifests[str(wanted)] = IMAGE.manifest.data

    with pytest.raises(ContentError):
        peer.registry().manifest(Reference("shop/web", None, wanted))
