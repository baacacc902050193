"""What the demo's steps share: the server, who talks to it, and the two images."""

from dataclasses import dataclass, field
from typing import Final

from entrepot.cli.client import Client
from entrepot.cli.demo.build import Image
from entrepot.cli.demo.registry import Registry
from entrepot.cli.demo.server import DemoServer
from entrepot.oci.reference import Reference

PROJECT: Final = "shop"
OLD: Final = Reference("shop/web", "1.0", None)
NEW: Final = Reference("shop/web", "1.1", None)
ADMIN: Final = "admin"


@dataclass(slots=True)
class Demo:
    """What the steps share. robots: name -> login and secret."""

    server: DemoServer
    api: Client
    old: Image
    new: Image
    robots: dict[str, tuple[str, str]] = field(default_factory=dict)

    def registry(self, robot: str) -> Registry:
        """The registry as *robot* sees it."""
        return Registry(self.server.http, *self.robots[robot])
