"""Identifiers: ULID where order in time matters, UUIDv7 where a client sees them, random text for secrets."""

import os
import secrets
import threading
import time
from datetime import datetime
from typing import Final

CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS: Final = tuple(first + second for first in CROCKFORD for second in CROCKFORD)
SHIFTS: Final = tuple(range(120, -1, -10))
BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

LOW: Final = 20
"""So many bits are written anew for each ULID of a millisecond; the rest stays while they do not overflow."""

_lock = threading.Lock()
_last = (0, 0)
_high = (-1, "")


def ulid() -> str:
    """A ULID: 26 characters of Crockford base 32, 48 bits of milliseconds then 80 random bits.

    Within one process each is greater than the one before, also in the same millisecond.
    Spec: github.com/ulid/spec, "Monotonicity".
    """
    global _last, _high  # noqa: PLW0603  the order of ids is a property of the process
    with _lock:
        now = time.time_ns() // 1_000_000
        before, tail = _last
        if now > before:
            tail = int.from_bytes(os.urandom(10), "big") >> 1
        else:
            now, tail = before, tail + 1
        _last = (now, tail)
        value = now << 80 | tail
        if value >> LOW != _high[0]:
            _high = (value >> LOW, _written(value)[: -LOW // 5])
        return _high[1] + PAIRS[value >> 10 & 1023] + PAIRS[value & 1023]


def uuid7() -> str:
    """A UUID version 7 in its usual form: 48 bits of milliseconds, then random. Spec: RFC 9562, 5.7."""
    value = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def random_base62(length: int) -> str:
    """*length* characters from a cryptographic source, each of 62 (5.95 bits)."""
    return "".join(secrets.choice(BASE62) for _ in range(length))


def ulid_at(moment: datetime) -> str:
    """The least ULID of *moment*: those made before are less."""
    return _written(int(moment.timestamp() * 1000) << 80)


def _written(value: int) -> str:
    """130 bits as 26 characters, two at a time."""
    return "".join([PAIRS[value >> shift & 1023] for shift in SHIFTS])
