"""What pages do, as a browser without scripts does it: accounts, feeds, quotas, tokens, and several things at once."""

import csv
import http.client
import io
import json
import re
import uuid
from contextlib import closing
from html import unescape
from urllib.parse import urlencode

import pytest

from tests.real.protocol import Registry
from tests.real.server import Credential, Server
from tests.real.small_image import push_image, tar
from tests.real.visitor import Visitor


@pytest.fixture
def visitor(shared_server: Server) -> Visitor:
    return Visitor(shared_server).sign_in()


@pytest.fixture
def repository(registry: Registry, project: str) -> str:
    """One with the tags 1.0, 1.1 and 1.2, each of another image that passes."""
    for tag in ("1.0", "1.1", "1.2"):
        push_image(registry, f"{project}/web", tag, tar(f"{tag} {project}"))
    return f"{project}/web"


def fresh(prefix: str) -> str:
    return f"{prefix}{uuid.uuid4().hex[:10]}"


def admin(server: Server) -> Credential:
    """A person with all rights."""
    made = server.api("POST", "/accounts", {"name": fresh("a")})
    server.api("PUT", f"/accounts/{made['name']}/roles", {"roles": ["admin"]})
    return Credential(made["name"], made["password"])


def secret(page: bytes) -> str:
    found = re.search(r'<code id="secret">([^<]+)</code>', page.decode())
    assert found is not None
    return found[1]


def tags(server: Server, repository: str) -> list[str]:
    return [row["name"] for row in server.items(f"/repositories/{repository}/-/tags")]


def send(visitor: Visitor, path: str, act: str, *keys: str, **more: str) -> tuple[int, str]:
    """Status and text of what the form of a page of several things is answered with."""
    body = [("csrf", visitor.token()), ("act", act), *(("chosen", key) for key in keys), *more.items()]
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": visitor.server.url}
    headers["Cookie"] = visitor.cookie
    url = f"{visitor.server.url}{path}"
    answer = visitor.http.request("POST", url, body=urlencode(body), headers=headers, redirect=False)
    return answer.status, answer.headers.get("location") or unescape(answer.data.decode())


# people and secrets


def test_an_account_is_made_given_a_role_helped_and_ended(visitor: Visitor) -> None:
    server, name = visitor.server, fresh("p")
    made = visitor.act("/people", {"name": name})
    first = secret(made.data)
    visitor.act(f"/people/{name}/roles", {"roles": "developer"})
    roles = server.api("GET", f"/accounts/{name}")["roles"]
    second = secret(visitor.act(f"/people/{name}/password").data)
    statuses = [Visitor(server).try_to_sign_in(Credential(name, each)).status for each in (first, second)]
    refused = visitor.act(f"/people/{name}/disable", {"name": "somebody else"})
    visitor.act(f"/people/{name}/disable", {"name": name})

    assert made.headers["Cache-Control"] == "no-store"
    assert (roles, statuses, refused.status) == (["developer"], [401, 303], 422)
    assert first not in visitor.text("/people") + visitor.text(f"/people/{name}")
    assert Visitor(server).try_to_sign_in(Credential(name, second)).status == 401
    assert "the account is disabled for good" in visitor.text(f"/people/{name}")


def test_a_personal_token_takes_the_password_again_and_is_shown_once(shared_server: Server) -> None:
    who = admin(shared_server)
    visitor = Visitor(shared_server).sign_in(who)
    wrong = visitor.act("/account/tokens", {"name": "laptop", "days": "3", "password": "wrong"})
    made = visitor.act("/account/tokens", {"name": "laptop", "days": "3", "password": who.secret})
    token = Credential(who.login, secret(made.data))
    works = shared_server.request("GET", "/api/v1/whoami", credential=token).status
    revoke = re.search(r'action="(/account/tokens/\w+/revoke)"', visitor.text("/account"))
    assert revoke is not None
    visitor.act(revoke[1])

    assert (wrong.status, works) == (401, 200)
    assert shared_server.request("GET", "/api/v1/whoami", credential=token).status == 401


