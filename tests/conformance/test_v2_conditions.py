"""Conditional requests on manifests. Spec: RFC 9110, 13.1; design: registry.md 2.2."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.real.protocol import OCI_MANIFEST, Answer, Registry, sha256

OTHER = f"sha256:{'0' * 64}"


@pytest.fixture
def bodies(registry: Registry, repository: str) -> list[bytes]:
    """Manifests that may be pushed, each with another digest."""
    body = registry.image(repository)
    return [body + b"\n" * n for n in range(12)]


@pytest.fixture(scope="module")
def kept_body(registry: Registry, kept_project: str) -> bytes:
    """The manifest that `web` of the kept project has under v1."""
    body = registry.image(f"{kept_project}/web")
    assert put(registry, f"{kept_project}/web", "v1", body).status == 201
    return body


def put(registry: Registry, repository: str, reference: str, body: bytes, **conditions: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    return registry.ask(
        "PUT", f"/v2/{repository}/manifests/{reference}", body, {"Content-Type": OCI_MANIFEST, **headers}
    )


def named(registry: Registry, repository: str, tag: str) -> str:
    return registry.ask("HEAD", f"/v2/{repository}/manifests/{tag}").header("Docker-Content-Digest")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("listed", "status"),
    [
        ('"{0}"', 304),
        ('W/"{0}"', 304),
        ('"{1}", "{0}"', 304),
        ('"{1}",W/"x" , W/"{0}"', 304),
        ("*", 304),
        (" * ", 304),
        ('"{1}"', 200),
        ('"{0}x"', 200),
        ('"x{0}"', 200),
        ("{0}", 200),
        ('"{0}', 200),
        ('"{1}" "{0}"', 200),
        ('w/"{0}"', 200),
        ("", 200),
    ],
)
def test_who_has_it_already_gets_304(
    registry: Registry, kept_project: str, kept_body: bytes, method: str, listed: str, status: int
) -> None:
    header = {"If-None-Match": listed.format(sha256(kept_body), OTHER)}

    for reference in ("v1", sha256(kept_body)):
        answer = registry.ask(method, f"/v2/{kept_project}/web/manifests/{reference}", headers=header)
        assert answer.status == status
        assert answer.header("ETag") == f'"{sha256(kept_body)}"'
        assert answer.body == (kept_body if status == 200 and method == "GET" else b"")


def test_a_tag_that_must_be_new_is_made_once(registry: Registry, repository: str, bodies: list[bytes]) -> None:
    made = put(registry, repository, "v1", bodies[0], If_None_Match="*")
    again = put(registry, repository, "v1", bodies[1], If_None_Match="*")

    assert made.status == 201
    assert again.refusal == (412, "DENIED")
    assert sha256(bodies[0]) in again.message
    assert named(registry, repository, "v1") == sha256(bodies[0])
    assert registry.ask("GET", f"/v2/{repository}/manifests/{sha256(bodies[1])}").status == 404


def test_a_tag_moves_only_from_what_the_client_saw(registry: Registry, repository: str, bodies: list[bytes]) -> None:
    first, second, third = (sha256(body) for body in bodies[:3])
    assert put(registry, repository, "v1", bodies[0], If_Match=f'"{OTHER}"').status == 412
    put(registry, repository, "v1", bodies[0])

    moved = put(registry, repository, "v1", bodies[1], If_Match=f'"{OTHER}", "{first}"')
    late = put(registry, repository, "v1", bodies[2], If_Match=f'"{first}"')

    assert moved.status == 201
    assert late.refusal == (412, "DENIED")
    assert named(registry, repository, "v1") == second
    # A client that lost the answer repeats its request: what it asked for is so.
    assert put(registry, repository, "v1", bodies[1], If_Match=f'"{first}"').status == 201
    assert put(registry, repository, "v1", bodies[2], If_Match="*").status == 201
    assert named(registry, repository, "v1") == third


@pytest.mark.parametrize("listed", ['W/"{0}"', "{0}", '"{0}', ""])
def test_a_weak_or_broken_tag_matches_nothing(
    registry: Registry, repository: str, bodies: list[bytes], listed: str
) -> None:
    put(registry, repository, "v1", bodies[0])

    refused = put(registry, repository, "v1", bodies[1], If_Match=listed.format(sha256(bodies[0])))

    assert refused.refusal == (412, "DENIED")


def test_a_tag_that_must_be_there_and_a_digest_it_must_not_name(
    registry: Registry, repository: str, bodies: list[bytes]
) -> None:
    assert put(registry, repository, "v1", bodies[0], If_Match="*").status == 412
    put(registry, repository, "v1", bodies[0])

    assert put(registry, repository, "v1", bodies[1], If_None_Match=f'"{sha256(bodies[0])}"').status == 412
    assert put(registry, repository, "v1", bodies[1], If_None_Match=f'"{OTHER}"').status == 201


def test_conditions_speak_of_the_reference_and_not_of_the_tags_beside_it(
    registry: Registry, repository: str, bodies: list[bytes]
) -> None:
    put(registry, repository, "beside", bodies[0])
    body, digest = bodies[1], sha256(bodies[1])

    refused = put(registry, repository, f"{digest}?tag=beside", body, If_Match=f'"{OTHER}"')
    assert named(registry, repository, "beside") == sha256(bodies[0])
    taken = put(registry, repository, f"{digest}?tag=beside", body, If_None_Match="*")
    again = put(registry, repository, f"{digest}?tag=new", body, If_None_Match="*")

    assert [answer.status for answer in (refused, taken, again)] == [412, 201, 412]
    assert registry.ask("GET", f"/v2/{repository}/tags/list").json["tags"] == ["beside"]


@pytest.mark.parametrize("rule", ["new", "same"])
def test_of_many_at_once_exactly_one_wins(registry: Registry, repository: str, bodies: list[bytes], rule: str) -> None:
    """A client can keep a list under a fallback tag this way, and lose no entry to another."""
    put(registry, repository, "v1" if rule == "same" else "v0", bodies[0])
    condition = {"If_Match": f'"{sha256(bodies[0])}"'} if rule == "same" else {"If_None_Match": "*"}

    with ThreadPoolExecutor(len(bodies) - 1) as threads:
        answers = list(threads.map(lambda body: put(registry, repository, "v1", body, **condition), bodies[1:]))

    assert sorted(answer.status for answer in answers) == [201] + [412] * (len(bodies) - 2)
    (winner,) = [body for body, answer in zip(bodies[1:], answers, strict=True) if answer.status == 201]
    assert named(registry, repository, "v1") == sha256(winner)
