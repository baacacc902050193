"""Settings of the analysis: section `scanning`."""

from dataclasses import dataclass
from typing import Annotated

from entrepot.runtime.quantities import Count


@dataclass(frozen=True, slots=True, kw_only=True)
class Scanning:
    """How much of the machine the analysis takes."""

    analysers: Annotated[Count, "Number of layers analysed at once, each in its own process; 0: one per core."] = 0