def test_a_password_is_changed_by_who_knows_it(shared_server: Server) -> None:
    who, new = admin(shared_server), "a-much-better-one-2"
    visitor = Visitor(shared_server).sign_in(who)
    other = Visitor(shared_server).sign_in(who)
    statuses = [
        visitor.act("/account/password", {"old": old, "new": new, "again": again}).status
        for old, again in ((who.secret, "another"), ("wrong", new), (who.secret, new))
    ]

    assert statuses == [422, 401, 303]
    assert (visitor.get("/home").status, other.get("/home").status) == (200, 303)
    assert Visitor(shared_server).try_to_sign_in(Credential(who.login, new)).status == 303


# feeds and projects


def upload(visitor: Visitor, fields: dict[str, str], file: bytes) -> int:
    headers = {"Origin": visitor.server.url, "Cookie": visitor.cookie}
    parts: list[tuple[str, str | tuple[str, bytes, str]]] = [
        *fields.items(),
        ("file", ("feed.jsonl", file, "application/octet-stream")),
    ]
    url = f"{visitor.server.url}/feeds/import"
    return visitor.http.request("POST", url, fields=parts, headers=headers, redirect=False).status


def test_a_feed_is_uploaded_whole(visitor: Visitor) -> None:
    """It is none, so that nothing is known by it: what counts is that each byte arrives, and that the job says so."""
    source = fresh("s")
    file = b"no feed\r\n--\r\n" * 200_000
    status = upload(visitor, {"csrf": visitor.token(), "source": source}, file)
    (event,) = [
        each for each in visitor.server.items("/audit?action=feed.uploaded") if each["detail"]["source"] == source
    ]

    assert (status, event["detail"]["bytes"]) == (303, len(file))


@pytest.mark.parametrize("fields", [{"csrf": "x"}, {}])
def test_a_feed_without_the_token_of_the_session_is_not_read(visitor: Visitor, fields: dict[str, str]) -> None:
    before = len(visitor.server.items("/audit?action=feed.uploaded"))

    assert upload(visitor, fields, b"x") == 403
    assert len(visitor.server.items("/audit?action=feed.uploaded")) == before


@pytest.mark.parametrize(("is_admin", "status"), [(True, 413), (False, 403)])
def test_of_a_feed_that_is_refused_anyway_nothing_is_read(visitor: Visitor, is_admin: bool, status: int) -> None:
    """Its head alone is sent: who waited for the body would never answer."""
    server, name = visitor.server, fresh("n")
    made = server.api("POST", "/accounts", {"name": name})
    sender = visitor if is_admin else Visitor(server).sign_in(Credential(name, made["password"]))
    connection = http.client.HTTPConnection(server.host, timeout=10)
    connection.putrequest("POST", "/feeds/import")
    sent = {"Origin": server.url, "Cookie": sender.cookie, "Content-Type": "multipart/form-data; boundary=x"}
    for header, value in (*sent.items(), ("Content-Length", str(10**12))):
        connection.putheader(header, value)
    with closing(connection):
        connection.endheaders()
        answer = connection.getresponse().status

    assert answer == status


def test_an_empty_feed_is_refused(visitor: Visitor) -> None:
    assert upload(visitor, {"csrf": visitor.token()}, b"") == 422


def test_a_quota_is_set_unless_somebody_else_set_it_meanwhile(visitor: Visitor, project: str) -> None:
    page, server = f"/projects/{project}/quota", visitor.server
    statuses = [
        visitor.act(page, {"limit": limit, "before": before}).status
        for limit, before in (("10GiB", "none"), ("1GiB", "none"), ("lots", "10GiB"), ("", "10GiB"))
    ]

    assert statuses == [303, 412, 422, 303]
    assert server.api("GET", f"/projects/{project}/quota")["limit"] is None
    assert [each["detail"]["limit"] for each in server.items(f"/audit?action=quota.changed&project={project}")] == [
        None,
        10 * 2**30,
    ]


