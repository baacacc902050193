"""A project with stages and its people, and what they do to promote, as `/v2` and the API see it."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.real.protocol import Registry
from tests.real.server import ApiError, Credential, Server
from tests.real.small_image import push_image, tar


@dataclass(frozen=True, slots=True)
class Shop:
    """A project with its people: one who develops and pushes (as *registry* too), two admins of it."""

    server: Server
    project: str
    dev: Credential
    ann: Credential
    bob: Credential
    registry: Registry

    @property
    def web(self) -> str:
        """The repository that is pushed to."""
        return f"{self.project}/web"

    @property
    def prod(self) -> str:
        """Its copy in production, which changes by promotion only."""
        return f"{self.project}/prod/web"

    def push(self, tag: str, layer: bytes | None = None) -> str:
        """A judged image; its digest. layer: a tar; None for one that nobody else has, and that passes."""
        wanted = tar(f"{tag} {uuid.uuid4()}") if layer is None else layer
        digest = push_image(self.registry, self.web, tag, wanted)
        self.server.wait_for_scan(self.web, tag)
        return digest

    def ask(
        self,
        *references: str,
        stage: str = "production",
        who: Credential | None = None,
        query: str = "",
        tags: Sequence[str] = (),
    ) -> Any:
        """What asking for a promotion answers; tags: other names there, of each. Raises ApiError."""
        items = [{"reference": each, "tags": list(tags)} for each in references]
        body = {"repository": self.web, "stage": stage, "items": items}
        return self.server.api("POST", f"/promotions{query}", body, credential=who or self.dev)

    def decide(self, id_: str, verb: str, who: Credential, body: Any = None) -> Any:
        """What `approve`, `reject` or `withdraw` answers. Raises ApiError."""
        return self.server.api("POST", f"/promotions/{id_}/{verb}", body or {}, credential=who)

    def promoted(self, tag: str) -> str:
        """The digest of an image that went all the way."""
        digest = self.push(tag)
        self.decide(self.ask(tag)["id"], "approve", self.ann)
        return digest

    def digest(self, repository: str, reference: str) -> str:
        """What a pull of the reference is promised; empty if there is none, or it is refused."""
        return self.registry.ask("HEAD", f"/v2/{repository}/manifests/{reference}").header("Docker-Content-Digest")


def open_shop(server: Server) -> Shop:
    """A new project of *server* with people of its own."""
    project = f"p{uuid.uuid4().hex[:12]}"
    server.create_project(project)
    people = {}
    for name, role in (("dev", "developer"), ("ann", "admin"), ("bob", "admin")):
        made = server.api("POST", "/accounts", {"name": f"{name}-{uuid.uuid4().hex[:10]}"})
        people[name] = Credential(made["name"], made["password"])
        server.api("PUT", f"/projects/{project}/members/{made['name']}", {"role": role})
    token = server.api("POST", "/auth/tokens", {"name": "push"}, credential=people["dev"])["token"]
    registry = Registry(server.host).as_(Credential(people["dev"].login, token))
    return Shop(server, project, people["dev"], people["ann"], people["bob"], registry)


def refusal(call: Callable[[], Any]) -> tuple[int, str]:
    """Status and text with which the API refuses *call*; fails if it does not."""
    with pytest.raises(ApiError) as caught:
        call()
    return caught.value.status, str(caught.value.problem["detail"])
