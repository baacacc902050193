"""Secrets of robots and personal tokens: 256 random bits with a prefix and a checksum, stored as an HMAC.

The prefix and the checksum let leak scanners find one and let us refuse a mistyped one without a look-up.
"""

import hashlib
import hmac
import re
import zlib
from typing import Final

from entrepot.ids import random_base62

ROBOT: Final = "ent_rbt_"
PERSONAL: Final = "ent_pat_"
RANDOM_CHARACTERS: Final = 43
ANYWHERE: Final = re.compile(r"(ent_(?:rbt|pat)_)\w+")
SHAPE: Final = re.compile(r"ent_(?:rbt|pat)_[0-9A-Za-z]{43}_[0-9a-f]{8}\Z")


def new_secret(prefix: str) -> str:
    """A new secret: *prefix*, 43 random characters of 62, `_` and the CRC-32 of what stands before it."""
    body = prefix + random_base62(RANDOM_CHARACTERS)
    return f"{body}_{zlib.crc32(body.encode()):08x}"


def is_secret(text: str) -> bool:
    """Whether *text* has the form and checksum of a secret of ours."""
    if not SHAPE.match(text):
        return False
    body, _, checksum = text.rpartition("_")
    return f"{zlib.crc32(body.encode()):08x}" == checksum


def stored_form(key: bytes, text: str) -> str:
    """What is kept of the secret *text*: its HMAC-SHA-256 under *key*, in hexadecimal (4.5 us)."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def masked(text: str) -> str:
    """*text* with all but the prefix of any secret in it hidden: people type one where a name is asked for."""
    return ANYWHERE.sub(r"\1...", text)
