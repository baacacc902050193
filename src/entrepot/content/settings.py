"""Settings of the byte store: section `storage`."""

from dataclasses import dataclass
from typing import Annotated

from entrepot.runtime.secret import NOTHING, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """Where blobs are kept. The URL may hold a credential, so it is a secret as a whole."""

    url: Annotated[Secret, "Blob store URL; empty: files, folder blobs in the data folder."] = NOTHING
