"""The gate belongs to the destination: each way into a stage meets the same refusal, with the same reason.

An image that passed is promoted; then an advisory comes, and it is blocked. Who asks for it to go to production is told
by the policy's reason, whatever he asks with; who goes past the gate is told that tags change by promotion only there.
"""

import html
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pytest

from tests.fakes.tars import END, member
from tests.real.cli import entrepot
from tests.real.clients import Skopeo
from tests.real.feeds import EXTRACTS, RawFeed, read_raw, write_raw
from tests.real.protocol import Answer, Registry
from tests.real.server import Server, new_server, running
from tests.real.stages import Shop, open_shop, refusal
from tests.real.visitor import Visitor

pytestmark = pytest.mark.xdist_group("ways-into-a-stage")

EXTRACT: Final = EXTRACTS / "debian-12-minbase.jsonl.zst"
BLOCKED_BY_POLICY: Final = 5
INSTALLED: Final = b"""Package: libc6
Status: install ok installed
Architecture: amd64
Source: glibc
Version: 2.36-9
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """What has happened in *shop*: `web:old` was promoted, and is blocked since; `web:new` passes.

    In production 1.0 named old first, and names new. reason: of the policy, as a pull is told; waiting: a promotion of
    old that nobody approved yet; deletion: the operation that deleted the tag `gone` of old.
    """

    shop: Shop
    old: str
    new: str
    reason: str
    waiting: str
    deletion: str

    @property
    def detour(self) -> str:
        """What who goes past the gate is told."""
        web, prod = self.shop.web, self.shop.prod
        return (
            f'{prod} is in stage "production", where tags change by promotion only: push {web}, '
            f"then: entrepot promote request {web}:TAG production"
        )

    def refused(self, said: tuple[int, str], what: str = "") -> bool:
        """Whether *said*, a status and a text, is the gate's refusal of *what* (old by its tag, if empty)."""
        return said == (403, self.text(what or f"{self.shop.web}:old"))

    def text(self, what: str) -> str:
        """The gate's refusal of *what*."""
        place = what.partition("@")[0].partition(":")[0]
        see = f"see: entrepot finding list {place}@{self.old}"
        return f'{what} may not go to stage "production": {self.reason}; {see}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(new_server(tmp_path_factory.mktemp("ways") / "server")) as started:
        yield started