def test_approvals_of_a_move_are_set(visitor: Visitor, project: str) -> None:
    statuses = [
        visitor.act(f"/projects/{project}/approvals", {"development>production": number}).status
        for number in ("99", "00099", "0" * 5_000, "٢", "2")
    ]

    assert statuses == [422, 422, 422, 422, 303]
    assert [move["approvals"] for move in visitor.server.api("GET", f"/projects/{project}/pipeline")["moves"]] == [2]


@pytest.mark.parametrize("limit", ["0", "1001", "0000000011001", "x"])
def test_a_list_is_as_long_as_a_number_says_that_it_may_be(visitor: Visitor, limit: str) -> None:
    assert visitor.get(f"/projects?limit={limit}").status == 422


def test_a_deletion_is_planned_done_and_taken_back(visitor: Visitor, repository: str) -> None:
    server, project = visitor.server, repository.partition("/")[0]
    page = f"/repositories/{repository}/-/delete"
    plan = unescape(visitor.text(page))
    before = tags(server, repository)
    gone = visitor.act(page)
    missing = visitor.get(f"/repositories/{repository}").status
    (operation,) = server.items(f"/projects/{project}/operations")
    visitor.act(f"/trash/{operation['id']}/undo")

    assert "4 things would go" in plan
    assert f"{repository}:1.1" in plan
    assert (before, gone.status, missing) == (["1.0", "1.1", "1.2"], 303, 404)
    assert tags(server, repository) == before


def test_what_can_not_be_deleted_says_why_instead(visitor: Visitor, repository: str) -> None:
    visitor.act(f"/repositories/{repository}/-/tags/1.0/lock")
    page = unescape(visitor.text(f"/repositories/{repository}/-/delete"))

    assert "can't be deleted now" in page
    assert "locked" in page
    assert "Move to the trash</button>" not in page


# columns


@pytest.mark.parametrize("query", ["columns=rev,verdict", "columns=rev&columns=verdict"])
def test_the_columns_of_the_address_are_shown_and_exported(visitor: Visitor, repository: str, query: str) -> None:
    path = f"/repositories/{repository}?{query}"
    heads = re.findall(r'<th scope="col"[^>]*>(?:<a [^>]*>)?([^<]*)', visitor.text(path))
    as_json = json.loads(visitor.get(f"{path}&format=json").data)
    as_csv = next(csv.reader(io.StringIO(visitor.get(f"{path}&format=csv").data.decode())))

    assert [head.strip(" ↑") for head in heads if head] == ["Verdict", "Moves"]
    assert list(as_json[0]) == as_csv == ["verdict", "rev"]
    assert [row["rev"] for row in as_json] == [1, 1, 1]


def test_columns_stay_when_one_sorts_pages_filters_or_exports(visitor: Visitor, repository: str) -> None:
    page = unescape(visitor.text(f"/repositories/{repository}?columns=rev&limit=1"))
    links = re.findall(r'href="(\?[^"]*)"', page)

    assert len(links) >= 4
    assert [link for link in links if "columns=rev" not in link] == []
    assert '<input type="hidden" name="columns" value="rev">' in page


def test_a_column_that_is_not_there_is_refused_with_the_one_that_is_meant(visitor: Visitor) -> None:
    answer = visitor.get("/projects?columns=visibilityy")

    assert answer.status == 422
    assert "did you mean visibility?" in answer.data.decode()


# several at once


