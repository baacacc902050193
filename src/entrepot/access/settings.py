"""Settings of who may do what: section `access`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from entrepot.runtime.quantities import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How long rights that were checked once stay good."""

    keys: Annotated[str, "Folder of the signing keys, the same at every replica; empty: keys in the data folder."] = ""
    token_ttl: Annotated[Duration, "Lifetime of a registry token."] = timedelta(seconds=300)
    login_delay: Annotated[
        Duration, "Longest wait after wrong passwords for an account from a network; it begins at 1 s and doubles."
    ] = timedelta(seconds=900)