@pytest.fixture(scope="module")
def scene(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    header = read_raw(EXTRACT).header
    assert header is not None
    before = RawFeed({**header, "built_at": "2025-02-11T00:00:00Z"}, [])
    server.import_feed("", write_raw(tmp_path_factory.mktemp("feed") / "before.jsonl", before))
    shop = open_shop(server)
    system = member("etc/os-release", b'ID=debian\nVERSION_ID="12"\n') + member("var/lib/dpkg/status", INSTALLED) + END
    old, new = shop.push("old", system), shop.push("new")
    for reference, tag in ((old, "1.0"), (old, "gone"), (new, "1.0")):
        shop.decide(shop.ask(reference, tags=[tag])["id"], "approve", shop.ann)
    deletion = server.api("DELETE", f"/repositories/{shop.prod}/-/artifacts/gone", credential=shop.ann)["operation"]
    waiting = shop.ask("old", tags=["late"])["id"]
    server.import_feed("", EXTRACT)
    server.wait_until("old is blocked", lambda: server.artifact(shop.web, old, "/scan")["outcome"] == "block", 30)
    viewer = Registry(server.host).as_(server.create_robot(shop.project, "reader", "viewer"))
    pulled = viewer.ask("GET", f"/v2/{shop.prod}/manifests/{old}")
    assert pulled.refusal == (403, "DENIED")
    return Scene(shop, old, new, pulled.message.rpartition("; ")[0], waiting, deletion)


@pytest.fixture(autouse=True)
def _production_stays_as_it_was(scene: Scene) -> Iterator[None]:
    yield
    tags = scene.shop.server.items(f"/repositories/{scene.shop.prod}/-/tags")

    assert [(each["name"], each["digest"], each["rev"]) for each in tags] == [("1.0", scene.new, 2)]


def said(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.message


# Those who ask


def test_the_form_of_a_page(scene: Scene) -> None:
    visitor = Visitor(scene.shop.server).sign_in(scene.shop.dev)
    answer = visitor.act("/promotions", {"repository": scene.shop.web, "reference": "old", "stage": "production"})

    assert answer.status == 403
    assert scene.text(f"{scene.shop.web}:old") in html.unescape(answer.data.decode())


def test_the_command_line(scene: Scene) -> None:
    shop = scene.shop
    command = ("promote", "request", f"{shop.web}:old", "production")
    done = entrepot(shop.server, *command, credential=shop.dev, check=False)

    assert done.returncode == BLOCKED_BY_POLICY
    assert scene.text(f"{shop.web}:old") in done.stderr


def test_the_api(scene: Scene) -> None:
    assert scene.refused(refusal(lambda: scene.shop.ask("old")))


def test_several_at_once_of_which_one_is_blocked(scene: Scene) -> None:
    assert scene.refused(refusal(lambda: scene.shop.ask("new", "old")))


def test_a_digest_instead_of_a_tag(scene: Scene) -> None:
    assert scene.refused(refusal(lambda: scene.shop.ask(scene.old)), f"{scene.shop.web}@{scene.old}")


def test_an_approval_of_what_was_asked_for_while_it_passed(scene: Scene) -> None:
    """The verdict at the moment of the move decides, not the one at that of the request."""
    assert scene.refused(refusal(lambda: scene.shop.decide(scene.waiting, "approve", scene.shop.bob)))


def test_the_page_of_a_promotion_that_was_asked_for_while_it_passed(scene: Scene) -> None:
    said = [
        html.unescape(Visitor(scene.shop.server).sign_in(who).text(f"/promotions/{scene.waiting}"))
        for who in (scene.shop.bob, scene.shop.dev)
    ]

    assert "Disabled because the verdict on old is block, which production refuses" in said[0]
    assert "lacks promotion.approve" in said[1]


def test_a_rollback(scene: Scene) -> None:
    shop = scene.shop
    path = f"/repositories/{shop.prod}/-/tags/1.0/rollback"

    assert scene.refused(refusal(lambda: shop.server.api("POST", path, credential=shop.dev)), f"{shop.prod}:1.0")


def test_an_undo_of_a_deletion(scene: Scene) -> None:
    shop = scene.shop
    path = f"/operations/{scene.deletion}/undo"

    assert scene.refused(
        refusal(lambda: shop.server.api("POST", path, credential=shop.ann)), f"{shop.prod}@{scene.old}"
    )


@pytest.mark.parametrize("by_page", [True, False])
def test_the_refusal_of_an_undo_is_on_record_about_its_repository(scene: Scene, by_page: bool) -> None:
    shop = scene.shop
    before = len(shop.server.items(f"/audit?action=access.denied&project={shop.project}"))
    if by_page:
        answer = Visitor(shop.server).sign_in(shop.ann).act(f"/projects/{shop.project}/trash/{scene.deletion}/undo")
        assert answer.status == 403
    else:
        refusal(lambda: shop.server.api("POST", f"/operations/{scene.deletion}/undo", credential=shop.ann))
    found = shop.server.items(f"/audit?action=access.denied&project={shop.project}")

    assert len(found) == before + 1
    assert (found[0]["repository"], found[0]["actor"]) == (shop.prod, shop.ann.login)


# Those who go past it


def test_a_copy_by_skopeo(scene: Scene, skopeo: Skopeo) -> None:
    shop = scene.shop
    token = shop.server.api("POST", "/auth/tokens", {"name": "copy"}, credential=shop.dev)["token"]
    client = skopeo.signed_in(shop.server.host, shop.dev.login, token)
    source, target = (f"docker://{shop.server.host}/{name}" for name in (f"{shop.web}:new", f"{shop.prod}:1.1"))
    done = client.copy(source, target, check=False)

    assert done.returncode != 0
    assert f"denied: {scene.detour}" in done.stderr.replace('\\"', '"')


def test_a_mount_and_a_manifest(scene: Scene) -> None:
    shop = scene.shop
    body = shop.registry.ask("GET", f"/v2/{shop.web}/manifests/new")
    layer = body.json["layers"][0]["digest"]
    mounted = shop.registry.ask("POST", f"/v2/{shop.prod}/blobs/uploads/?mount={layer}&from={shop.web}")
    put = shop.registry.put_manifest(shop.prod, "1.1", body.body)

    assert said(mounted) == said(put) == (403, scene.detour)


def test_a_push_of_several_tags(scene: Scene) -> None:
    shop = scene.shop
    body = shop.registry.ask("GET", f"/v2/{shop.web}/manifests/new").body
    put = shop.registry.put_manifest(shop.prod, f"{scene.new}?tag=1.0&tag=1.1", body)

    assert said(put) == (403, scene.detour)


def test_a_restore_of_what_a_tag_named(scene: Scene) -> None:
    shop = scene.shop
    path = f"/repositories/{shop.prod}/-/tags/1.0/restore"

    assert refusal(lambda: shop.server.api("POST", path, {"rev": 1}, credential=shop.dev)) == (403, scene.detour)
