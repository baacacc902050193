"""Text that wants to be code, in every field a user can set: it runs nowhere, and breaks no page."""

import itertools
import json
import uuid
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import (
    PROJECT,
    REPOSITORY,
    Site,
    Watched,
    ask,
    person,
    personal_token,
    push,
    refer,
    visitor,
)
from tests.real.layout import layer_from_files, write_layout
from tests.real.protocol import Registry, basic
from tests.real.server import Credential
from tests.real.visitor import Visitor

PAYLOADS: Final = (
    "<script>ran(1)</script>",
    "<SCRIPT SRC=//127.0.0.1:1/x.js></SCRIPT>",
    "<scr<script>ipt>ran(2)</scr</script>ipt>",
    "</script><script>ran(3)</script>",
    "</title><script>ran(4)</script>",
    "</textarea><script>ran(5)</script>",
    "</style><script>ran(6)</script>",
    "</noscript><script>ran(7)</script>",
    "<img src=x onerror=ran(8)>",
    "<img/src=x/onerror=ran(9)>",
    '<img src="x" onerror="ran(10)"',
    "<svg onload=ran(11)>",
    "<svg><script>ran(12)</script></svg>",
    "<svg><animate onbegin=ran(13) attributeName=x dur=1s>",
    "<svg><a xlink:href=javascript:ran(14)><text>x</text></a></svg>",
    "<math><mi xlink:href=javascript:ran(15)>x",
    "<iframe src=javascript:ran(16)></iframe>",
    "<iframe srcdoc='<script>parent.ran(17)</script>'></iframe>",
    "<object data=javascript:ran(18)>",
    "<embed src=javascript:ran(19)>",
    "<a href=javascript:ran(20)>x</a>",
    "javascript:ran(21)",
    "JaVaScRiPt:ran(22)",
    "data:text/html,<script>ran(23)</script>",
    '" onmouseover="ran(24)',
    "' onfocus='ran(25)' autofocus='",
    '"><script>ran(26)</script>',
    "'><script>ran(27)</script>",
    "` onerror=`ran(28)",
    "<body onload=ran(29)>",
    "<base href=//127.0.0.1:1/>",
    "<meta http-equiv=refresh content='0;url=javascript:ran(30)'>",
    "<link rel=stylesheet href=//127.0.0.1:1/x.css>",
    "<style>@import '//127.0.0.1:1/x.css';</style>",
    "<form action=javascript:ran(31)><button autofocus>x</form>",
    "<details open ontoggle=ran(32)>",
    "<video><source onerror=ran(33)>",
    "<template><script>ran(34)</script></template>",
    "{{ 7 * 7 }}{% raw %}",
    "${ran(35)}#{ran(36)}<%= ran(37) %>",
    "<div hx-get=/home hx-trigger=load hx-on:load=ran(38)>",
    "<div hx-vals='js:{x: ran(39)}' hx-trigger=load hx-get=/home>",
    "<!--<img src='--><img src=x onerror=ran(40)>",
    "\u202egnp.<script>ran(41)</script>\u0000\ufeff",
)
PLANTED: Final = (
    "script:not([src])",
    "[onerror],[onload],[onclick],[onmouseover],[onfocus],[onbegin],[ontoggle]",
    "iframe,object,embed,base,math,video,template,style,main meta",
    "[href^='javascript:' i],[href^='data:text' i],[action^='javascript:' i]",
    "img[src='x'],link[href^='//'],script[src^='//']",
    "main [hx-vals],main [hx-on\\:load],main [hx-get='/home']",
)
"""What no page of ours has, and each payload wants to make."""

PAGES: Final = (
    "/home",
    "/account",
    "/people",
    "/people/a-developer",
    "/repositories",
    f"/repositories/{REPOSITORY}",
    f"/repositories/{REPOSITORY}/-/delete",
    f"/repositories/{REPOSITORY}/-/chosen?act=promote-to-production&chosen=foul",
    f"/projects/{PROJECT}",
    f"/projects/{PROJECT}/settings",
    f"/projects/{PROJECT}/robots",
    f"/projects/{PROJECT}/members",
    f"/projects/{PROJECT}/trash",
    "/trash",
    "/storage",
    "/jobs?limit=1000&columns=name,args,error,queue,id",
    "/audit?limit=1000",
    "/audit?limit=1000&columns=action,reason,source_ip,id,reference",
    "/feeds",
    "/policies",
    "/promotions",
    "/settings",
)
TABS: Final = ("", "/layers", "/packages", "/findings", "/referrers", "/children", "/history", "/delete")
FORMS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    "/projects": ("Create", ("Name",)),
    "/people": ("Create", ("Name",)),
    "/people/a-developer": ("Disable", ("Type the name to confirm",)),
    "/promotions": ("Ask", ("Repository", "Tag or digest", "Stage")),
    f"/projects/{PROJECT}/settings": ("Set the quota", ("Limit",)),
    f"/projects/{PROJECT}/robots": ("Create", ("Name",)),
    f"/projects/{PROJECT}/members": ("Give the role", ("Name of the person",)),
    "/account": ("Create a token", ("Name of a new token",)),
}
"""By page: the button of a form, and its fields that take any text. A feed's source and a reason are stored below."""

