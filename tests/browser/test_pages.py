"""Every page in a real browser: it opens, is accessible in both color schemes, and works without JavaScript."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import AXE, PROJECT, REPOSITORY, Site, Watched, visitor
from tests.real.visitor import Visitor

PICTURES: Final = Path(__file__).parents[2] / "docs" / "pages"
LARGEST_PICTURE: Final = 150_000
ARTIFACT: Final = f"/repositories/{REPOSITORY}/-/artifacts/DIGEST"
PAGES: Final = {
    "home": "/home",
    "account": "/account",
    "projects": "/projects",
    "project": f"/projects/{PROJECT}",
    "robots": f"/projects/{PROJECT}/robots",
    "members": f"/projects/{PROJECT}/members",
    "trash": f"/projects/{PROJECT}/trash",
    "repositories": "/repositories",
    "repository": f"/repositories/{REPOSITORY}",
    "tag": f"/repositories/{REPOSITORY}/-/tags/1.0",
    "artifact": ARTIFACT,
    "findings": f"{ARTIFACT}/findings",
    "packages": f"{ARTIFACT}/packages",
    "layers": f"{ARTIFACT}/layers",
    "children": f"/repositories/{REPOSITORY}/-/artifacts/multi/children",
    "referrers": f"{ARTIFACT}/referrers",
    "history": f"{ARTIFACT}/history",
    "difference": f"/repositories/{REPOSITORY}/-/difference?from=1.0&to=1.1",
    "why": f"/why/{REPOSITORY}@DIGEST",
    "promotions": "/promotions",
    "promotion": "/promotions/WAITING",
    "promotion-executed": "/promotions/EXECUTED",
    "policies": "/policies",
    "feeds": "/feeds",
    "jobs": "/jobs",
    "audit": "/audit",
    "settings": "/settings?filter=name~limits",
    "help": "/help",
}
"""Every page of who is signed in, by the name of its picture."""


@pytest.fixture(scope="module")
def light(chromium: Browser, site: Site) -> Iterator[Watched]:
    with visitor(chromium, site, site.server.admin) as seen:
        yield seen


@pytest.fixture(scope="module")
def dark(chromium: Browser, site: Site) -> Iterator[Watched]:
    with visitor(chromium, site, site.server.admin, scheme="dark") as seen:
        yield seen


@pytest.fixture(scope="module")
def plain(chromium: Browser, site: Site) -> Iterator[Watched]:
    """A browser without JavaScript."""
    with visitor(chromium, site, site.server.admin, script=False) as seen:
        yield seen


def path_of(site: Site, name: str) -> str:
    words = {"DIGEST": site.digest, "WAITING": site.waiting, "EXECUTED": site.executed}
    path = PAGES[name]
    for word, meaning in words.items():
        path = path.replace(word, meaning)
    return path


def background(seen: Watched) -> Any:
    return seen.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_axe_is_what_its_notice_says() -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() in AXE.with_name("NOTICE").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_passes_axe_in_both_color_schemes_and_asks_for_nothing_it_may_not(
    site: Site, light: Watched, dark: Watched, name: str
) -> None:
    for seen in (light, dark):
        assert seen.open(path_of(site, name)) == 200

        assert seen.axe() == []
        assert seen.faults == []

    assert background(light) != background(dark)
    if os.environ.get("ENTREPOT_TEST_PICTURES"):
        for scheme, seen in (("", light), ("-dark", dark)):
            if not scheme or name in {"home", "artifact"}:
                picture = PICTURES / f"{name}{scheme}.png"
                picture.parent.mkdir(exist_ok=True)
                seen.page.screenshot(path=picture)
                assert picture.stat().st_size <= LARGEST_PICTURE


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_whole_without_javascript(site: Site, plain: Watched, name: str) -> None:
    status = plain.open(path_of(site, name))

    assert status == 200
    assert plain.page.locator("h1").count() == 1
    assert plain.page.get_by_role("main").inner_text().strip()
    assert plain.page.locator("button:visible").count() >= 1  # signing out, at least
    assert plain.faults == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signing_in_passes_axe(chromium: Browser, site: Site, scheme: str) -> None:
    with visitor(chromium, site, None, scheme=scheme) as seen:
        assert seen.open("/sign-in") == 200
        seen.page.screenshot(path=PICTURES / "sign-in.png") if os.environ.get("ENTREPOT_TEST_PICTURES") else None

        assert seen.axe() == []
        assert seen.faults == []


def test_no_link_of_a_page_leads_nowhere(site: Site, light: Watched) -> None:
    found: set[str] = set()
    for name in PAGES:
        light.open(path_of(site, name))
        hrefs = light.page.eval_on_selector_all("a[href]", "links => links.map(each => each.href)")
        found |= {each.partition("#")[0] for each in hrefs if each.startswith(site.server.url)}

    statuses = {each: light.page.request.get(each).status for each in sorted(found)}

    assert {each: status for each, status in statuses.items() if status != 200} == {}
    assert len(statuses) > len(PAGES)


def test_a_keyboard_reaches_the_content_first(site: Site, light: Watched) -> None:
    light.open(path_of(site, "repository"))

    light.page.keyboard.press("Tab")
    light.page.keyboard.press("Enter")

    assert light.page.evaluate("document.activeElement.tagName") == "MAIN"


def test_a_project_is_made_filtered_and_found_without_javascript(site: Site, plain: Watched) -> None:
    plain.open("/projects")
    plain.page.get_by_label("Name", exact=True).fill("plain")
    plain.page.get_by_role("button", name="Create").click()
    plain.page.wait_for_url("**/projects/plain*")
    plain.open('/projects?filter=name="plain"')

    assert plain.page.locator("main table tbody tr").count() == 1
    assert plain.page.get_by_role("link", name="plain", exact=True).count() >= 1
    assert "plain" in {each["name"] for each in site.server.items("/projects")}


def test_who_may_look_at_one_project_sees_the_findings_of_its_images(site: Site) -> None:
    """The right to see them is one on the project: nobody needs a role on the whole site."""
    looking = Visitor(site.server).sign_in(site.viewer)
    overview = looking.text(ARTIFACT.replace("DIGEST", site.digest))
    why = looking.text(f"/why/{REPOSITORY}@{site.digest}")

    assert "All findings" in overview
    assert "CVE-2023-47038" in why.partition("Findings that break a limit")[2]
