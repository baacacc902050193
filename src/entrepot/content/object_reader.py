"""Gives stored objects to pulls: small ones from memory, others in pieces, or by a URL of the store's own."""

from contextlib import aclosing
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final

from entrepot.content.backends.object_store import ObjectBlobs
from entrepot.content.cache import ByteCache
from entrepot.content.errors import CopySuspectError
from entrepot.content.model import Content, Source
from entrepot.oci.digest import Digest

LEAST_REDIRECTED: Final = 1 << 20
"""Below it the second request costs more than the bytes."""


@dataclass(frozen=True, slots=True)
class ObjectReader:
    """Reads copies of *store*; small blobs are kept in *cache*; clients in *networks* fetch large ones themselves."""

    store: ObjectBlobs
    cache: ByteCache
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    async def look(self, key: str, size: int) -> None:
        """See BlobReader. Never answered from memory: on a HEAD's 200 a client sends nothing."""
        if await self.store.size(key) != size:
            raise CopySuspectError(key)

    async def open(self, digest: str, key: str, size: int, part: tuple[int, int] | None) -> Content:
        """See BlobReader."""
        if self.cache.takes(size):
            data, source = await self._small(digest, key, size)
            return Content(data=data if part is None else memoryview(data)[part[0] : part[1]], source=source)
        start, end = part or (0, None)
        there, pieces = await self.store.begin(key, start, end)
        if there != size:
            async with aclosing(pieces):
                raise CopySuspectError(key)
        return Content(pieces=pieces, source="object")

    async def redirect(self, key: str, size: int, client: str) -> str | None:
        """See BlobReader."""
        if size < LEAST_REDIRECTED or not self.networks:
            return None
        try:
            address = ip_address(client)
        except ValueError:
            return None
        if not any(address in network for network in self.networks):
            return None
        await self.look(key, size)
        return await self.store.link(key)

    async def _small(self, digest: str, key: str, size: int) -> tuple[bytes, Source]:
        data = self.cache.get(digest)
        if data is not None:
            return data, "memory"
        data = await self.store.get(key) if size else b""
        if not size:
            await self.look(key, size)
        wanted = Digest.parse(digest)
        if Digest.of(data, wanted.algorithm) != wanted:
            raise CopySuspectError(key)
        self.cache.put(digest, data)
        return data, "object"