def test_several_tags_are_looked_at_then_deleted_then_taken_back(visitor: Visitor, repository: str) -> None:
    server, project = visitor.server, repository.partition("/")[0]
    several = f"/repositories/{repository}/-/chosen"
    visitor.act(f"/repositories/{repository}/-/tags/1.2/lock")
    page = visitor.text(f"{several}?act=trash&chosen=1.0&chosen=1.1&chosen=1.2")
    before = tags(server, repository)
    sent = re.findall(r'name="chosen" value="([^"]*)"', page)
    status, _ = send(visitor, several, "trash", *sent)
    after = tags(server, repository)
    operations = [row["id"] for row in server.items(f"/projects/{project}/operations")]
    trash = f"/projects/{project}/trash/chosen"
    plan = visitor.text(f"{trash}?act=restore&" + urlencode([("chosen", each) for each in operations]))
    send(visitor, trash, "restore", *operations)

    assert (before, sent, status, after) == (["1.0", "1.1", "1.2"], ["1.0", "1.1"], 303, ["1.2"])
    assert plan.count("comes back, with") == 2
    assert tags(server, repository) == before


def test_what_one_refuses_does_not_stop_the_others_and_is_said_and_on_record(visitor: Visitor, repository: str) -> None:
    visitor.act(f"/repositories/{repository}/-/tags/1.1/lock")
    status, text = send(visitor, f"/repositories/{repository}/-/chosen", "trash", "1.0", "1.1", "1.2")
    project = repository.partition("/")[0]
    path = f"/repositories/{repository}/-/chosen"

    assert status == 409
    assert "1 of 3 could not be done; the others are." in text
    assert tags(visitor.server, repository) == ["1.1"]
    assert next(iter(visitor.server.items("/audit?action=access.denied")))["detail"]["path"] == path
    assert len(visitor.server.items(f"/projects/{project}/operations")) == 2


def test_several_tags_are_promoted_as_one_and_several_promotions_are_decided(visitor: Visitor, repository: str) -> None:
    server = visitor.server
    for tag in ("1.0", "1.1", "1.2"):
        server.wait_for_scan(repository, tag)
    several = f"/repositories/{repository}/-/chosen"
    page = visitor.text(f"{several}?act=promote-to-production&chosen=1.0&chosen=1.1&chosen=nothing")
    sent = re.findall(r'name="chosen" value="([^"]*)"', page)
    _, one = send(visitor, several, "promote-to-production", *sent)
    _, two = send(visitor, several, "promote-to-production", "1.2")
    ids = [place.removeprefix("/promotions/").partition("?")[0] for place in (one, two)]
    own = visitor.text("/promotions/chosen?act=approve&" + urlencode([("chosen", each) for each in ids]))
    other = Visitor(server).sign_in(admin(server))
    plan = other.text("/promotions/chosen?act=approve&" + urlencode([("chosen", each) for each in ids]))
    states = [server.api("GET", f"/promotions/{each}")["state"] for each in ids]
    decided, _ = send(other, "/promotions/chosen", "approve", *ids)
    copy = repository.replace("/", "/prod/")

    assert "once it has 1 approval" in page
    assert sent == ["1.0", "1.1"]
    assert [len(server.api("GET", f"/promotions/{each}")["items"]) for each in ids] == [2, 1]
    assert 'name="chosen"' not in own
    assert plan.count("is executed: it goes to") == 2
    assert (states, decided) == (["waiting", "waiting"], 303)
    assert tags(server, copy) == ["1.0", "1.1", "1.2"]


def test_a_promotion_that_waits_on_after_an_approval_is_not_said_to_be_decided(
    visitor: Visitor, repository: str
) -> None:
    server = visitor.server
    visitor.act(f"/projects/{repository.partition('/')[0]}/approvals", {"development>production": "2"})
    server.wait_for_scan(repository, "1.0")
    _, place = send(visitor, f"/repositories/{repository}/-/chosen", "promote-to-production", "1.0")
    id_ = place.removeprefix("/promotions/").partition("?")[0]
    first, second = (
        send(Visitor(server).sign_in(admin(server)), "/promotions/chosen", "approve", id_) for _ in range(2)
    )

    assert first[0] == 200
    assert "has 1 of 2 approvals, and waits on" in first[1]
    assert "could not be done" not in first[1]
    assert second == (303, "/promotions?done=decided")
    assert server.api("GET", f"/promotions/{id_}")["state"] == "executed"


