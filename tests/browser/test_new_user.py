"""The way of who has read nothing: sign in, make a project, copy the command, push, see why it is refused,
promote what is fixed, with a second person."""

import re
import uuid
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.conftest import OLD, Site, image, person, visitor
from tests.real.clients import Podman


def test_a_new_user_comes_from_signing_in_to_a_promoted_image_by_what_the_pages_say(
    chromium: Browser, site: Site, podman: Podman, tmp_path: Path
) -> None:
    server, name = site.server, f"new-{uuid.uuid4().hex[:8]}"
    ann = person(server, f"ann-{name}")
    server.api("PUT", f"/accounts/{ann.login}/roles", {"roles": ["admin"]})
    with visitor(chromium, site, None) as seen:
        page = seen.page
        seen.sign_in(ann)
        page.get_by_role("link", name="Projects", exact=True).first.click()
        page.get_by_label("Name", exact=True).fill(name)
        page.get_by_role("button", name="Create").click()
        page.wait_for_url(f"**/projects/{name}*")
        command = next(each for each in page.locator("code").all_inner_texts() if each.startswith("podman push"))
        server.set_mode(name, "enforce")

        target = re.sub(r"(?<=/)[^/:]*(?::\S+)?$", "web:1.0", command.split()[-1])
        client = podman.signed_in(server.host, ann.login, ann.secret)
        loaded = client.run("pull", image(tmp_path, name, OLD).source).stdout.strip()
        client.push(loaded, target)

        # The page is open before the verdict is there, and is not loaded again.
        page.goto(f"{server.url}/repositories/{name}/web/-/artifacts/1.0")
        expect(page.locator("#verdict")).to_contain_text("block", timeout=30_000)
        reader = server.create_robot(name, "reader", "viewer")
        refused = podman.signed_in(server.host, reader.login, reader.secret).pull(target, check=False)
        link = re.search(r"https?://\S+/why/\S+", refused.stderr)

        assert refused.returncode != 0
        assert "blocked by policy" in refused.stderr
        assert link is not None, refused.stderr
        page.goto(link[0].rstrip('"'))
        expect(page.get_by_role("main")).to_contain_text("fixed in")

        fixed = client.run("pull", image(tmp_path, f"{name}-fixed", {}).source).stdout.strip()
        client.push(fixed, target.replace(":1.0", ":1.1"))
        server.wait_for_scan(f"{name}/web", "1.1")
        page.goto(f"{server.url}/promotions")
        page.get_by_label("Repository", exact=True).fill(f"{name}/web")
        page.get_by_label("Tag or digest").fill("1.1")
        page.get_by_role("button", name="Ask").click()
        page.wait_for_url("**/promotions/*")
        expect(page.get_by_role("button", name="Approve")).to_be_disabled()
        bob = person(server, f"bob-{name}")
        server.api("PUT", f"/projects/{name}/members/{bob.login}", {"role": "admin"})
        with visitor(chromium, site, bob) as second:
            second.page.goto(page.url)
            second.page.get_by_role("button", name="Approve").click()
            expect(second.page.get_by_role("heading", level=1)).to_contain_text("executed")
            assert second.faults == []
        digest = server.artifact(f"{name}/prod/web", "1.1")["digest"]

        assert digest == server.artifact(f"{name}/web", "1.1")["digest"]
        assert seen.faults == []
