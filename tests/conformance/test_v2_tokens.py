"""The token endpoint and registry tokens. Design: registry.md 2.8; security.md 3 and 10, class 5."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from sqlalchemy import create_engine, select, update

from entrepot.access.tables import account, secret
from tests.conformance.conftest import Robots
from tests.real.protocol import Answer, Registry, basic
from tests.real.replicas import Replicas
from tests.real.server import Credential, Server

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token: str) -> dict[str, Any]:
    claims = json.loads(unpacked(token.split(".")[1]))
    assert isinstance(claims, dict)
    return claims


def signed(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], claims: Any) -> str:
    """A token by ES256, made without the product's code. Spec: RFC 7518, 3.4."""
    body = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    text = f"{packed(json.dumps(header).encode())}.{packed(body)}"
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{packed(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def form(registry: Registry, **fields: str) -> Answer:
    return registry.ask("POST", "/v2/auth", urlencode(fields).encode(), FORM)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the registry keeps what nobody outside has: *database*, its address for SQLAlchemy; *keys*, a folder."""

    database: str
    keys: Path


@pytest.fixture
def place(request: pytest.FixtureRequest, stack: str, shared_server: Server) -> Place:
    """The place of the registry that is asked, on each stack."""
    if stack == "files":
        return Place(f"sqlite:///{shared_server.data / 'entrepot.db'}", shared_server.data / "keys")
    replicas: Replicas = request.getfixturevalue("shared_replicas")
    settings = replicas.servers[0].environment
    url = settings["ENTREPOT_DATABASE__URL"].replace("postgresql://", "postgresql+psycopg://")
    return Place(url, Path(settings["ENTREPOT_ACCESS__KEYS"]))


@pytest.fixture
def robot(registry: Registry, repository: str, robots: Robots) -> Credential:
    """A developer of the project of a repository that has an image."""
    registry.push_image(repository, "v1")
    return robots.developer


# what the endpoint answers


def test_a_token_has_both_names_and_a_life_and_no_issue_time(
    anonymous: Registry, repository: str, robot: Credential
) -> None:
    """containerd keeps a token without expires_in for ever; a wrong clock makes clients fetch one for ever."""
    answer = anonymous.as_(robot).token(f"repository:{repository}:pull")

    assert answer.status == 200
    assert answer.json.keys() == {"token", "access_token", "expires_in"}
    assert answer.json["token"] == answer.json["access_token"]
    assert answer.json["expires_in"] == 300
    assert answer.header("Cache-Control") == "no-store"
    assert len(answer.body) < 8192


@pytest.mark.parametrize("content_type", [FORM["Content-Type"], f"{FORM['Content-Type']}; charset=utf-8"])
def test_a_form_is_as_good_as_basic(anonymous: Registry, repository: str, robot: Credential, content_type: str) -> None:
    fields = {
        "grant_type": "password",
        "service": anonymous.host,
        "client_id": "containerd-client",
        "username": robot.login,
        "password": robot.secret,
        "scope": f"repository:{repository}:pull",
    }

    answer = anonymous.ask("POST", "/v2/auth", urlencode(fields).encode(), {"Content-Type": content_type})

    assert answer.status == 200
    got = anonymous.with_token(answer.json["access_token"]).ask("GET", f"/v2/{repository}/manifests/v1")
    assert got.status == 200


def test_unknown_fields_are_ignored(anonymous: Registry, repository: str, robot: Credential) -> None:
    answer = anonymous.as_(robot).token(
        f"repository:{repository}:pull", account=robot.login, offline_token="true", client_id="docker", x="y"
    )

    assert answer.status == 200


def test_scopes_may_be_repeated_or_joined(anonymous: Registry, project: str, robot: Credential) -> None:
    names = [f"{project}/{name}" for name in ("a", "b", "c")]
    texts = [f"repository:{name}:pull" for name in names]

    repeated = anonymous.as_(robot).token(*texts)
    joined = anonymous.as_(robot).token(f"{texts[0]} {texts[1]}", texts[2])

    for answer in (repeated, joined):
        assert claims_of(answer.json["token"])["access"] == {"pull": names}


def test_a_scope_that_names_no_repository_of_the_registry_s_kind_is_passed_over(
    anonymous: Registry, robot: Credential
) -> None:
    answer = anonymous.as_(robot).token("registry:other:*", "plugin:x:y", "")

    assert answer.status == 200
    assert claims_of(answer.json["token"])["access"] == {}


@pytest.mark.parametrize(
    "scope", ["x", "repository:x", "repository:Upper/x:pull", "repository::pull", "repository:a//b:pull"]
)
def test_a_scope_that_can_t_be_read_is_400(anonymous: Registry, robot: Credential, scope: str) -> None:
    assert anonymous.as_(robot).token(scope).status == 400


def test_more_than_50_scopes_are_400(anonymous: Registry, project: str, robot: Credential) -> None:
    scopes = [f"repository:{project}/r{n}:pull" for n in range(51)]

    taken = anonymous.as_(robot).token(*scopes[:50])

    assert taken.status == 200
    assert len(taken.body) < 8192
    assert claims_of(taken.json["token"])["access"]["pull"] == [f"{project}/r{n}" for n in range(50)]
    assert anonymous.as_(robot).token(*scopes).status == 400


@pytest.mark.parametrize("actions", ["pull", "pull,push,delete"])
def test_an_answer_never_grows_beyond_8_kib_and_says_what_to_do(
    anonymous: Registry, project: str, robot: Credential, actions: str
) -> None:
    """A token travels in a header, which proxies bound. It is refused as a whole: cut, clients would ask for ever."""
    scopes = [f"repository:{project}/{'r' * 60}/{n:040}:{actions}" for n in range(50)]

    taken, refused = anonymous.as_(robot).token(*scopes[:10]), anonymous.as_(robot).token(*scopes)

    assert taken.status == 200
    assert len(taken.body) < 8192
    assert refused.refusal == (400, "UNSUPPORTED")
    assert "ask for fewer" in refused.message


def test_what_was_refused_is_in_the_token_without_the_words(anonymous: Registry, project: str, robots: Robots) -> None:
    viewer = anonymous.as_(robots.viewer)
    scopes = [f"repository:{project}/a:pull,push", f"repository:{project}x/b:pull,push", "repository:other/c:pull"]

    claims = claims_of(viewer.token(*scopes).json["token"])

    assert claims["access"] == {"pull": [f"{project}/a"]}
    assert claims["ent_denied"] == {
        "roles:viewer push": [f"{project}/a"],
        "hidden pull,push": [f"{project}x/b"],
        "hidden pull": ["other/c"],
    }
    assert claims["ent_catalog"] is False


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_another_method_is_no_token(anonymous: Registry, robot: Credential, method: str) -> None:
    assert anonymous.as_(robot).ask(method, "/v2/auth").status in {404, 405}


# credentials


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic YWRtaW4=",
        "Basic " + base64.b64encode(b"admin:").decode(),
        "Basic " + base64.b64encode(b"\xff:\xfe").decode(),
        "Digest username=admin",
        "Bearer x",
        basic("admin", "wrong"),
        basic("nobody", "wrong"),
        basic("", "wrong"),
        basic("admin", "x" * 5000),
        basic("ad\0min", "wrong"),
        basic("admin", "wr\0ng"),
    ],
)
def test_wrong_credentials_are_401_and_never_an_anonymous_token(anonymous: Registry, authorization: str) -> None:
    answer = anonymous.ask("GET", "/v2/auth?scope=repository:a/b:pull", headers={"Authorization": authorization})

    assert answer.refusal == (401, "UNAUTHORIZED")
    assert b"access_token" not in answer.body


def test_a_wrong_password_and_an_unknown_name_read_alike(anonymous: Registry) -> None:
    texts = {
        (answer.status, answer.body)
        for name in ("admin", "nobody")
        for answer in (form(anonymous, grant_type="password", username=name, password="wrong"),)
    }

    assert len(texts) == 1


def test_a_secret_of_another_name_is_wrong(anonymous: Registry, robots: Robots) -> None:
    mixed = Credential(robots.viewer.login, robots.developer.secret)

    assert anonymous.as_(mixed).token().refusal == (401, "UNAUTHORIZED")


@pytest.mark.parametrize("grant", ["", "refresh_token", "authorization_code"])
def test_another_grant_is_401(anonymous: Registry, robot: Credential, grant: str) -> None:
    answer = form(anonymous, grant_type=grant, username=robot.login, password=robot.secret, refresh_token="x")

    assert answer.refusal == (401, "UNAUTHORIZED")


def test_what_is_no_form_is_400(anonymous: Registry) -> None:
    as_json = anonymous.ask("POST", "/v2/auth", b"{}", {"Content-Type": "application/json"})
    crowded = anonymous.ask("POST", "/v2/auth", b"a=b&" * 500, FORM)
    binary = anonymous.ask("POST", "/v2/auth", b"\xff=\xfe", FORM)

    assert [answer.status for answer in (as_json, crowded, binary)] == [400, 400, 400]


def test_a_form_over_its_limit_is_413(anonymous: Registry) -> None:
    assert anonymous.ask("POST", "/v2/auth", b"a" * 70_000, FORM).status == 413


def test_a_person_s_password_is_not_taken_on_v2_and_the_text_says_what_is(
    shared_server: Server, anonymous: Registry
) -> None:
    answer = anonymous.as_(shared_server.admin).ask("GET", "/v2/")

    assert answer.refusal == (401, "UNAUTHORIZED")
    assert answer.message == "a password is not taken here: log in for a token first, or use a robot's secret"
    assert anonymous.as_(shared_server.admin).token().status == 200


def test_a_secret_that_ended_says_so_to_who_knows_it(place: Place, anonymous: Registry, robot: Credential) -> None:
    engine = create_engine(place.database)
    with engine.begin() as connection:
        owner = select(account.c.id).where(account.c.name == robot.login).scalar_subquery()
        ended = datetime(1970, 1, 2, tzinfo=UTC)
        connection.execute(update(secret).where(secret.c.account_id == owner).values(expires_at=ended))
    engine.dispose()

    known = anonymous.as_(robot).token()
    guessed = anonymous.as_(Credential(robot.login, "ent_rbt_" + "x" * 52)).token()

    assert known.refusal == (401, "UNAUTHORIZED")
    what = f"secret ent_rbt_...{robot.secret[-4:]} expired on 1970-01-02"
    assert known.message == f"{what}; make a new one: entrepot robot create"
    assert "expired" not in guessed.message


# what a token opens


def test_fewer_rights_are_a_success_and_then_403_with_the_reason(
    anonymous: Registry, registry: Registry, repository: str, robots: Robots
) -> None:
    registry.push_image(repository, "v1")
    viewer = anonymous.as_(robots.viewer).scoped(f"repository:{repository}:pull,push,delete")

    pulled = viewer.ask("GET", f"/v2/{repository}/manifests/v1")
    pushed = viewer.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
    deleted = viewer.ask("DELETE", f"/v2/{repository}/manifests/v1")

    assert pulled.status == 200
    assert pushed.refusal == (403, "DENIED")
    assert pushed.message == (
        f'robot "{robots.viewer.login}" lacks repo.push on {repository} (has viewer); '
        "granted by an admin of this registry"
    )
    assert "lacks repo.delete" in deleted.message
    assert "WWW-Authenticate" not in pushed.headers


def test_a_scope_never_asked_for_is_401_with_the_scope_to_ask_for(
    anonymous: Registry, repository: str, robot: Credential
) -> None:
    puller = anonymous.as_(robot).scoped(f"repository:{repository}:pull")

    refused = puller.ask("POST", f"/v2/{repository}/blobs/uploads/", b"")

    assert refused.status == 401
    challenge = refused.header("WWW-Authenticate")
    assert f'scope="repository:{repository}:pull,push"' in challenge
    assert 'error="insufficient_scope"' in challenge
    assert anonymous.as_(robot).scoped(f"repository:{repository}:pull,push").begin(repository)


def test_a_token_for_one_repository_opens_no_other(
    anonymous: Registry, registry: Registry, project: str, robot: Credential
) -> None:
    registry.push_image(f"{project}/other", "v1")
    token = anonymous.as_(robot).scoped(f"repository:{project}/web:pull")

    assert token.ask("GET", f"/v2/{project}/other/manifests/v1").status == 401


def test_a_registry_token_opens_v2_only(anonymous: Registry, robot: Credential) -> None:
    token = anonymous.as_(robot).token().json["token"]

    answer = anonymous.with_token(token).ask("GET", "/api/v1/whoami")

    assert answer.status == 401
    assert token.encode() not in answer.body


def test_without_a_credential_the_challenge_names_the_scope(anonymous: Registry, repository: str) -> None:
    for method, rest, actions in (
        ("GET", "manifests/v1", "pull"),
        ("HEAD", "manifests/v1", "pull"),
        ("PUT", "manifests/v1", "pull,push"),
        ("POST", "blobs/uploads/", "pull,push"),
        ("GET", "tags/list", "pull"),
        ("DELETE", "manifests/v1", "delete"),
    ):
        answer = anonymous.ask(method, f"/v2/{repository}/{rest}")
        assert answer.status == 401
        assert f'scope="repository:{repository}:{actions}"' in answer.header("WWW-Authenticate")


# attacks

Attack = Callable[[ec.EllipticCurvePrivateKey, dict[str, Any]], str]
HEADER = {"alg": "ES256", "typ": "JWT"}
OTHER = ec.generate_private_key(ec.SECP256R1())


def changed(**fields: Any) -> Attack:
    return lambda key, claims: signed(key, HEADER, {**claims, **fields})


def without(name: str) -> Attack:
    return lambda key, claims: signed(key, HEADER, {k: v for k, v in claims.items() if k != name})


def headed(**fields: Any) -> Attack:
    return lambda key, claims: signed(key, {**HEADER, **fields}, claims)


def unsigned(algorithm: str) -> Attack:
    return lambda _, claims: (
        f"{packed(json.dumps({'alg': algorithm, 'typ': 'JWT'}).encode())}.{packed(json.dumps(claims).encode())}."
    )


def hs256(secret: Callable[[ec.EllipticCurvePrivateKey], bytes]) -> Attack:
    def make(key: ec.EllipticCurvePrivateKey, claims: dict[str, Any]) -> str:
        text = f"{packed(json.dumps({'alg': 'HS256', 'typ': 'JWT'}).encode())}.{packed(json.dumps(claims).encode())}"
        return f"{text}.{packed(hmac.new(secret(key), text.encode(), hashlib.sha256).digest())}"

    return make


def public_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    numbers = key.public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": packed(numbers.x.to_bytes(32, "big")),
        "y": packed(numbers.y.to_bytes(32, "big")),
    }


ATTACKS: dict[str, Attack] = {
    "no algorithm": unsigned("none"),
    "no algorithm, spelt": unsigned("NoNe"),
    "ES256 without a signature": unsigned("ES256"),
    "HS256 with the public key": hs256(public_pem),
    "HS256 with an empty key": hs256(lambda _: b""),
    "another key": lambda _, claims: signed(OTHER, HEADER, claims),
    "another key in jwk": lambda _, claims: signed(OTHER, {**HEADER, "jwk": jwk(OTHER)}, claims),
    "our key and a jwk": lambda key, claims: signed(key, {**HEADER, "jwk": jwk(key)}, claims),
    "jku": headed(jku="https://evil.example/keys"),
    "x5u": headed(x5u="https://evil.example/cert"),
    "x5c": headed(x5c=["AAAA"]),
    "crit": headed(crit=["exp"]),
    "kid of a file": headed(kid="../../../../dev/null"),
    "another type": headed(typ="at+jwt"),
    "wrong audience": changed(aud="other.example"),
    "several audiences": changed(aud=["other.example"]),
    "no audience": without("aud"),
    "wrong issuer": changed(iss="evil"),
    "no issuer": without("iss"),
    "expired": changed(exp=int(time.time()) - 1),
    "no end": without("exp"),
    "an end that is a text": changed(exp="9999999999"),
    "not yet": changed(nbf=int(time.time()) + 3600),
    "no beginning": without("nbf"),
    "claims are a list": lambda key, _: signed(key, HEADER, []),
    "claims are a token": lambda key, claims: signed(
        key, {**HEADER, "cty": "JWT"}, signed(key, HEADER, claims).encode()
    ),
    "a signature too many": lambda key, claims: signed(key, HEADER, claims) + ".AAAA",
    "a padded signature": lambda key, claims: signed(key, HEADER, claims) + "==",
    "access of another form": changed(access=[{"type": "repository", "name": "a/b", "actions": ["pull"]}]),
    "denied of another form": changed(ent_denied=[]),
    "no access": without("access"),
    "not a token": lambda *_: "not-a-token-at-all",
    "dots": lambda *_: "..",
    "16 KiB and more": lambda key, claims: signed(key, HEADER, {**claims, "pad": "x" * 16_000}),
}


@pytest.fixture
def key(place: Place) -> ec.EllipticCurvePrivateKey:
    """The server's own signing key, as nobody outside has it."""
    found = load_pem_private_key((place.keys / "token-signing.pem").read_bytes(), None)
    assert isinstance(found, ec.EllipticCurvePrivateKey)
    return found


@pytest.fixture(scope="module")
def kept_repository(registry: Registry, kept_project: str) -> str:
    """A repository that has an image."""
    registry.push_image(f"{kept_project}/web", "v1")
    return f"{kept_project}/web"


@pytest.fixture
def claims(anonymous: Registry, kept_repository: str, kept_robots: Robots) -> dict[str, Any]:
    """The claims of a good token, made just now: of an old one, nothing is good."""
    token = anonymous.as_(kept_robots.developer).token(f"repository:{kept_repository}:pull").json["token"]
    return claims_of(token)


def test_the_attacks_differ_from_a_good_token_in_one_thing(
    anonymous: Registry, kept_repository: str, key: ec.EllipticCurvePrivateKey, claims: dict[str, Any]
) -> None:
    good = anonymous.with_token(signed(key, HEADER, claims))

    assert good.ask("GET", f"/v2/{kept_repository}/manifests/v1").status == 200
    assert set(claims) == {
        "iss", "aud", "sub", "exp", "nbf", "iat", "jti", "access",
        "ent_denied", "ent_public", "ent_catalog", "ent_kind", "ent_account", "ent_cred",
    }  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_token_is_401_on_every_route(
    anonymous: Registry, kept_repository: str, key: ec.EllipticCurvePrivateKey, claims: dict[str, Any], attack: str
) -> None:
    forger = anonymous.with_token(ATTACKS[attack](key, claims))

    for method, path in (
        ("GET", "/v2/"),
        ("GET", f"/v2/{kept_repository}/manifests/v1"),
        ("HEAD", f"/v2/{kept_repository}/manifests/v1"),
        ("PUT", f"/v2/{kept_repository}/manifests/v1"),
        ("POST", f"/v2/{kept_repository}/blobs/uploads/"),
        ("GET", f"/v2/{kept_repository}/tags/list"),
        ("GET", "/v2/auth"),
    ):
        assert forger.ask(method, path).status == 401, (method, path)


def test_a_token_of_64_kib_is_refused_before_it_is_read(anonymous: Registry) -> None:
    """Over the limit of the headers: the connection or a 4xx, never a 200 and never a hang."""
    huge = anonymous.with_token("x" * 65_536)

    try:
        status = huge.ask("GET", "/api/v1/whoami").status
    except OSError:
        status = 431

    assert 400 <= status < 500


def test_the_key_is_p_256_and_for_its_owner_only(place: Place, key: ec.EllipticCurvePrivateKey) -> None:
    file = place.keys / "token-signing.pem"

    assert key.curve.name == "secp256r1"
    assert key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) == file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
