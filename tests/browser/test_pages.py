"""Every page in a real browser: it opens, is accessible in both color schemes, and works without JavaScript."""

import hashlib
import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import AXE, PROJECT, REPOSITORY, Site, Watched, visitor
from tests.real.visitor import Visitor

PICTURES: Final = Path(__file__).parents[2] / "docs" / "pages"
LARGEST_PICTURE: Final = 150_000
COLOR_RULES: Final = ("color-contrast", "link-in-text-block")
"""Those of axe whose answer depends on colors."""

IN_BOTH: Final = {"home", "artifact"}
ARTIFACT: Final = f"/repositories/{REPOSITORY}/-/artifacts/DIGEST"
CHOSEN_TAGS: Final = f"/repositories/{REPOSITORY}/-/chosen?chosen=1.0&chosen=1.1&chosen=multi"
PAGES: Final = {
    "home": "/home",
    "account": "/account",
    "people": "/people",
    "person": "/people/a-developer",
    "projects": "/projects",
    "project": f"/projects/{PROJECT}",
    "project-settings": f"/projects/{PROJECT}/settings",
    "robots": f"/projects/{PROJECT}/robots",
    "members": f"/projects/{PROJECT}/members",
    "trash": f"/projects/{PROJECT}/trash",
    "trash-restore": f"/projects/{PROJECT}/trash/chosen?act=restore&chosen=DELETED",
    "trash-purge": "/trash/chosen?act=purge&chosen=DELETED&chosen=nothing",
    "trash-of-all": "/trash",
    "repositories": "/repositories",
    "repository": f"/repositories/{REPOSITORY}",
    "repository-protected": f"/repositories/{PROJECT}/prod/web",
    "tags-to-trash": f"{CHOSEN_TAGS}&act=trash",
    "tags-to-promote": f"{CHOSEN_TAGS}&act=promote-to-production",
    "tag": f"/repositories/{REPOSITORY}/-/tags/1.0",
    "artifact": ARTIFACT,
    "artifact-deletion": f"{ARTIFACT}/delete",
    "repository-deletion": f"/repositories/{REPOSITORY}/-/delete",
    "findings": f"{ARTIFACT}/findings",
    "packages": f"{ARTIFACT}/packages",
    "layers": f"{ARTIFACT}/layers",
    "children": f"/repositories/{REPOSITORY}/-/artifacts/multi/children",
    "referrers": f"{ARTIFACT}/referrers",
    "history": f"{ARTIFACT}/history",
    "difference": f"/repositories/{REPOSITORY}/-/difference?from=1.0&to=1.1&limit=15",
    "why": f"/why/{REPOSITORY}@DIGEST",
    "promotions": "/promotions",
    "promotion": "/promotions/WAITING",
    "promotion-executed": "/promotions/EXECUTED",
    "promotions-to-approve": "/promotions/chosen?act=approve&chosen=WAITING&chosen=EXECUTED",
    "promotions-to-reject": "/promotions/chosen?act=reject&chosen=WAITING",
    "policies": "/policies",
    "feeds": "/feeds",
    "jobs": "/jobs?limit=15",
    "audit": "/audit?limit=15",
    "columns": "/audit?limit=15&columns=at,actor,source_ip,id",
    "settings": "/settings?filter=name~limits&limit=15",
    "storage": "/storage",
    "help": "/help",
}
"""Every page of who is signed in, by the name of its picture."""


@pytest.fixture(scope="module")
def light(chromium: Browser, site: Site) -> Iterator[Watched]:
    with visitor(chromium, site, site.server.admin) as seen:
        yield seen


@pytest.fixture(scope="module")
def plain(chromium: Browser, site: Site) -> Iterator[Watched]:
    """A browser without JavaScript."""
    with visitor(chromium, site, site.server.admin, script=False) as seen:
        yield seen


def path_of(site: Site, name: str) -> str:
    words = {"DIGEST": site.digest, "WAITING": site.waiting, "EXECUTED": site.executed, "DELETED": site.deleted}
    path = PAGES[name]
    for word, meaning in words.items():
        path = path.replace(word, meaning)
    return path


def picture(seen: Watched, name: str) -> None:
    """What is seen, as a file of the documentation; only when it is asked for."""
    if os.environ.get("ENTREPOT_TEST_PICTURES"):
        PICTURES.mkdir(exist_ok=True)
        file = PICTURES / f"{name}.png"
        seen.page.screenshot(path=file)
        assert file.stat().st_size <= LARGEST_PICTURE


def background(seen: Watched) -> Any:
    return seen.page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_axe_is_what_its_notice_says() -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() in AXE.with_name("NOTICE").read_text()


@pytest.mark.parametrize("name", PAGES)
def test_a_page_passes_axe_in_both_color_schemes_and_asks_for_nothing_it_may_not(
    site: Site, light: Watched, name: str
) -> None:
    """The dark scheme is the same document in other colors: it is loaded once, and looked at by the rules of colors."""
    assert light.open(path_of(site, name)) == 200
    picture(light, name)
    bright = background(light)

    assert light.axe() == []
    light.page.emulate_media(color_scheme="dark")
    try:
        light.page.locator("html[data-bs-theme=dark]").wait_for(state="attached")
        assert background(light) != bright
        assert light.axe(*COLOR_RULES) == []
        picture(light, f"{name}-dark") if name in IN_BOTH else None
    finally:
        light.page.emulate_media(color_scheme="light")
    assert light.faults == []


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
        picture(seen, "sign-in" if scheme == "light" else "sign-in-dark")

        assert seen.axe() == []
        assert seen.faults == []


def test_no_link_of_a_page_leads_nowhere(site: Site) -> None:
    visitor = Visitor(site.server).sign_in()
    found: set[str] = set()
    for name in PAGES:
        path = path_of(site, name)
        hrefs = re.findall(r'<a\b[^>]*?\shref="([^"]*)"', visitor.text(path))
        found |= {urljoin(path, html.unescape(each)).partition("#")[0] for each in hrefs}

    answers = {each: visitor.get(each) for each in sorted(found) if each.startswith("/")}
    ends = {each: (answer.status, answer.headers.get("location", "")) for each, answer in answers.items()}

    # A page may send on, but not to the sign-in: that would say yes for pages that are not there.
    lost = {each for each, (status, to) in ends.items() if status not in {200, 303} or to.startswith("/sign-in")}
    assert lost == set()
    assert len(ends) > len(PAGES)


@pytest.mark.parametrize("panel", ["Columns", "Syntax"])
def test_what_opens_passes_axe_too(site: Site, light: Watched, panel: str) -> None:
    light.open(path_of(site, "repository"))
    light.page.locator("summary", has_text=panel).click()

    assert light.page.locator(".panel:visible").count() == 1
    assert light.axe() == []


def test_columns_are_chosen_and_all_rows_by_one_box(site: Site, light: Watched) -> None:
    light.open(path_of(site, "repository"))
    light.page.locator("summary", has_text="Columns").click()
    light.page.get_by_label("Column Digest").uncheck()
    light.page.get_by_role("button", name="Show these").click()
    light.page.get_by_label("Choose all").check()
    chosen = light.page.locator("input[name=chosen]:checked").count()
    light.page.get_by_role("button", name="Move to the trash").click()

    assert light.page.locator("li").filter(has_text=f"{REPOSITORY}:").count() == chosen > 1
    light.page.go_back()
    assert "columns=natural%2Cverdict" in light.page.url or "columns=verdict" in light.page.url
    assert light.page.locator("th").filter(has_text="Digest").count() == 0


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
