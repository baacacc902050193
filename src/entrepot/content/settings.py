"""Settings of the byte store: sections `storage` and `cache`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from entrepot.runtime.quantities import GIB, MIB, Bytes, Networks
from entrepot.runtime.secret import NOTHING, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where blobs are kept. The URL may hold a credential, so it is a secret as a whole."""

    url: Annotated[Secret, "Blob store URL; empty: files, folder blobs in the data folder."] = NOTHING
    redirect: Annotated[
        Networks,
        "Networks of clients that fetch blobs from 1 MiB on from the object store themselves.",
    ] = ""
    part_budget: Annotated[Bytes, "Memory of a web worker for parts on their way to an object store."] = 256 * MIB
    least_free: Annotated[Bytes, "On disks: below it nothing is pushed; the larger of this and the next."] = 2 * GIB
    least_free_percent: Annotated[int, Field(ge=0, le=99), "The same in percent of the whole disk."] = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """What a web worker keeps in memory."""

    bytes: Annotated[Bytes, "Memory of a web worker for small blobs."] = 128 * MIB
    blob_max: Annotated[Bytes, "Largest blob that is kept in memory."] = 1 * MIB
