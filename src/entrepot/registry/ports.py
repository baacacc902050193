"""What the registry needs from above."""

from typing import Protocol

from entrepot.access.model import Grant
from entrepot.oci.digest import Digest
from entrepot.runtime.events.model import Actor


class PullLog(Protocol):
    """Keeps a record of each pull."""

    def pulled(self, by: Actor, action: str, repository: str, reference: str, digest: str, warning: str) -> None:
        """*by* is served *digest* of *repository*, having asked for *reference*.

        action: `manifest.pulled`, `manifest.resolved` (HEAD) or `blob.pulled`. It survives a kill -9 once this
        returns. Raises StorageUnavailableError: without a record nothing is served.
        """
        ...


class Leases(Protocol):
    """Keeps links for those who are about to push a manifest that needs them."""

    async def renew(self, repo_id: int, digest: Digest) -> bool:
        """The link stays for another 24 h; False: it went a moment ago. Raises DatabaseUnavailableError."""
        ...


class Grants(Protocol):
    """Knows the roles of accounts."""

    async def grants(self, account_id: int) -> tuple[Grant, ...]:
        """The roles given to the account, at this moment."""
        ...