SENT: Final[dict[str, dict[str, str]]] = {
    "/projects": {"name": "never", "visibility": "private"},
    "/people": {"name": "never"},
    "/people/a-developer/roles": {"roles": "viewer"},
    "/people/a-developer/disable": {"name": "a-developer"},
    "/promotions": {"repository": REPOSITORY, "reference": "1.1", "stage": "production"},
    "/promotions/chosen": {"act": "reject", "chosen": "WISH", "reason": "not now"},
    "/trash/chosen": {"act": "restore", "chosen": "DELETED"},
    f"/projects/{PROJECT}/trash/chosen": {"act": "purge", "chosen": "DELETED"},
    f"/repositories/{REPOSITORY}/-/chosen": {"act": "trash", "chosen": "1.0"},
    f"/projects/{PROJECT}/switches": {"visibility": "private", "strict_sizes": "yes"},
    f"/projects/{PROJECT}/mode": {"mode": "enforce"},
    f"/projects/{PROJECT}/quota": {"limit": "1GiB", "before": "none"},
    f"/projects/{PROJECT}/approvals": {"development>production": "1"},
    f"/projects/{PROJECT}/robots": {"name": "never", "role": "viewer", "days": "30"},
    f"/projects/{PROJECT}/members": {"name": "a-developer", "role": "developer"},
    "/theme": {"theme": "dark", "back": "/home"},
}
"""By form: every field, also those that a browser lets nobody type into, with a good value, so that a bad one among
them comes as far as it can. Passwords are apart: wrong ones cost time.
"""

SEND: Final = """([path, fields]) => {
  const form = document.createElement("form");
  Object.assign(form, { method: "post", action: path });
  for (const [name, value] of Object.entries(fields)) {
    form.append(Object.assign(document.createElement("textarea"), { name, value }));
  }
  document.body.append(form);
  form.submit();
}"""

FIELDS: Final = ("filter", "sort", "after", "limit", "done", "format", "next", "columns", "chosen", "from", "to")
PLACES: Final = ("/projects/", "/why/", "/help/", "/", "/promotions/", "/people/")
LISTS: Final = (
    "/projects",
    "/promotions",
    "/repositories",
    "/audit",
    "/jobs",
    "/people",
    "/promotions/chosen?act=approve",
    "/trash/chosen?act=restore",
    f"/repositories/{REPOSITORY}",
    f"/repositories/{REPOSITORY}/-/chosen?act=trash",
    f"/repositories/{REPOSITORY}/-/difference",
)


