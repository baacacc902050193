"""What refers to a digest: signatures, SBOMs, attestations. Spec: OCI distribution-spec, "Listing Referrers"."""

import asyncio
import re
from dataclasses import dataclass
from typing import Final

import msgspec

from entrepot.access.model import Permission, Principal
from entrepot.errors import InvalidError
from entrepot.oci.digest import Digest
from entrepot.registry.hot import Place, Referrer
from entrepot.registry.model import MAX_PAGE_BYTES, MAX_REFERRERS_PAGE, ReferrersPage
from entrepot.registry.pull import Pull

# Parsed on the event loop up to here, beyond in a thread, as with pushed manifests (push.py).
INLINE_BYTES: Final = 64 * 1024
START: Final = Place(-1, "")
CURSOR: Final = re.compile(r"([0-9]{1,18})\.([a-z0-9]+:[0-9a-f]+)\Z")


class Annotated(msgspec.Struct):
    """The part of a manifest that goes into its descriptor."""

    annotations: dict[str, str] | None = None


class Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    """A descriptor of a referrer. Spec: OCI image-spec, descriptor.md."""

    media_type: str
    digest: str
    size: int
    artifact_type: str = ""
    annotations: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ListReferrers:
    """Lists the referrers of a digest, whether it is there or not."""

    pull: Pull

    async def __call__(
        self, principal: Principal, name: str, subject: Digest, artifact_type: str, cursor: str
    ) -> ReferrersPage:
        """The referrers of *subject* in *name* behind *cursor* (of the page before; empty: from the first), as pushed.

        artifact_type: only those of it; empty: all. A repository that is not there has none.
        Raises InvalidError (a cursor that is none of ours), PermissionDeniedError.
        """
        after = _place(cursor)
        repository = await self.pull.repository(principal, Permission.REPO_PULL, name)
        if not repository.resource.id:
            return ReferrersPage((), "")
        found = await self.pull.reads.referrers(
            repository.resource.id, str(subject), artifact_type, after, MAX_REFERRERS_PAGE + 1
        )
        if sum(referrer.size for referrer in found) > INLINE_BYTES:
            return await asyncio.to_thread(page_of, found)
        return page_of(found)


def page_of(found: list[Referrer]) -> ReferrersPage:
    """As many of *found* as a page holds, at least one; and where the next begins, if there is more."""
    entries: list[bytes] = []
    left = MAX_PAGE_BYTES
    for referrer in found:
        entry = _entry(referrer)
        left -= len(entry) + 1
        if entries and (left < 0 or len(entries) == MAX_REFERRERS_PAGE):
            break
        entries.append(entry)
    if not entries or found[len(entries) - 1].more == 1:
        return ReferrersPage(tuple(entries), "")
    last = found[len(entries) - 1].place
    return ReferrersPage(tuple(entries), f"{last.at}.{last.digest}")


def _entry(referrer: Referrer) -> bytes:
    try:
        annotations = msgspec.json.decode(referrer.body, type=Annotated).annotations
    except msgspec.ValidationError:
        annotations = None  # pushed before annotations were checked, with some that are not text
    return msgspec.json.encode(
        Entry(referrer.media_type, referrer.place.digest, referrer.size, referrer.artifact_type, annotations or None)
    )


def _place(cursor: str) -> Place:
    if not cursor:
        return START
    match = CURSOR.match(cursor)
    if match is None:
        raise InvalidError("last is not the end of a page of referrers: use the Link as it was given", "last")
    return Place(int(match[1]), match[2])
