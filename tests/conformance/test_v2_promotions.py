"""Promotion: a stage behind the first changes by it alone, whole or not at all, and by the verdict of the moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from tests.real.protocol import (
    OCI_INDEX,
    OCI_MANIFEST,
    Answer,
    Registry,
    descriptor,
    encoded,
    sha256,
)
from tests.real.server import Credential, Server
from tests.real.small_image import push_image, tar
from tests.real.stages import Shop, open_shop, refusal

BROKEN = b"no layer at all: what can't be read is judged an error"


@pytest.fixture
def shop(shared_server: Server) -> Shop:
    return open_shop(shared_server)


def test_a_promotion_keeps_the_digest_and_takes_referrers_along_and_no_byte_moves(shop: Shop) -> None:
    digest = shop.push("1.0")
    image = shop.registry.ask("GET", f"/v2/{shop.web}/manifests/1.0").body
    blob = shop.registry.push_blob(shop.web, b"signed")
    config = shop.registry.push_blob(shop.web, b"{}")
    signature = encoded(
        {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": "application/vnd.example.signature",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/octet-stream", "digest": blob, "size": 6}],
            "subject": descriptor(image, OCI_MANIFEST),
        }
    )
    assert shop.registry.put_manifest(shop.web, sha256(signature), signature).status == 201
    assert shop.registry.put_manifest(shop.web, f"{digest.replace(':', '-')}.sig", signature).status == 201
    before = shop.server.api("GET", "/storage")["physical"]
    waiting = shop.ask("1.0")
    done = shop.decide(waiting["id"], "approve", shop.ann)

    assert (waiting["state"], done["state"], done["target"]) == ("waiting", "executed", shop.prod)
    assert shop.digest(shop.prod, "1.0") == digest
    assert shop.registry.ask("GET", f"/v2/{shop.prod}/manifests/{digest}").body == image
    listed = shop.registry.ask("GET", f"/v2/{shop.prod}/referrers/{digest}").json["manifests"]
    assert [each["digest"] for each in listed] == [sha256(signature)]
    assert shop.digest(shop.prod, f"{digest.replace(':', '-')}.sig") == sha256(signature)
    assert shop.registry.ask("GET", f"/v2/{shop.prod}/blobs/{blob}").body == b"signed"
    assert shop.server.api("GET", "/storage")["physical"] == before


def test_an_index_goes_with_all_it_lists(shop: Shop) -> None:
    shop.push("arm")
    image = shop.registry.ask("GET", f"/v2/{shop.web}/manifests/arm").body
    index = encoded({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [descriptor(image, OCI_MANIFEST)]})
    assert shop.registry.put_manifest(shop.web, "all", index, OCI_INDEX).status == 201
    shop.server.wait_for_scan(shop.web, "all")
    shop.decide(shop.ask("all")["id"], "approve", shop.ann)

    assert shop.digest(shop.prod, "all") == sha256(index)
    assert shop.registry.ask("GET", f"/v2/{shop.prod}/manifests/{sha256(image)}").body == image


def test_what_the_verdict_blocks_is_refused_with_the_reason_and_the_next_step(shop: Shop) -> None:
    shop.push("bad", BROKEN)

    status, text = refusal(lambda: shop.ask("bad"))
    assert status == 403
    assert f'{shop.web}:bad may not go to stage "production": policy "baseline" needs a complete scan' in text
    assert f"see: entrepot finding list {shop.web}@sha256:" in text
    assert shop.registry.ask("HEAD", f"/v2/{shop.prod}/manifests/bad").status == 404


def push(shop: Shop, reference: str) -> Answer:
    body = shop.registry.ask("GET", f"/v2/{shop.web}/manifests/new").body
    return shop.registry.put_manifest(shop.prod, reference, body)


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.message


# The others, each with a test of its own: tests/integration/test_ways_into_a_stage.py.
WAYS: dict[str, Callable[[Shop], tuple[int, str]]] = {
    "manifest by tag": lambda shop: said(push(shop, "1.0")),
    "manifest by digest": lambda shop: said(push(shop, shop.digest(shop.web, "new"))),
    "upload": lambda shop: said(shop.registry.ask("POST", f"/v2/{shop.prod}/blobs/uploads/")),
    "another repository there": lambda shop: said(
        shop.registry.put_manifest(f"{shop.project}/prod/never", "1.0", b"{}")
    ),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_a_protected_stage_changes_by_promotion_only_and_each_way_says_so(shop: Shop, way: str) -> None:
    before = shop.promoted("1.0")
    shop.push("new")
    status, text = WAYS[way](shop)

    name = f"{shop.project}/never" if way == "another repository there" else shop.web
    assert status == 403
    assert 'is in stage "production", where tags change by promotion only' in text
    assert f"entrepot promote request {name}:TAG production" in text
    assert shop.digest(shop.prod, "1.0") == before


def test_who_asked_who_pushed_and_robots_never_approve(shop: Shop) -> None:
    shop.push("1.0")
    asked = shop.ask("1.0", who=shop.ann)["id"]
    robot = shop.server.create_robot(shop.project, "ci")

    assert refusal(lambda: shop.decide(asked, "approve", shop.ann)) == (
        403,
        "a promotion is approved by another person than asked for it: ask another admin of the project",
    )
    assert refusal(lambda: shop.decide(asked, "approve", shop.dev))[0] == 403  # no right to
    assert refusal(lambda: shop.decide(asked, "approve", robot))[0] == 403
    assert shop.decide(asked, "approve", shop.bob)["state"] == "executed"


def test_an_admin_who_pushed_it_does_not_approve_it(shop: Shop) -> None:
    token = shop.server.api("POST", "/auth/tokens", {"name": "push"}, credential=shop.ann)["token"]
    own = Registry(shop.server.host).as_(Credential(shop.ann.login, token))
    push_image(own, shop.web, "1.0", tar("by ann"))
    shop.server.wait_for_scan(shop.web, "1.0")
    asked = shop.ask("1.0")["id"]

    assert "you pushed what is to be promoted" in refusal(lambda: shop.decide(asked, "approve", shop.ann))[1]
    assert shop.decide(asked, "approve", shop.bob)["state"] == "executed"


def test_an_approval_is_for_the_digest_asked_for_and_is_used_up(shop: Shop) -> None:
    first = shop.push("1.0")
    asked = shop.ask("1.0")["id"]
    second = shop.push("1.0")
    shop.decide(asked, "approve", shop.ann)

    assert first != second
    assert shop.digest(shop.prod, "1.0") == first
    assert refusal(lambda: shop.decide(asked, "approve", shop.bob)) == (409, "this promotion is executed already")


def test_a_newer_request_for_the_same_tag_ends_the_older(shop: Shop) -> None:
    shop.push("1.0")
    old = shop.ask("1.0")["id"]
    shop.push("1.0")
    new = shop.ask("1.0")["id"]

    assert refusal(lambda: shop.decide(old, "approve", shop.ann)) == (409, "this promotion is superseded already")
    assert shop.decide(new, "approve", shop.ann)["state"] == "executed"


def test_several_go_all_or_none(shop: Shop) -> None:
    shop.push("1.0")
    shop.push("bad", BROKEN)

    assert refusal(lambda: shop.ask("1.0", "bad"))[0] == 403
    assert refusal(lambda: shop.ask("1.0", "1.0"))[0] == 422
    assert shop.registry.ask("HEAD", f"/v2/{shop.prod}/manifests/1.0").status == 404
    shop.push("2.0")
    shop.decide(shop.ask("1.0", "2.0")["id"], "approve", shop.ann)
    assert shop.digest(shop.prod, "1.0") != shop.digest(shop.prod, "2.0") != ""


def test_by_digest_it_goes_without_a_tag(shop: Shop) -> None:
    digest = shop.push("1.0")
    shop.decide(shop.ask(digest)["id"], "approve", shop.ann)

    assert shop.digest(shop.prod, digest) == digest
    assert shop.registry.ask("HEAD", f"/v2/{shop.prod}/manifests/1.0").status == 404


def test_a_rollback_is_a_promotion_of_what_was_there_before(shop: Shop) -> None:
    first = shop.promoted("1.0")
    second = shop.promoted("1.0")
    back = shop.server.api("POST", f"/repositories/{shop.prod}/-/tags/1.0/rollback", credential=shop.dev)
    assert (back["state"], shop.digest(shop.prod, "1.0")) == ("waiting", second)
    shop.decide(back["id"], "approve", shop.bob)

    assert shop.digest(shop.prod, "1.0") == first
    assert shop.digest(shop.prod, second) == second  # without its tag it stays
    way = shop.server.api("GET", f"/repositories/{shop.prod}/-/artifacts/{first}/stages", credential=shop.dev)["items"]
    assert [each["source"] for each in way] == [shop.prod, shop.web]


def test_there_is_nothing_to_roll_back_to_before_the_second(shop: Shop) -> None:
    shop.promoted("1.0")

    answer = refusal(
        lambda: shop.server.api("POST", f"/repositories/{shop.prod}/-/tags/1.0/rollback", credential=shop.dev)
    )
    assert answer[0] == 409
    assert "named nothing else before" in answer[1]


def test_a_locked_tag_of_the_target_is_not_moved_by_a_promotion(shop: Shop) -> None:
    first = shop.promoted("1.0")
    shop.server.api("PUT", f"/repositories/{shop.prod}/-/tags/1.0/lock", {})
    shop.push("1.0")

    assert "is locked by" in refusal(lambda: shop.ask("1.0"))[1]
    assert shop.digest(shop.prod, "1.0") == first


def test_a_rehearsal_says_the_same_and_changes_nothing(shop: Shop) -> None:
    shop.push("1.0")
    planned = shop.ask("1.0", query="?dry_run=true")

    assert (planned["state"], planned["target"]) == ("waiting", shop.prod)
    assert refusal(lambda: shop.server.api("GET", f"/promotions/{planned['id']}", credential=shop.dev))[0] == 404
    shop.push("bad", BROKEN)
    assert refusal(lambda: shop.ask("bad", query="?dry_run=true")) == refusal(lambda: shop.ask("bad"))


def test_a_stage_that_is_not_led_to_is_refused_with_those_that_are(shop: Shop) -> None:
    shop.push("1.0")

    status, text = refusal(lambda: shop.ask("1.0", stage="moon"))
    assert status == 422
    assert 'is in stage "development", which leads to: production' in text


def test_without_approvals_in_the_pipeline_a_promotion_is_executed_at_once(shop: Shop) -> None:
    digest = shop.push("1.0")
    pipeline = {
        "stages": [{"name": "dev"}, {"name": "live", "target": "live/{repository}"}],
        "moves": [{"from": "dev", "to": "live", "approvals": 0}],
    }
    shop.server.api("PUT", f"/projects/{shop.project}/pipeline", pipeline)

    assert shop.ask("1.0", stage="live")["state"] == "executed"
    assert shop.digest(f"{shop.project}/live/web", "1.0") == digest
    assert push_image(shop.registry, shop.prod, "1.0", tar("free now"))  # no stage any more


def test_racing_promotions_and_pushes_leave_the_history_of_a_tag_straight(shop: Shop) -> None:
    pipeline = {
        "stages": [{"name": "development"}, {"name": "production", "target": "prod/{repository}"}],
        "moves": [{"from": "development", "to": "production", "approvals": 0}],
    }
    shop.server.api("PUT", f"/projects/{shop.project}/pipeline", pipeline)
    digests = [shop.push(f"c{number}") for number in range(5)]

    def race(number: int) -> int:
        if number % 2:
            body = shop.registry.ask("GET", f"/v2/{shop.web}/manifests/{digests[number % 5]}").body
            return shop.registry.put_manifest(shop.web, "v", body).status
        item = {"reference": digests[number % 5], "tags": ["v"]}
        wanted = {"repository": shop.web, "stage": "production", "items": [item]}
        shop.server.api("POST", "/promotions", wanted, credential=shop.dev)
        return 201

    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(race, range(50)))
    moves = {
        repository: shop.server.items(f"/repositories/{repository}/-/tags/v/history")
        for repository in (shop.web, shop.prod)
    }

    assert set(statuses) == {201}
    for repository, history in moves.items():
        revs = [move["rev"] for move in history]
        assert revs == list(range(len(revs), 0, -1))
        assert all(one["digest"] != two["digest"] for one, two in pairwise(history))
        assert history[0]["digest"] == shop.digest(repository, "v")
