"""The pages as a browser without scripts has them: sessions, forms, headers, rights, exports. Spec: security.md, 5."""

import csv
import io
import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.real.protocol import Registry
from tests.real.server import Credential, Server, new_server, running
from tests.real.visitor import Visitor

EXTERNAL = "https://registry.example.org"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FOREIGN = (
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
)
ELSEWHERE = (
    "//evil.example",
    "/\\evil.example",
    "https://evil.example/",
    "javascript:alert(1)",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\r\nSet-Cookie: a=b",
    "evil.example",
    "///evil.example",
    "/%0d%0a/../\u2028",
    "",
)


@dataclass(frozen=True, slots=True)
class Shop:
    """A project with an image, on the shared server."""

    server: Server
    project: str
    digest: str

    @property
    def repository(self) -> str:
        return f"{self.project}/web"

    @property
    def artifact(self) -> str:
        return f"/repositories/{self.repository}/-/artifacts/{self.digest}"

    def pages(self) -> list[str]:
        """Every page that there is of it, and those of the site."""
        parts = ("findings", "packages", "layers", "children", "referrers", "history", "verdict")
        return [
            "/home",
            "/projects",
            f"/projects/{self.project}",
            f"/projects/{self.project}/settings",
            f"/projects/{self.project}/robots",
            f"/projects/{self.project}/members",
            f"/projects/{self.project}/trash",
            f"/projects/{self.project}/delete",
            "/repositories",
            f"/repositories/{self.repository}",
            f"/repositories/{self.repository}/-/tags/1.0",
            f"/repositories/{self.repository}/-/chosen?act=trash&chosen=1.0",
            f"/repositories/{self.repository}/-/delete",
            f"/repositories/{self.repository}/-/difference?from=1.0&to=1.1",
            self.artifact,
            *(f"{self.artifact}/{part}" for part in parts),
            f"{self.artifact}/delete",
            f"/why/{self.repository}@{self.digest}",
            "/promotions",
            "/policies",
            "/feeds",
            "/jobs",
            "/audit",
            "/people",
            "/people/admin",
            "/trash",
            "/storage",
            "/settings",
            "/help",
            "/help/how-to/modes.md",
            "/account",
        ]


@pytest.fixture
def visitor(shared_server: Server) -> Visitor:
    return Visitor(shared_server).sign_in()


@pytest.fixture
def shop(shared_server: Server, registry: Registry, project: str) -> Shop:
    digest = registry.push_image(f"{project}/web", "1.0")
    registry.push_image(f"{project}/web", "1.1", (b"layer", b"another"))
    return Shop(shared_server, project, digest)


@pytest.fixture
def member(shared_server: Server, project: str) -> Credential:
    """A person with the role viewer on the project."""
    name = f"v{uuid.uuid4().hex[:10]}"
    made = shared_server.api("POST", "/accounts", {"name": name})
    shared_server.api("PUT", f"/projects/{project}/members/{name}", {"role": "viewer"})
    return Credential(name, made["password"])


