"""Sizes, durations, counts and networks as people write them in settings."""

import ipaddress
import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, Field

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB

SIZES: Final = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": 1024 * GIB}
"""The units of a size and how many bytes each has, the smallest first."""

DURATIONS: Final = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
"""The units of a duration, the smallest first."""

NUMBER_AND_UNIT: Final = re.compile(r"([0-9]{1,15}) ?([A-Za-z]*)", re.ASCII)
SIZE_FORM: Final = "write a size such as 65536, 512KiB, 4MiB or 50GiB"
NETWORKS_FORM: Final = "write networks such as 10.0.0.0/8, fd00::/8"
DURATION_FORM: Final = "write a duration such as 50ms, 10s, 5m or 1h"
LONGEST: Final = timedelta(days=366 * 100)


def parse_bytes(text: str) -> int:
    """The bytes in a size such as `4MiB`; a bare number is bytes. Units are binary. Raises ValueError."""
    match = NUMBER_AND_UNIT.fullmatch(text.strip())
    unit = None if match is None else SIZES.get(match[2] or "B")
    if match is None or unit is None:
        raise ValueError(SIZE_FORM)
    return int(match[1]) * unit


def parse_duration(text: str) -> timedelta:
    """The duration in a text such as `10s`; a unit is needed. Raises ValueError, also above 100 years."""
    match = NUMBER_AND_UNIT.fullmatch(text.strip())
    unit = None if match is None else DURATIONS.get(match[2])
    if match is None or unit is None or int(match[1]) > LONGEST / unit:
        raise ValueError(DURATION_FORM)
    return int(match[1]) * unit


def format_bytes(size: int) -> str:
    """*size* bytes in the largest unit that divides it: what `parse_bytes` reads."""
    unit = max((unit for unit in SIZES if size % SIZES[unit] == 0 and size), key=SIZES.__getitem__, default="B")
    return f"{size // SIZES[unit]}{unit}" if unit != "B" else str(size)


def format_duration(duration: timedelta) -> str:
    """*duration* in the largest unit that divides it, whole milliseconds: what `parse_duration` reads."""
    if not duration:
        return "0s"
    whole = [name for name, unit in DURATIONS.items() if not duration % unit]
    name = whole[-1] if whole else "ms"
    return f"{duration // DURATIONS[name]}{name}"


def _read_bytes(value: object) -> object:
    return parse_bytes(value) if isinstance(value, str) else value


def _read_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(DURATION_FORM)  # noqa: TRY004  pydantic collects ValueError only
    return parse_duration(value)


Bytes = Annotated[int, BeforeValidator(_read_bytes), Field(ge=1, strict=True)]
"""A size in bytes, at least 1; read from `4MiB` or from a number."""

Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
"""A duration, zero or more; read from `10s`."""

Count = Annotated[int, Field(ge=0, le=4096)]
"""A number of processes; 0 leaves the choice to the machine."""


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(text: str) -> tuple[Network, ...]:
    """The networks in a list such as `10.0.0.0/8, fd00::/8`; none in an empty text. Raises ValueError."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError:
        raise ValueError(NETWORKS_FORM) from None


def _read_networks(text: str) -> str:
    return ", ".join(map(str, parse_networks(text)))


Networks = Annotated[str, AfterValidator(_read_networks)]
"""A setting's type: networks with commas between them."""
