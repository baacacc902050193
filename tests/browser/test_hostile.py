"""Text that wants to be code, in every field a user can set: it runs nowhere, and breaks no page."""

import json
import uuid
from typing import Any, Final
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import PROJECT, REPOSITORY, Site, Watched, person, personal_token, push, refer, visitor
from tests.real.layout import layer_from_files, write_layout
from tests.real.protocol import Registry, basic

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
    "/repositories",
    f"/repositories/{REPOSITORY}",
    f"/projects/{PROJECT}",
    f"/projects/{PROJECT}/robots",
    f"/projects/{PROJECT}/members",
    "/jobs",
    "/audit?limit=1000",
    "/feeds",
    "/policies",
    "/promotions",
    "/settings",
)
TABS: Final = ("", "/layers", "/packages", "/findings", "/referrers", "/children", "/history")
FORMS: Final = (("/projects", "Create"), ("/promotions", "Ask"))
TYPED: Final = (
    ("/projects", "Name"),
    ("/promotions", "Repository"),
    ("/promotions", "Tag or digest"),
    ("/promotions", "Stage"),
)
FIELDS: Final = ("filter", "sort", "after", "limit", "done", "format", "next")
PLACES: Final = ("/projects/", "/why/", "/help/", "/", "/promotions/")
LISTS: Final = ("/projects", "/promotions", "/repositories", "/audit", "/jobs", f"/repositories/{REPOSITORY}")


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
    server.wait_for_scan(REPOSITORY, "foul")
    return digest


def assert_harmless(seen: Watched, path: str) -> None:
    planted = {each: seen.page.locator(each).count() for each in PLANTED}
    assert {each: count for each, count in planted.items() if count} == {}, path
    assert seen.page.locator("h1").count() == 1, path
    assert seen.page.get_by_role("main").count() == 1, path
    assert seen.faults == [], path


def armed(seen: Watched) -> list[Any]:
    """What payloads call, on every page from now on."""
    ran: list[Any] = []

    def run(what: Any) -> None:
        ran.append(what)

    seen.page.expose_function("ran", run)
    return ran


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
            asked = f"{path}?" + "&".join(f"{each}={sent}" for each in FIELDS)
            assert seen.open(asked) in {200, 422}, asked
            assert_harmless(seen, asked)
            missing = PLACES[number % len(PLACES)] + sent
            assert seen.open(missing) in {400, 404, 422}, missing
            assert_harmless(seen, missing)
        assert ran == []


def test_what_is_typed_runs_on_no_page(chromium: Browser, site: Site) -> None:
    ann = person(site.server, f"typed-{uuid.uuid4().hex[:8]}")
    site.server.api("PUT", f"/accounts/{ann.login}/roles", {"roles": ["admin"]})
    with visitor(chromium, site, ann) as seen:
        ran = armed(seen)
        for start in range(0, len(PAYLOADS), len(TYPED)):
            typed = dict(zip(TYPED, PAYLOADS[start:], strict=False))
            for path, button in FORMS:
                seen.open(path)
                for (place, label), payload in typed.items():
                    if place == path:
                        seen.page.get_by_label(label, exact=True).fill(payload.replace("\0", ""))
                # Forms help people; what they refuse is sent anyway.
                seen.page.eval_on_selector_all("form", "forms => forms.forEach(each => { each.noValidate = true; })")
                seen.page.get_by_role("button", name=button, exact=True).click()
                seen.page.wait_for_load_state()
                assert_harmless(seen, str(typed))
        assert ran == []
