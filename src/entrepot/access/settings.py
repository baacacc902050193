"""Settings of who may do what: section `access`."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from entrepot.runtime.quantities import Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How long rights that were checked once stay good."""

    token_ttl: Annotated[Duration, "Lifetime of a registry token."] = timedelta(seconds=300)
