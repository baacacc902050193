"""The order in which people count: v1.9 before v1.10."""

import re
from typing import Final

NUMBER: Final = re.compile(r"[0-9]+")


def natural_key(name: str) -> str:
    """A text that sorts as *name* does naturally: its numbers by their value, the rest by its bytes.

    A number stands behind its count of digits, three of them, as no tag is longer: `v1.10` becomes `v0011.00210`.
    """
    return NUMBER.sub(_counted, name)


def _counted(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0")
    return f"{len(digits):03d}{digits}"
