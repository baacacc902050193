"""The promise of a HEAD: who may push and hears 200 has twelve hours to push the manifest that needs the blob."""

from dataclasses import dataclass

from entrepot.catalog import blobs
from entrepot.clock import Clock
from entrepot.oci.digest import Digest
from entrepot.runtime.events.model import SYSTEM
from entrepot.runtime.unit_of_work import Work


@dataclass(frozen=True, slots=True)
class RenewLease:
    """Renews leases of links. Implements `registry.ports.Leases`."""

    work: Work
    clock: Clock

    async def renew(self, repo_id: int, digest: Digest) -> bool:
        """See `registry.ports.Leases`."""
        return await self.work.run(SYSTEM, lambda unit: blobs.renew(unit, repo_id, digest, self.clock.now()))