@pytest.fixture(scope="module")
def behind_tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that clients reach by https, through something in front."""
    folder = tmp_path_factory.mktemp("behind-tls")
    with running(new_server(folder, ENTREPOT_SERVER__EXTERNAL_URL=EXTERNAL)) as started:
        yield started


# sessions


def test_a_browser_begins_at_the_sign_in_and_then_at_home(shared_server: Server) -> None:
    stranger = Visitor(shared_server)
    before = stranger.get("/")
    stranger.sign_in()
    after = stranger.get("/")

    assert (before.status, before.headers["Location"]) == (303, "/sign-in")
    assert (after.status, after.headers["Location"]) == (303, "/home")


def test_every_page_asks_strangers_to_sign_in_and_remembers_where_they_wanted_to_go(shop: Shop) -> None:
    stranger = Visitor(shop.server)

    for page in shop.pages():
        answer = stranger.get(page)
        assert answer.status == 303, page
        assert answer.headers["Location"].startswith("/sign-in?next=/"), page


def test_where_one_wanted_to_go_one_comes_after_the_sign_in(shop: Shop) -> None:
    stranger = Visitor(shop.server)
    wanted = f"/repositories/{shop.repository}?filter=name~%221%22&sort=-rev"
    form = stranger.text(stranger.get(wanted).headers["Location"])
    kept = re.search(r'name="next" value="([^"]*)"', form)
    assert kept is not None
    answer = stranger.try_to_sign_in(shop.server.admin, next=kept[1].replace("&amp;", "&").replace("&#34;", '"'))

    assert answer.headers["Location"] == wanted
    assert stranger.get(wanted).status == 200


@pytest.mark.parametrize("target", ELSEWHERE)
def test_the_sign_in_leads_to_no_other_site(shared_server: Server, target: str) -> None:
    answer = Visitor(shared_server).try_to_sign_in(shared_server.admin, next=target)

    assert (answer.status, answer.headers["Location"]) == (303, "/")


def test_the_cookie_is_for_the_server_alone(shared_server: Server) -> None:
    answer = Visitor(shared_server).try_to_sign_in(shared_server.admin)

    name, _, flags = answer.headers["Set-Cookie"].partition("=")
    assert name == "entrepot"
    assert {flag.strip().lower() for flag in flags.split(";")[1:]} == {"httponly", "path=/", "samesite=lax"}


def test_by_https_the_cookie_has_the_prefix_that_browsers_enforce(behind_tls: Server) -> None:
    visitor = Visitor(behind_tls, origin=EXTERNAL)
    answer = visitor.try_to_sign_in(behind_tls.admin)

    name, _, flags = answer.headers["Set-Cookie"].partition("=")
    assert name == "__Host-entrepot"
    assert {flag.strip().lower() for flag in flags.split(";")[1:]} == {"httponly", "path=/", "samesite=lax", "secure"}
    assert "max-age=31536000" in answer.headers["Strict-Transport-Security"]
    assert visitor.get("/home").status == 200


def test_by_https_a_cookie_without_the_prefix_opens_nothing(behind_tls: Server) -> None:
    visitor = Visitor(behind_tls, origin=EXTERNAL).sign_in()
    visitor.cookie = visitor.cookie.replace("__Host-entrepot", "entrepot")

    assert visitor.get("/home").status == 303


def test_a_session_ends_at_the_sign_out_in_every_copy_of_its_cookie(shared_server: Server) -> None:
    visitor = Visitor(shared_server).sign_in()
    copy = Visitor(shared_server, cookie=visitor.cookie)
    assert copy.get("/home").status == 200
    answer = visitor.act("/sign-out")

    assert (answer.status, visitor.cookie) == (303, "")
    assert copy.get("/home").headers["Location"] == "/sign-in?next=/home"


def test_each_sign_in_is_a_new_session_and_ends_the_one_before_in_that_browser(shared_server: Server) -> None:
    visitor = Visitor(shared_server).sign_in()
    before = Visitor(shared_server, cookie=visitor.cookie)
    visitor.sign_in()

    assert visitor.cookie != before.cookie
    assert (visitor.get("/home").status, before.get("/home").status) == (200, 303)


def test_a_session_can_be_ended_from_another_one(shared_server: Server) -> None:
    first, second = Visitor(shared_server).sign_in(), Visitor(shared_server).sign_in()
    rows = json.loads(first.get("/account?format=json&limit=1000").data)
    found = re.findall(r'action="(/account/sessions/\w+/end)"', first.text("/account?limit=1000&sort=-created_at"))
    answer = first.act(found[0])

    assert len(rows) >= 2
    assert answer.headers["Location"] == "/account?done=removed"
    assert (first.get("/home").status, second.get("/home").status) == (200, 303)


def test_another_ones_session_is_not_there_to_be_ended(shared_server: Server, member: Credential) -> None:
    admin, viewer = Visitor(shared_server).sign_in(), Visitor(shared_server).sign_in(member)
    own = re.search(r'action="(/account/sessions/\w+/end)"', viewer.text("/account"))
    assert own is not None

    assert admin.act(own[1]).status == 404
    assert viewer.get("/home").status == 200


def test_a_wrong_password_opens_nothing_and_says_no_more_than_that(shared_server: Server) -> None:
    answers = [
        Visitor(shared_server).try_to_sign_in(who)
        for who in (Credential("admin", "wrong"), Credential("nobody", "wrong"))
    ]

    texts = [re.search(r'id="fault">([^<]*)<', answer.data.decode()) for answer in answers]
    assert [answer.status for answer in answers] == [401, 401]
    assert all(text is not None and text[1] == "name and secret do not belong together" for text in texts)


def test_neither_a_robot_nor_a_personal_token_signs_in(shared_server: Server, project: str, admin: Credential) -> None:
    robot = shared_server.create_robot(project, "ci")

    for who in (robot, admin):
        answer = Visitor(shared_server).try_to_sign_in(who)
        assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)


def test_who_is_disabled_is_out_at_once(shared_server: Server, member: Credential) -> None:
    viewer = Visitor(shared_server).sign_in(member)
    assert viewer.get("/home").status == 200
    shared_server.request("DELETE", f"/api/v1/accounts/{member.login}", headers={"If-Match": "*"})

    assert viewer.get("/home").status == 303


def test_a_right_that_is_taken_away_is_gone_in_the_open_session(shop: Shop, member: Credential) -> None:
    viewer = Visitor(shop.server).sign_in(member)
    assert viewer.get(f"/projects/{shop.project}").status == 200
    shop.server.request("DELETE", f"/api/v1/projects/{shop.project}/members/{member.login}", headers={"If-Match": "*"})

    assert viewer.get(f"/projects/{shop.project}").status == 404
    assert viewer.get(shop.artifact).status == 404


def test_a_sign_in_link_waits_for_the_button_and_opens_once(shared_server: Server) -> None:
    link = shared_server.api("POST", "/sign-in-links")["url"]
    path = link.removeprefix(shared_server.url)
    visitor, other = Visitor(shared_server), Visitor(shared_server)
    previews = [visitor.get(path).status for _ in range(3)]
    code = re.search(r'name="code" value="(\w+)"', visitor.text(path))
    assert code is not None
    first = visitor.send("/sign-in/link", {"code": code[1]})
    second = other.send("/sign-in/link", {"code": code[1]})

    assert previews == [200, 200, 200]
    assert (first.status, visitor.get("/home").status) == (303, 200)
    assert (second.status, other.get("/home").status) == (401, 303)


# forms


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda each: "-".join(f"{k}:{v}" for k, v in each.items()))
def test_a_form_of_another_site_changes_nothing(visitor: Visitor, headers: dict[str, str]) -> None:
    name = f"f{uuid.uuid4().hex[:10]}"
    fields = {"csrf": visitor.token(), "name": name, "visibility": "private"}
    answer = visitor.send("/projects", fields, **headers)

    assert answer.status == 403
    assert visitor.get(f"/projects/{name}").status == 404


@pytest.mark.parametrize("headers", FOREIGN, ids=lambda each: "-".join(f"{k}:{v}" for k, v in each.items()))
def test_nobody_is_signed_in_by_another_site(shared_server: Server, headers: dict[str, str]) -> None:
    who = shared_server.admin
    answer = Visitor(shared_server).send("/sign-in", {"name": who.login, "password": who.secret}, **headers)

    assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("token", [None, "", "x" * 43, "another"])
def test_a_form_without_the_token_of_its_session_changes_nothing(
    shared_server: Server, visitor: Visitor, token: str | None
) -> None:
    name = f"f{uuid.uuid4().hex[:10]}"
    token = Visitor(shared_server).sign_in().token() if token == "another" else token
    fields = {"name": name, "visibility": "private"} | ({} if token is None else {"csrf": token})
    answer = visitor.send("/projects", fields)

    assert answer.status == 403
    assert visitor.get(f"/projects/{name}").status == 404


def test_every_form_that_changes_something_needs_the_token(shop: Shop, visitor: Visitor) -> None:
    tag = f"/repositories/{shop.repository}/-/tags/1.0"
    project = f"/projects/{shop.project}"
    targets = (
        "/sign-out",
        "/projects",
        f"{project}/switches",
        f"{project}/mode",
        f"{project}/robots",
        f"{project}/robots/ci/delete",
        f"{project}/members",
        f"{project}/members/admin/remove",
        f"{project}/trash/x/undo",
        f"{project}/trash/chosen",
        f"{project}/quota",
        f"{project}/approvals",
        f"{project}/delete",
        "/trash/chosen",
        "/storage/check",
        "/storage/collect",
        "/promotions/chosen",
        "/people",
        "/people/admin/roles",
        "/people/admin/password",
        "/people/admin/disable",
        "/account/tokens",
        "/account/tokens/x/revoke",
        "/account/password",
        f"/repositories/{shop.repository}/-/chosen",
        f"/repositories/{shop.repository}/-/delete",
        f"{shop.artifact}/delete",
        f"{tag}/roll-back",
        f"{tag}/lock",
        f"{tag}/unlock",
        f"{tag}/delete",
        f"{tag}/restore/1",
        "/account/sessions/x/end",
    )

    assert {target: visitor.send(target, {}).status for target in targets} == dict.fromkeys(targets, 403)
    assert visitor.get("/home").status == 200


def test_no_page_changes_anything_by_get(shop: Shop, visitor: Visitor) -> None:
    for target in ("/sign-out", f"/projects/{shop.project}/mode", f"/repositories/{shop.repository}/-/tags/1.0/delete"):
        assert visitor.get(target).status in {404, 405}, target


@pytest.mark.parametrize("body", [b"\xff\xfe", b"&".join(b"a=b" for _ in range(200)), b"name=%00&csrf=x"])
def test_a_form_that_cannot_be_read_is_refused(visitor: Visitor, body: bytes) -> None:
    answer = visitor.http.request(
        "POST",
        f"{visitor.server.url}/projects",
        body=body,
        headers={"Origin": visitor.server.url, "Cookie": visitor.cookie},
        redirect=False,
    )

    assert answer.status == 422


# what pages do


def test_a_project_is_made_switched_and_put_into_a_mode(visitor: Visitor) -> None:
    name = f"m{uuid.uuid4().hex[:10]}"
    made = visitor.act("/projects", {"name": name, "visibility": "private"})
    again = visitor.act("/projects", {"name": name, "visibility": "private"})
    visitor.act(f"/projects/{name}/switches", {"visibility": "public"})
    visitor.act(f"/projects/{name}/mode", {"mode": "enforce"})
    seen = visitor.server.api("GET", f"/projects/{name}")

    assert made.headers["Location"] == f"/projects/{name}?done=created"
    assert "It is there now." in visitor.text(made.headers["Location"])
    assert (again.status, "is there already" in again.data.decode()) == (409, True)
    assert (seen["visibility"], seen["strict_sizes"]) == ("public", False)
    assert visitor.server.api("GET", f"/projects/{name}/policy")["wanted"] in {"enforce", None}


def test_a_robot_is_made_shown_once_and_ended(visitor: Visitor, project: str) -> None:
    fields = {"name": "ci", "role": "developer", "days": "30"}
    made = visitor.act(f"/projects/{project}/robots", fields)
    secret = re.search(r"ent_rbt_\w+", made.data.decode())
    assert secret is not None
    robot = Credential(f"{project}+ci", secret[0])
    works = visitor.server.request("GET", "/api/v1/whoami", credential=robot).status
    visitor.act(f"/projects/{project}/robots/ci/delete")

    assert made.headers["Cache-Control"] == "no-store"
    assert works == 200
    assert secret[0] not in visitor.text(f"/projects/{project}/robots")
    assert visitor.server.request("GET", "/api/v1/whoami", credential=robot).status == 401


def test_no_robot_is_made_an_admin(visitor: Visitor, project: str) -> None:
    answer = visitor.act(f"/projects/{project}/robots", {"name": "ci", "role": "admin", "days": "30"})

    assert answer.status == 422
    assert visitor.server.items(f"/projects/{project}/robots") == []


def test_a_tag_is_moved_back_locked_deleted_and_taken_back(shop: Shop, visitor: Visitor, registry: Registry) -> None:
    moved = registry.push_image(shop.repository, "1.0", (b"something else",))
    tag = f"/repositories/{shop.repository}/-/tags/1.0"

    def named() -> str:
        return str(shop.server.api("GET", tag)["digest"])

    assert named() == moved
    visitor.act(f"{tag}/restore/1")
    assert named() == shop.digest
    visitor.act(f"{tag}/lock")
    assert visitor.act(f"{tag}/delete").status == 403
    assert "Disabled because admin has locked it" in visitor.text(tag)
    visitor.act(f"{tag}/unlock")
    gone = visitor.act(f"{tag}/delete")
    trash = visitor.text(gone.headers["Location"])
    undo = re.search(rf'action="(/projects/{shop.project}/trash/\w+/undo)"', trash)
    assert undo is not None
    visitor.act(undo[1])
    assert named() == shop.digest


def test_the_tag_view_counts_as_people_do_and_names_tags_of_the_same_image(
    shop: Shop, visitor: Visitor, registry: Registry
) -> None:
    registry.push_image(shop.repository, "1.10")
    registry.push_image(shop.repository, "1.9")
    rows = json.loads(visitor.get(f"/repositories/{shop.repository}?format=json").data)

    assert [row["natural"] for row in rows] == ["1.0", "1.1", "1.9", "1.10"]
    assert rows[0]["same"] == "1.9, 1.10"
    assert [row["digest"] == shop.digest for row in rows] == [True, False, True, True]


def test_a_page_hides_no_action_but_says_why_it_is_refused(shop: Shop, member: Credential) -> None:
    viewer = Visitor(shop.server).sign_in(member)
    project = viewer.text(f"/projects/{shop.project}/settings")
    tag = viewer.text(f"/repositories/{shop.repository}/-/tags/1.0")

    assert f"Disabled because person &#34;{member.login}&#34; lacks project.edit on {shop.project}" in project
    assert f"lacks tag.lock on {shop.repository}" in tag
    assert viewer.act(f"/projects/{shop.project}/switches", {"visibility": "public"}).status == 403
    assert viewer.act(f"/repositories/{shop.repository}/-/tags/1.0/lock").status == 403
    assert "lacks system.read" in viewer.text("/home")
    assert [viewer.get(page).status for page in ("/jobs", "/audit", "/settings", "/feeds")] == [403] * 4


def test_a_stranger_to_a_project_sees_nothing_of_it(shop: Shop, shared_server: Server) -> None:
    name = f"s{uuid.uuid4().hex[:10]}"
    made = shared_server.api("POST", "/accounts", {"name": name})
    stranger = Visitor(shared_server).sign_in(Credential(name, made["password"]))
    own = [page for page in shop.pages() if shop.project in page]
    twins = [page.replace(shop.project, "nothing-there").replace(shop.digest, f"sha256:{'0' * 64}") for page in own]

    for page, twin in zip(own, twins, strict=True):
        assert stranger.get(page).status == stranger.get(twin).status == 404, page
    for listing in ("/projects", "/repositories", "/policies", "/home"):
        assert shop.project not in stranger.text(listing)


def test_a_refusal_is_a_page_with_reason_and_remedy_and_on_record(shop: Shop, member: Credential) -> None:
    viewer = Visitor(shop.server).sign_in(member)
    page = viewer.text("/audit", 403)
    events = shop.server.items(f"/audit?action=access.denied&actor={member.login}")

    assert "lacks audit.read on this site" in page
    assert "What to do" in page
    assert [event["detail"]["path"] for event in events] == ["/audit"]


# lists


@pytest.mark.parametrize("listing", ["tags", "findings", "audit", "projects", "settings", "jobs"])
def test_an_export_has_exactly_the_rows_that_are_shown(shop: Shop, visitor: Visitor, listing: str) -> None:
    paths = {
        "tags": f"/repositories/{shop.repository}?filter=name!=1.1",
        "findings": f"{shop.artifact}/findings?limit=3",
        "audit": f"/audit?filter=project={shop.project}&limit=4",
        "projects": f"/projects?filter=name={shop.project}",
        "settings": "/settings?filter=name~server&sort=-name&limit=5",
        "jobs": "/jobs?limit=7",
    }
    page = visitor.text(paths[listing])
    shown = page.count("<tr>") - 1 if "<table" in page else 0
    as_json = json.loads(visitor.get(f"{paths[listing]}&format=json").data)
    as_csv = list(csv.reader(io.StringIO(visitor.get(f"{paths[listing]}&format=csv").data.decode())))

    assert len(as_json) == len(as_csv) - 1 == shown
    assert listing == "findings" or shown > 0
    assert all(list(row) == as_csv[0] for row in as_json)


def test_pages_of_a_list_follow_one_another_without_gap_or_repetition(visitor: Visitor) -> None:
    names: list[str] = []
    path = "/settings?limit=7"
    while path:
        page = visitor.text(path)
        names += [row["name"] for row in json.loads(visitor.get(f"{path}&format=json").data)]
        following = re.search(r'href="(\?[^"]*)">Next page', page)
        path = f"/settings{following[1].replace('&amp;', '&')}" if following else ""

    whole = json.loads(visitor.get("/settings?limit=1000&format=json").data)
    assert names == [row["name"] for row in whole]
    assert len(names) > 21


@pytest.mark.parametrize("query", ["filter=nmae~x", "filter=name", "sort=-nothing", "after=!!!"])
def test_a_filter_that_cannot_be_read_is_said_on_the_page(visitor: Visitor, query: str) -> None:
    answer = visitor.get(f"/projects?{query}")

    assert answer.status == 422
    assert "This filter can't be read: " in answer.data.decode()
    assert visitor.get(f"/projects?{query}&format=json").status == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "format=xml", "filter=%00", f"sort={'x' * 999}"])
def test_what_no_list_can_be_asked_is_refused(visitor: Visitor, query: str) -> None:
    assert visitor.get(f"/projects?{query}").status == 422


def test_no_cell_of_a_csv_is_a_formula(shared_server: Server) -> None:
    formula = "=HYPERLINK(1)"
    visitor, who = Visitor(shared_server), shared_server.admin
    visitor.send("/sign-in", {"name": who.login, "password": who.secret}, **{"User-Agent": formula})
    rows = list(csv.reader(io.StringIO(visitor.get("/account?format=csv&limit=1000").data.decode())))

    assert f"'{formula}" in [row[0] for row in rows]
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@"))]


# every answer


def test_every_answer_has_the_headers_that_keep_scripts_out(shop: Shop, visitor: Visitor) -> None:
    others = ["/", "/sign-in", "/sign-in/link?code=x", "/nothing", "/projects/nothing", "/static/theme.js", "/static/x"]
    stranger = Visitor(shop.server)
    answers = {page: visitor.get(page) for page in [*shop.pages(), *others]}
    answers |= {f"stranger {page}": stranger.get(page) for page in ("/home", "/sign-in", "/nothing")}
    answers["post"] = visitor.send("/projects", {})

    for page, answer in answers.items():
        assert answer.status < 500, page
        assert answer.headers["Content-Security-Policy"] == POLICY, page
        assert answer.headers["X-Content-Type-Options"] == "nosniff", page
        assert answer.headers["Referrer-Policy"] == "same-origin", page
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin", page
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", page
        assert "Access-Control-Allow-Origin" not in answer.headers, page
        assert "Cache-Control" in answer.headers, page
        assert page.startswith("/static/t") or answer.headers["Cache-Control"] == "no-store", page


def test_no_page_has_a_script_or_style_of_its_own(shop: Shop, visitor: Visitor) -> None:
    for page in [*shop.pages(), "/sign-in", "/nothing"]:
        text = visitor.get(page).data.decode()
        assert not re.findall(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=|javascript:", text), page


def test_every_page_has_a_title_one_heading_landmarks_and_a_skip_link(shop: Shop, visitor: Visitor) -> None:
    titles = {}
    for page in [*(each for each in shop.pages() if not each.endswith("/verdict")), "/sign-in", "/nothing"]:
        text = visitor.get(page).data.decode()
        title = re.search(r"<title>(.+) · Entrepot</title>", text)
        assert title is not None, page
        assert text.count("<h1") == 1, page
        assert text.count("<main") == text.count("<header") == 1, page
        assert '<a class="skip-link" href="#content">' in text, page
        titles[page] = title[1]
    assert "children" not in titles[shop.artifact]
    assert len(set(titles.values())) >= len(titles) - 1


def test_a_file_is_kept_for_a_year_only_at_the_address_of_its_content(visitor: Visitor) -> None:
    address = re.search(r'src="(/static/theme\.js\?v=\w+)"', visitor.text("/home"))
    assert address is not None
    right, wrong, none = (visitor.get(path) for path in (address[1], "/static/theme.js?v=0", "/static/theme.js"))
    packed = visitor.get(address[1], **{"Accept-Encoding": "gzip"})
    again = visitor.get(address[1], **{"If-None-Match": right.headers["ETag"]})

    assert right.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert wrong.headers["Cache-Control"] == none.headers["Cache-Control"] == "no-cache"
    assert (packed.headers["Content-Encoding"], packed.data) == ("gzip", right.data)
    assert (again.status, again.data) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/manifest.json", "/help/../pyproject.toml"]
)
@pytest.mark.parametrize("name", ["", "%00"])
def test_only_what_is_meant_to_be_seen_is_served(visitor: Visitor, path: str, name: str) -> None:
    assert visitor.get(path + name).status == 404


def test_the_choice_of_colors_works_without_scripts(shared_server: Server) -> None:
    stranger = Visitor(shared_server)
    answer = stranger.send("/theme", {"theme": "dark", "back": "/sign-in"})
    chosen = answer.headers["Set-Cookie"].partition(";")[0]
    page = stranger.get("/sign-in", Cookie=chosen).data.decode()

    assert (answer.status, answer.headers["Location"]) == (303, "/sign-in")
    assert '<html lang="en" data-bs-theme="dark" data-chosen="yes">' in page
    assert 'data-bs-theme="light">' in stranger.get("/sign-in").data.decode()
    assert 'data-bs-theme="light">' in stranger.get("/sign-in", Cookie='theme="><script>').data.decode()


def test_asking_for_a_verdict_again_and_again_is_no_use_of_the_session(shop: Shop, visitor: Visitor) -> None:
    text = visitor.text(f"{shop.artifact}/verdict")

    assert "<html" not in text
    assert 'id="verdict"' in text


def test_every_page_of_help_is_shown_and_every_folder_lists_its_pages(visitor: Visitor) -> None:
    start = visitor.text("/help")
    pages = sorted(set(re.findall(r'href="(/help/[^"#]+)', start)))

    assert len(pages) > 10
    assert [page for page in pages if visitor.get(page).status != 200] == []
    assert "/help/adr/0001-record-decisions.md" in visitor.text("/help/adr")