@pytest.fixture(scope="module")
def fouled(site: Site, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The site with every payload wherever it was taken; the digest of an image that is full of them."""
    folder, server = tmp_path_factory.mktemp("foul"), site.server
    layers = []
    for number, payload in enumerate(PAYLOADS):
        place = f"usr/lib/python3/dist-packages/p{number}-1.dist-info/METADATA"
        metadata = f"Metadata-Version: 2.1\nName: p{number}{payload}\nVersion: 1{payload}\n"
        files = {place: metadata.encode(errors="replace"), f"srv/{number}": payload.encode(errors="replace")}
        layers.append(layer_from_files(folder / str(number), files, payload))
    digest = push(server, REPOSITORY, "foul", write_layout(folder / "foul", {"linux/amd64": layers}))
    taken = sum(refer(server, REPOSITORY, digest, payload) == 201 for payload in PAYLOADS)
    assert taken >= len(PAYLOADS) // 2
    registry = Registry(server.host).as_(personal_token(server))
    body = registry.image(REPOSITORY)
    for payload in PAYLOADS:
        agent = {"User-Agent": payload.encode("ascii", "ignore").decode().replace("\0", "")}
        named = {"authorization": basic(payload.replace(":", ""), "wrong"), **agent}
        assert server.request("GET", "/api/v1/whoami", headers=named).status == 401
        sent = json.dumps({"name": payload}).encode()
        headers = {**agent, "Content-Type": "application/json"}
        server.request("POST", "/api/v1/auth/tokens", sent, headers=headers)
        server.request("GET", f"/v2/{PROJECT}/{quote(payload)}/manifests/{quote(payload)}", headers=agent)
        registry.put_manifest(REPOSITORY, quote(payload), body)
        server.request("POST", f"/api/v1/feeds?source={quote(payload.replace(chr(0), ''))}", b"no feed")
    for reason in ("".join(PAYLOADS[::2]), "".join(PAYLOADS[1::2])):
        wish = ask(server, server.admin, "multi")
        server.api("POST", f"/promotions/{wish}/reject", {"reason": reason.replace("\0", "")[:1000]})
    server.wait_for_scan(REPOSITORY, "foul")
    return digest


def assert_harmless(seen: Watched, path: str) -> None:
    count = "all => all.map(each => [each, document.querySelectorAll(each).length])"
    counts = dict(seen.page.evaluate(count, [*PLANTED, "h1", "main"]))
    assert {each: number for each, number in counts.items() if number} == {"h1": 1, "main": 1}, path
    assert seen.faults == [], path


def armed(seen: Watched) -> list[Any]:
    """What payloads call, on every page from now on."""
    ran: list[Any] = []

    def run(what: Any) -> None:
        ran.append(what)

    seen.page.expose_function("ran", run)
    return ran


def each_field(site: Site) -> list[tuple[str, str, dict[str, str]]]:
    """Form, field, and good values of all fields, for each field there is."""
    meant = {"WISH": ask(site.server, site.server.admin, "multi"), "DELETED": site.deleted}
    return [
        (form, field, {name: meant.get(value, value) for name, value in fields.items()})
        for form, fields in SENT.items()
        for field in fields
    ]


def admin(site: Site) -> Credential:
    """Somebody with all rights, whose account may be done anything to."""
    who = person(site.server, f"typed-{uuid.uuid4().hex[:8]}")
    site.server.api("PUT", f"/accounts/{who.login}/roles", {"roles": ["admin"]})
    return who


def test_there_are_about_forty_payloads() -> None:
    assert len(set(PAYLOADS)) >= 40


def test_what_was_stored_runs_on_no_page(chromium: Browser, site: Site, fouled: str) -> None:
    artifact = f"/repositories/{REPOSITORY}/-/artifacts/{fouled}"
    difference = f"/repositories/{REPOSITORY}/-/difference?from=1.0&to=foul"
    paths = [*PAGES, *(artifact + tab for tab in TABS), f"/why/{REPOSITORY}@{fouled}", difference]
    with visitor(chromium, site, site.server.admin) as seen:
        ran = armed(seen)
        texts = ""
        for path in paths:
            assert seen.open(path) == 200, path
            assert_harmless(seen, path)
            texts += seen.page.get_by_role("main").inner_text()
        assert ran == []

    shown = [payload for payload in PAYLOADS if payload.split("\u202e")[0][:20] in texts]
    assert len(shown) > len(PAYLOADS) * 3 // 4  # they were there, as text


def test_what_is_asked_for_runs_on_no_page(chromium: Browser, site: Site) -> None:
    with visitor(chromium, site, site.server.admin) as seen:
        ran = armed(seen)
        for number, payload in enumerate(PAYLOADS):
            sent = quote(payload.replace("\0", ""))
            path = LISTS[number % len(LISTS)]
            mark = "&" if "?" in path else "?"
            asked = path + mark + "&".join(f"{each}={sent}" for each in FIELDS)
            assert seen.open(asked) in {200, 422}, asked
            assert_harmless(seen, asked)
            missing = PLACES[number % len(PLACES)] + sent
            assert seen.open(missing) in {400, 404, 422}, missing
            assert_harmless(seen, missing)
        assert ran == []


def test_what_is_typed_runs_on_no_page(chromium: Browser, site: Site) -> None:
    ann = admin(site)
    payloads = (payload.replace("\0", "") for payload in PAYLOADS)
    with visitor(chromium, site, ann) as seen:
        ran = armed(seen)
        for path, (button, labels) in FORMS.items():
            seen.open(path)
            for label in labels:
                seen.page.get_by_role("textbox", name=label, exact=True).fill(next(payloads))
            if path == "/account":
                seen.page.get_by_label("Your password", exact=True).fill(ann.secret)
            # Forms help people; what they refuse is sent anyway.
            seen.page.eval_on_selector_all("form", "forms => forms.forEach(each => { each.noValidate = true; })")
            seen.page.get_by_role("button", name=button, exact=True).click()
            seen.page.wait_for_load_state()
            assert_harmless(seen, path)
        assert ran == []


def test_what_is_sent_runs_on_no_page(chromium: Browser, site: Site) -> None:
    """The page that answers each payload, which is in one field of one form or another."""
    with visitor(chromium, site, admin(site)) as seen:
        ran = armed(seen)
        for payload, (form, field, good) in zip(PAYLOADS, itertools.cycle(each_field(site)), strict=False):
            csrf = seen.page.locator("[name=csrf]").first.input_value()
            sent = {"csrf": csrf, **good, field: payload.replace("\0", "")}
            with seen.page.expect_navigation():
                seen.page.evaluate(SEND, [form, sent])
            assert_harmless(seen, f"{form}, {field}: {payload}")
        assert ran == []


def test_no_field_of_a_form_gives_back_what_it_was_sent_as_anything_but_text(site: Site) -> None:
    """Every payload in every field, one at a time: what comes back is as text, whether it was taken or refused."""
    who = Visitor(site.server).sign_in()
    token = who.token()
    raw = [payload.replace("\0", "") for payload in PAYLOADS if set("<>\"'") & set(payload)]
    for form, field, good in each_field(site):
        for payload in raw:
            answer = who.send(form, {"csrf": token, **good, field: payload})
            assert answer.status in {303, 404, 409, 422}, (form, field, payload)
            assert payload not in answer.data.decode(), (form, field, payload)