def test_a_tag_of_a_protected_stage_is_rolled_back_by_its_page(
    visitor: Visitor, registry: Registry, repository: str
) -> None:
    server, copy = visitor.server, repository.replace("/", "/prod/")
    other = Visitor(server).sign_in(admin(server))
    digests = []
    for layer in ("first", "second"):
        digests.append(push_image(registry, repository, "1.0", tar(f"{layer} {repository}")))
        server.wait_for_scan(repository, "1.0")
        _, place = send(visitor, f"/repositories/{repository}/-/chosen", "promote-to-production", "1.0")
        other.act(f"{place.partition('?')[0]}/approve")
    page = visitor.text(f"/repositories/{copy}/-/tags/1.0")
    asked = visitor.act(f"/repositories/{copy}/-/tags/1.0/roll-back").headers["location"].partition("?")[0]
    before = server.api("GET", f"/repositories/{copy}/-/tags/1.0")["digest"]
    other.act(f"{asked}/approve")

    assert "Roll back</button>" in page
    assert "which changes by promotion only" in page
    assert before == digests[1]
    assert server.api("GET", f"/repositories/{copy}/-/tags/1.0")["digest"] == digests[0]


def test_several_promotions_are_rejected_with_one_reason(visitor: Visitor, repository: str) -> None:
    server = visitor.server
    server.wait_for_scan(repository, "1.0")
    _, place = send(visitor, f"/repositories/{repository}/-/chosen", "promote-to-production", "1.0")
    id_ = place.removeprefix("/promotions/").partition("?")[0]
    statuses = [
        send(visitor, "/promotions/chosen", "reject", id_, reason=reason)[0] for reason in ("", "not now", "not now")
    ]

    assert statuses == [422, 303, 409]
    assert server.api("GET", f"/promotions/{id_}")["reason"] == "not now"


def test_a_purge_is_asked_for_by_one_admin_and_confirmed_by_another(visitor: Visitor, repository: str) -> None:
    server, project = visitor.server, repository.partition("/")[0]
    trash = f"/projects/{project}/trash/chosen"
    send(visitor, f"/repositories/{repository}/-/chosen", "trash", "1.0")
    (deleted,) = server.items(f"/projects/{project}/operations")
    asked, _ = send(visitor, trash, "purge", deleted["id"])
    (wish,) = [row for row in server.items(f"/projects/{project}/operations") if row["kind"] == "purge"]
    plan = unescape(visitor.text(f"{trash}?act=purge&chosen={wish['id']}"))
    own, text = send(visitor, trash, "purge", wish["id"])
    other = Visitor(server).sign_in(admin(server))
    others_plan = other.text(f"/trash/chosen?act=purge&chosen={wish['id']}")
    confirmed, place = send(other, "/trash/chosen", "purge", wish["id"])

    assert (asked, own, confirmed) == (303, 409, 303)
    assert "takes a second admin" in text
    assert "takes a second admin" in plan
    assert "Nothing of it can be done." in plan
    assert "is gone for good: it frees" in others_plan
    assert place == "/trash?done=purged"
    assert "gone for good" in other.text(place)
    states = {row["id"]: row["state"] for row in server.items(f"/projects/{project}/operations")}
    assert states == {deleted["id"]: "purged", wish["id"]: "purged"}


