"""Links that sign a browser in once: who may make one, and what opens with it. Design: security.md, section 5."""

from urllib.parse import parse_qs, urlsplit

import urllib3

from tests.conformance.conftest import Robots, personal_token
from tests.conformance.test_v2_people import person
from tests.real.server import Credential, Server

HTTP = urllib3.PoolManager(retries=False)


def take(server: Server, url: str) -> urllib3.BaseHTTPResponse:
    """What a browser gets that presses the one button behind the link."""
    code = parse_qs(urlsplit(url).query)["code"][0]
    headers = {"Origin": server.url, "Content-Type": "application/x-www-form-urlencoded"}
    address = f"{server.url}/sign-in/link"
    return HTTP.request("POST", address, body=f"code={code}", headers=headers, redirect=False)


def cookie(answer: urllib3.BaseHTTPResponse) -> str:
    return answer.headers.get("Set-Cookie", "").partition(";")[0]


def made(server: Server, who: Credential) -> str:
    """The address of a link that *who* made."""
    return str(server.api("POST", "/sign-in-links", credential=who)["url"])


def test_a_link_opens_one_session_of_who_made_it(shared_server: Server) -> None:
    ann = person(shared_server)
    url = made(shared_server, ann)

    first, second = take(shared_server, url), take(shared_server, url)

    assert first.status == 303
    seen = HTTP.request("GET", f"{shared_server.url}/account", headers={"Cookie": cookie(first)}, redirect=False)
    assert seen.status == 200
    assert ann.login in seen.data.decode()
    assert second.status == 401
    assert not cookie(second)


def test_looking_at_a_link_does_not_use_it_up(shared_server: Server) -> None:
    url = made(shared_server, person(shared_server))

    looked = [HTTP.request("GET", url, redirect=False) for _ in range(3)]

    assert {(each.status, cookie(each)) for each in looked} == {(200, "")}
    assert take(shared_server, url).status == 303


def test_only_a_password_makes_a_link(shared_server: Server, robots: Robots) -> None:
    for who in (robots.developer, personal_token(shared_server)):
        refused = shared_server.request("POST", "/api/v1/sign-in-links", credential=who)

        assert refused.status == 403


def test_the_code_is_in_no_log(shared_server: Server) -> None:
    url = made(shared_server, person(shared_server))
    code = parse_qs(urlsplit(url).query)["code"][0]

    HTTP.request("GET", url, redirect=False)
    take(shared_server, url)
    events = shared_server.items("/audit?action=sign_in_link.created")

    assert len(code) >= 43
    assert code not in shared_server.log.read_text(errors="replace")
    assert events
    assert code not in str(events)


def test_a_link_of_a_disabled_account_opens_nothing(shared_server: Server) -> None:
    ann = person(shared_server)
    url = made(shared_server, ann)
    shared_server.api("DELETE", f"/accounts/{ann.login}")

    assert take(shared_server, url).status == 401
