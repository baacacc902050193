"""What clients do while the power goes: flows over the parts, each from one state of a folder to another."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeAlias

from entrepot.access.keys import HMAC_KEY, write_private
from entrepot.oci.digest import Digest
from tests.faults.client import Client, index_of, manifest_of
from tests.faults.site import PROJECT, Site, settings_of
from tests.faults.world import BLOB, KEY

Flow: TypeAlias = Callable[[Client, Site], Awaitable[None]]

BASE: Final = f"{PROJECT}/base"
NEW: Final = f"{PROJECT}/new"


def some_bytes(seed: int, size: int) -> bytes:
    """Bytes that are those of no other seed."""
    return random.Random(seed).randbytes(size)  # noqa: S311


CONFIGS: Final = tuple(some_bytes(number, 300) for number in range(3))
LAYERS: Final = tuple(some_bytes(10 + number, 9_000) for number in range(3))
IMAGES: Final = tuple(manifest_of(*pair) for pair in zip(CONFIGS, LAYERS, strict=True))
INDEX: Final = index_of(*IMAGES[:2])
LARGE: Final = some_bytes(20, 23_000)
LOOSE: Final = some_bytes(21, 2_000)


async def before_all(client: Client) -> None:
    """What every flow finds: two images under an index, a loose blob."""
    for config, layer, image in zip(CONFIGS[:2], LAYERS[:2], IMAGES[:2], strict=True):
        await client.push_blob(BASE, config)
        await client.push_blob(BASE, layer)
        await client.push_manifest(BASE, image)
    await client.push_manifest(BASE, INDEX, "all")
    await client.push_manifest(BASE, IMAGES[0], "v1")
    await client.push_manifest(BASE, IMAGES[0], "old")
    await client.push_blob(BASE, LOOSE)


async def monolithic(client: Client, _: Site) -> None:
    """Two blobs, each in one body."""
    for data in (LARGE, CONFIGS[2]):
        await client.finish(NEW, await client.begin(NEW), data, data)


async def chunked(client: Client, _: Site) -> None:
    """A blob in three chunks and a closing one; its bytes once more; one that is left open."""
    for rest in (b"", LARGE[18_000:]):
        upload = await client.begin(NEW)
        for start, end in ((0, 5_000), (5_000, 12_000), (12_000, len(LARGE) - len(rest))):
            await client.add(NEW, upload, LARGE[start:end])
        await client.finish(NEW, upload, LARGE, rest or None)
    left = await client.begin(NEW)
    await client.add(NEW, left, LARGE[:7_000])


async def cancelled(client: Client, _: Site) -> None:
    """An upload that is cancelled beside one that goes on."""
    one, other = await client.begin(NEW), await client.begin(NEW)
    await client.add(NEW, one, LARGE[:9_000])
    await client.add(NEW, other, LARGE[:9_000])
    await client.cancel(NEW, one)
    await client.finish(NEW, other, LARGE, LARGE[9_000:])


async def mounted(client: Client, _: Site) -> None:
    """Mounts beside another client's upload, and an image of what was mounted."""

    async def image() -> None:
        for data in (CONFIGS[0], LAYERS[0]):
            await client.mount(NEW, data, BASE)
            await asyncio.sleep(0)
        await client.push_manifest(NEW, IMAGES[0], "mounted")

    async def upload() -> None:
        await client.finish(NEW, await client.begin(NEW), LARGE, LARGE)

    await asyncio.gather(image(), upload())


async def manifest(client: Client, _: Site) -> None:
    """An image into a new repository: by digest, by tag, again, and an index above it."""
    for config, layer in zip(CONFIGS, LAYERS, strict=True):
        await client.push_blob(NEW, config)
        await client.push_blob(NEW, layer)
    await client.push_manifest(NEW, IMAGES[2], "v3")
    await client.push_manifest(NEW, IMAGES[2])
    await client.push_manifest(NEW, IMAGES[0])
    await client.push_manifest(NEW, IMAGES[1], "v2")
    await client.push_manifest(NEW, INDEX, "index")


async def tag_moved(client: Client, _: Site) -> None:
    """A tag goes from image to image and back; another is new."""
    await client.push_manifest(BASE, IMAGES[1], "v1")
    await client.push_manifest(BASE, IMAGES[0], "v1")
    await client.push_manifest(BASE, INDEX, "latest")
    await client.push_manifest(BASE, IMAGES[1], "v1")


async def deleted(client: Client, _: Site) -> None:
    """Tags, manifests and blobs go beside an upload; one image comes again."""

    async def delete() -> None:
        await client.delete_tag(BASE, "old")
        await client.delete_tag(BASE, "all")
        await client.delete_manifest(BASE, INDEX)
        await client.delete_manifest(BASE, IMAGES[0])
        await client.delete_blob(BASE, LAYERS[0])
        await client.delete_blob(BASE, LOOSE)
        await client.push_blob(BASE, LAYERS[0])
        await client.push_manifest(BASE, IMAGES[0], "v1")

    async def upload() -> None:
        await client.finish(BASE, await client.begin(BASE), LARGE, LARGE)

    await asyncio.gather(delete(), upload())


async def collected(client: Client, site: Site) -> None:
    """What was deleted is collected, its bytes too, while an image that shares a layer's bytes comes and goes on."""
    await client.delete_tag(BASE, "all")
    await client.delete_manifest(BASE, INDEX)
    await client.delete_manifest(BASE, IMAGES[1])
    await client.delete_blob(BASE, LOOSE)
    for data in (LAYERS[1], CONFIGS[1]):
        client.say((BLOB, BASE, str(Digest.of(data))), True, False)  # no manifest of the repository needs them now
    await site.let_days_pass(8)
    upload = await client.begin(NEW)
    await client.add(NEW, upload, LARGE[:9_000])
    await asyncio.gather(site.collect(), client.push_blob(NEW, LAYERS[1]))
    await client.push_blob(NEW, CONFIGS[1])
    await client.push_manifest(NEW, IMAGES[1], "again")
    await site.let_days_pass(2)
    await site.collect()
    await client.push_blob(BASE, LOOSE)


async def recorded(client: Client, site: Site) -> None:
    """Pulls, which are spooled, taken over, and spooled again."""
    for _ in range(4):
        await client.pull(BASE, "v1")
    await site.ingest()
    for _ in range(3):
        await client.pull(BASE, "v1")
    site.spool.rotate()
    await client.pull(BASE, "all")
    await site.ingest()
    await client.pull(BASE, "all")


async def key_replaced(client: Client, site: Site) -> None:
    """The key that secrets are hashed with is another, twice."""
    path = settings_of(site.folder).keys / HMAC_KEY
    for number in range(2):
        old, new = path.read_bytes(), some_bytes(30 + number, 32)
        client.say((KEY, HMAC_KEY, ""), old, new)
        write_private(path, new)
        client.say((KEY, HMAC_KEY, ""), new)


FLOWS: Final[Mapping[str, Flow]] = {
    "monolithic": monolithic,
    "chunked": chunked,
    "cancelled": cancelled,
    "mounted": mounted,
    "manifest": manifest,
    "tag moved": tag_moved,
    "deleted": deleted,
    "collected": collected,
    "recorded": recorded,
    "key replaced": key_replaced,
}