@pytest.mark.parametrize("at_once", [True, False])
def test_tags_that_name_something_else_by_now_are_said_when_their_image_is_back(
    visitor: Visitor, registry: Registry, repository: str, at_once: bool
) -> None:
    server, trash = visitor.server, f"/projects/{repository.partition('/')[0]}/trash"
    digest = server.api("GET", f"/repositories/{repository}/-/tags/1.0")["digest"]
    operation = server.api("DELETE", f"/repositories/{repository}/-/artifacts/{digest}")["operation"]
    push_image(registry, repository, "1.0", tar(f"another {repository}"))
    if at_once:
        status, text = send(visitor, f"{trash}/chosen", "restore", operation)
    else:
        answer = visitor.act(f"{trash}/{operation}/undo")
        status, text = answer.status, unescape(answer.data.decode())

    assert status == 200
    assert "1.0 names something else by now, and goes on to" in text
    assert server.artifact(repository, digest)["digest"] == digest
    assert server.api("GET", f"/repositories/{repository}/-/tags/1.0")["digest"] != digest


def test_the_trash_of_a_project_neither_names_nor_changes_what_is_in_another_s(
    visitor: Visitor, repository: str
) -> None:
    server, own = visitor.server, fresh("p")
    server.create_project(own)
    made = server.api("POST", "/accounts", {"name": fresh("o")})
    server.api("PUT", f"/projects/{own}/members/{made['name']}", {"role": "admin"})
    owner = Visitor(server).sign_in(Credential(made["name"], made["password"]))
    operation = server.api("DELETE", f"/repositories/{repository}/-/artifacts/1.0")["operation"]
    trash = f"/projects/{own}/trash"
    pages = [each.text(f"{trash}/chosen?act=restore&chosen={operation}") for each in (owner, visitor)]
    sent = [send(each, f"{trash}/chosen", "restore", operation) for each in (owner, visitor)]
    undone = [each.act(f"{trash}/{operation}/undo") for each in (owner, visitor)]
    everywhere = owner.act(f"/trash/{operation}/undo")

    assert [status for status, _ in sent] == [409, 409]
    assert [answer.status for answer in undone] == [404, 404]
    assert everywhere.status == 403
    texts = (*pages, *(text for _, text in sent), *(answer.data.decode() for answer in undone))
    assert [text for text in texts if repository in text] == []
    assert "Nothing of it can be done." in pages[0]
    assert tags(server, repository) == ["1.1", "1.2"]


@pytest.mark.parametrize(
    "path",
    [
        "/promotions/chosen?act=approve",
        "/promotions/chosen?act=nothing&chosen=x",
        "/trash/chosen?act=restore",
        "/trash/chosen?act=restore&" + "&".join(f"chosen={number}" for number in range(51)),
    ],
)
def test_nothing_and_too_much_can_not_be_chosen(visitor: Visitor, path: str) -> None:
    assert visitor.get(path).status == 422


def test_fifty_are_few_enough(visitor: Visitor, repository: str) -> None:
    path, keys = f"/repositories/{repository}/-/chosen", ["1.0", *(f"none-{number}" for number in range(50))]
    page = visitor.text(f"{path}?act=trash&" + urlencode([("chosen", each) for each in keys[:50]]))
    statuses = [send(visitor, path, "trash", *keys[:number])[0] for number in (51, 50)]

    assert page.count('<span class="badge badge-red">not</span>') == 49
    assert statuses == [422, 409]
    assert tags(visitor.server, repository) == ["1.1", "1.2"]


def test_what_one_may_not_see_has_no_name_among_what_was_chosen(
    visitor: Visitor, repository: str, shared_server: Server
) -> None:
    send(visitor, f"/repositories/{repository}/-/chosen", "trash", "1.0")
    shared_server.wait_for_scan(repository, "1.1")
    _, place = send(visitor, f"/repositories/{repository}/-/chosen", "promote-to-production", "1.1")
    id_ = place.removeprefix("/promotions/").partition("?")[0]
    made = shared_server.api("POST", "/accounts", {"name": fresh("s")})
    stranger = Visitor(shared_server).sign_in(Credential(made["name"], made["password"]))

    assert repository not in stranger.text(f"/promotions/chosen?act=approve&chosen={id_}")
    assert stranger.get("/trash/chosen?act=restore&chosen=x").status == 403
    assert stranger.get(f"/repositories/{repository}/-/chosen?act=trash&chosen=1.1").status == 404
